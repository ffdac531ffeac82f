package gateway

import (
	"fmt"
	"testing"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/pppoe"
)

// Lines are spread evenly, and each has the same address whenever it dials.
func TestPoolSpreadsLines(t *testing.T) {
	pool := frame.NewPool(1)
	p := &port{}
	p.members.init()
	if _, err := p.set(ether.NewHub().Port("eth1", gwMAC, pool)); err != nil {
		t.Fatal(err)
	}
	u := &uplink{cfg: &config.Uplink{MAC: config.MACPooled, MACPool: 64}, port: p}
	lines := make(map[pppoe.MAC]int)
	of := make([]pppoe.MAC, 1000)
	for i := range of {
		mac, extra := u.sourceMAC(line.Info{Name: fmt.Sprintf("virtual/%d", i)})
		if !extra || mac.IsMulticast() || mac[0]&0x02 == 0 {
			t.Fatalf("%v is no locally administered address of one station", mac)
		}
		of[i] = mac
		lines[mac]++
	}
	if len(lines) != 64 {
		t.Errorf("%d addresses, want 64", len(lines))
	}
	for mac, n := range lines {
		if n != 1000/64 && n != 1000/64+1 {
			t.Errorf("%v has %d of 1000 lines", mac, n)
		}
	}
	for i := len(of) - 1; i >= 0; i-- {
		if again, _ := u.sourceMAC(line.Info{Name: fmt.Sprintf("virtual/%d", i)}); again != of[i] {
			t.Errorf("line %d had %v, and has %v when it dials again", i, of[i], again)
		}
	}
}
