package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/internal/config"
)

const sharedYAML = `
uplinks: [{name: isp, interface: eth1}]
sessions:
  - {name: office, uplink: isp, ipv6: true}
  - {name: spare, uplink: isp}
pools: [{name: customers, prefix: 198.51.100.0/24, prefix6: "2001:db8::/48"}]
lines: [{name: bank, mode: shared, session: office, ipv6: true, pool: customers, auth: [], tcp: {listen: ":0"}}]
`

func TestCheckWarns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(file, []byte(sharedYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, t.Context(), "", "check", "-c", file)
	if code != exitDone || !strings.Contains(out, "is valid") || !strings.Contains(out, "pool customers") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if want := file + ":5:12: warning: no group of lines uses session \"spare\""; !strings.Contains(errs, want) {
		t.Errorf("%q is not in\n%s", want, errs)
	}

	code, out, errs = run(t, t.Context(), "", "check", "-c", file, "--json")
	var cfg config.Config
	if err := json.Unmarshal([]byte(out), &cfg); code != exitDone || err != nil || len(cfg.Warnings) != 1 || errs == "" {
		t.Errorf("--json: exit %d, %v, %d warnings, %q", code, err, len(cfg.Warnings), errs)
	}
}
