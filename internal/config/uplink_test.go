package config

import (
	"strings"
	"testing"
)

// Lines that come back at once wait for their PADI's turn. Whoever has set it up so
// that users will have given up by then is told.
func TestTurnsAreWarnedOf(t *testing.T) {
	const three = `lines: [{name: a, uplink: isp, pty: {links: [/run/a, /run/b]}}, {name: b, uplink: isp, serial: {devices: [/dev/ttyS0]}}]` + "\n"
	for _, tt := range []struct {
		name, yaml, want string // "": no warning
	}{
		{"no interval", uplink("padi_rate: 1"), ""},
		{"everyone has an address", uplink("padi_interval: 1s, mac: per-line"), ""},
		{"one address for all", uplink("padi_interval: 1s"), "1:55: padi_interval: 4096 lines that come back at once wait up to 1h8m16s for their turn, with 1 address to ask from: see mac"},
		{"a pool that is too small", uplink("padi_interval: 1s, mac: {pool: 64}"), "1:55: padi_interval: 4096 lines that come back at once wait up to 1m4s for their turn, with 64 addresses to ask from"},
		{"a pool that will do", uplink("padi_interval: 1s, mac: {pool: 256}"), ""},
		{"few lines", "uplinks: [{name: isp, interface: eth1, padi_interval: 1s}]\n" + three, ""},
		{"few lines that are rarely heard", "uplinks: [{name: isp, interface: eth1, padi_interval: 11s}]\n" + three, "1:55: padi_interval: 3 lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := Parse("t.yaml", []byte(tt.yaml))
			if err != nil {
				t.Fatal(err)
			}
			switch w := cfg.Warnings; {
			case tt.want == "" && len(w) > 0:
				t.Errorf("warned: %v", w)
			case tt.want != "" && (len(w) != 1 || !strings.Contains(w[0].Error(), tt.want)):
				t.Errorf("warned: %v, want %q", w, tt.want)
			}
		})
	}
}
