package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/test/capture"
	"tributary/test/program"
)

// TestGateway carries a line through the whole gateway to our own access
// concentrator, in each way that the Ethernet side can be set. What is judged
// is what is on the wire: by tshark, which cable asks at the end of each.
func TestGateway(t *testing.T) {
	tests := []struct {
		name   string
		uplink string   // keys of the uplink
		ac     []string // flags of the access concentrator
		ether  int      // MTU of the Ethernet
		mtu    int      // of the user's link, in the end
		vlans  []uint16
	}{
		{name: "plain", ether: 1500, mtu: 1492},
		{name: "one VLAN tag", uplink: "vlans: [100]", ac: []string{"--vlan", "100"}, ether: 1500, mtu: 1492, vlans: []uint16{100}},
		{name: "two VLAN tags", uplink: "vlans: [100, 7]", ac: []string{"--vlan", "100.7"}, ether: 1508, mtu: 1492, vlans: []uint16{100, 7}},
		{name: "RFC 4638", uplink: "max_payload: 1500", ac: []string{"--max-payload", "1500"}, ether: 1508, mtu: 1500},
		{name: "RFC 4638, AC without it", uplink: "max_payload: 1500", ether: 1508, mtu: 1492},
		{name: "an address for each line", uplink: "mac: per-line", ether: 1500, mtu: 1492},
		{name: "Service-Name", uplink: "service_name: internet", ac: []string{"--service", "internet"}, ether: 1500, mtu: 1492},
		{name: "no TR-101 tag", uplink: "circuit_id: \"\"\nremote_id: \"\"", ether: 1500, mtu: 1492},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := cable(t, "uplink0", "ac0", tt.ether)
			ac(t, "ac0", tt.ac...)
			addr := gateway(t, tt.uplink)
			dial(t, "tcp:"+addr, tt.mtu)
			eventually(t, "the user has hung up, so the session is ended with a PADT", func() error {
				if len(wire.All(capture.IsDiscovery(true, capture.PADT, 0))) == 0 {
					return fmt.Errorf("no PADT in the capture:\n%s", wire.Summary(20))
				}
				return nil
			})
			for _, f := range wire.All(func(capture.Frame) bool { return true }) {
				if fmt.Sprint(f.VLANs) != fmt.Sprint(tt.vlans) {
					t.Errorf("VLANs %v on a frame, want %v", f.VLANs, tt.vlans)
					break
				}
			}
		})
	}
}

// gateway starts the gateway on uplink0 and returns where users dial in.
func gateway(t *testing.T, uplink string) (addr string) {
	t.Helper()
	run, err := os.MkdirTemp("", "trib") // the path of a Unix socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	addr = freeAddr(t)
	socket, config := filepath.Join(run, "sock"), filepath.Join(run, "tributary.yaml")
	err = os.WriteFile(config, fmt.Appendf(nil, `uplinks:
  - name: isp
    interface: uplink0
    %s
lines:
  - name: virtual
    tcp: {listen: %q}
    mode: relay
    uplink: isp
control: {socket: %s}
log: {level: debug, format: text}
state_dir: %s
`, strings.ReplaceAll(uplink, "\n", "\n    "), addr, socket, filepath.Join(run, "state")), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	p := program.Start(t, tributary, "run", "-c", config)
	eventually(t, "tributary answers on its control socket", func() error {
		select {
		case <-p.Ended():
			t.Fatal("tributary ended at its start")
		default:
		}
		_, err := command(tributary, "lines", "--socket", socket)
		return err
	})
	return addr
}
