package config

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	text, err := os.ReadFile("testdata/every-key.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parse := func(s string) *Config {
		t.Helper()
		c, err := Parse("t.yaml", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := parse(string(text))
	for _, tt := range []struct {
		why      string
		old, new string
		want     []string
	}{
		{"nothing", "", "", nil},
		{"a comment, and other quotes", "uplinks:\n", "# the same\n\"uplinks\":\n", nil},
		{"one key deep inside", "padi_rate: 20", "padi_rate: 21", []string{"uplinks"}},
		{"a pool's name, and where it is used", "customers", "clients", []string{"lines", "pools"}},
		{"a session's user", "office@isp.example", "other@isp.example", []string{"sessions"}},
		{"the socket", "/tmp/t.sock", "/tmp/u.sock", []string{"control"}},
		{"the log", "level: debug", "level: warn", []string{"log"}},
		{"the state", "state_dir: /tmp/state", "state_dir: /tmp/other", []string{"state_dir"}},
	} {
		changed := strings.ReplaceAll(string(text), tt.old, tt.new)
		if tt.old == "" {
			changed = string(text)
		} else if changed == string(text) {
			t.Errorf("%s: %q is not in the file", tt.why, tt.old)
		}
		if got := Diff(before, parse(changed)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.why, got, tt.want)
		}
	}
	// A section that is new is compared as well.
	if n := reflect.TypeFor[Config]().NumField(); n != 8 {
		t.Errorf("Config has %d fields: seven sections and the warnings are known to Diff", n)
	}
}
