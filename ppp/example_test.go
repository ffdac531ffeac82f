package ppp_test

import (
	"fmt"
	"net/netip"
	"time"

	"tributary/ppp"
)

// A subscriber and an ISP in one process: each is a Link, and what one has to
// send is the other's input. A real owner has a carrier in between, and a timer
// for Deadline.
func ExampleLink() {
	isp := ppp.NewLink(ppp.LinkConfig{
		Auth: []ppp.AuthMethod{ppp.AuthMSCHAPv2, ppp.AuthCHAPMD5},
		IPv4: &ppp.IPv4Config{Local: netip.MustParseAddr("192.0.2.1"), AssignPeer: true},
		IPv6: &ppp.IPv6Config{Local: 1},
	})
	user := ppp.NewLink(ppp.LinkConfig{
		Name: "alice", Secret: "wonderland",
		IPv4: &ppp.IPv4Config{},
		IPv6: &ppp.IPv6Config{Local: 0x77},
	})
	now := time.Now()

	// drain does what a Link says, and reports whether it said anything.
	drain := func(name string, l, peer *ppp.Link) (busy bool) {
		for o, ok := l.Next(); ok; o, ok = l.Next() {
			busy = true
			switch o := o.(type) {
			case ppp.SendFrame:
				peer.Input(now, o.Frame)
			case ppp.AuthRequest:
				fmt.Printf("%s: %s wants in, by %v\n", name, o.Name, o.Method)
				l.AuthResult(now, o.ID, o.Verify("wonderland"), o.SuccessMessage("wonderland", "Welcome"))
			case ppp.AddressRequest:
				l.Address(now, o.ID, ppp.Assignment{Peer: netip.MustParseAddr("198.51.100.7")})
			case ppp.Authenticated:
				if o.Local {
					fmt.Printf("%s: authenticated: %s\n", name, o.Message)
				}
			case ppp.NetworkUp:
				fmt.Printf("%s: %v, peer %v\n", name, o.Local, o.Peer)
			case ppp.IPv6Up:
				fmt.Printf("%s: fe80::%x, peer fe80::%x\n", name, o.Local, o.Peer)
			case ppp.Finished:
				fmt.Printf("%s: finished: %s\n", name, o.Reason)
			}
		}
		return busy
	}
	run := func() {
		for drain("isp", isp, user) || drain("user", user, isp) {
		}
	}

	for _, l := range []*ppp.Link{isp, user} {
		l.Open(now)
		l.Up(now)
	}
	run()
	user.Close(now)
	run()
	now = isp.Deadline() // RFC 1661 gives the user time before the line is hung up
	isp.Tick(now)
	run()
	// Output:
	// isp: alice wants in, by ms-chapv2
	// user: authenticated: Welcome
	// isp: fe80::1, peer fe80::77
	// user: fe80::77, peer fe80::1
	// isp: 192.0.2.1, peer 198.51.100.7
	// user: 198.51.100.7, peer 192.0.2.1
	// user: finished: closed
	// isp: finished: peer-terminated
}
