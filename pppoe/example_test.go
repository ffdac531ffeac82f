package pppoe_test

import (
	"fmt"
	"time"

	"tributary/pppoe"
)

// A packet is a header and tags; what nothing here knows stays in it.
func Example() {
	padi := pppoe.Packet{Code: pppoe.PADI, Tags: []pppoe.Tag{
		pppoe.StringTag(pppoe.TagServiceName, "isp"),
		{Type: pppoe.TagHostUniq, Data: []byte{1, 2, 3}},
		{Type: 0x7f01, Data: []byte("unknown")},
	}}
	wire := padi.Append(nil)
	fmt.Printf("%x\n", wire)

	p, err := pppoe.ParsePacket(wire)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tag := range p.Tags {
		fmt.Printf("%v %v %q\n", p.Code, tag.Type, tag.Data)
	}
	// Output:
	// 11090000001901010003697370010300030102037f010007756e6b6e6f776e
	// PADI Service-Name "isp"
	// PADI Host-Uniq "\x01\x02\x03"
	// PADI 0x7f01 "unknown"
}

// A host and an access concentrator find each other. Where this example hands
// packets over, a program has an Ethernet port.
func ExampleClient() {
	hostMAC, acMAC := pppoe.MAC{2, 0, 0, 0, 0, 1}, pppoe.MAC{2, 0, 0, 0, 0, 2}
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)

	server := pppoe.NewServer(pppoe.ServerConfig{ACName: "bras1", MAC: acMAC, Services: []string{"isp"}})
	client := pppoe.NewClient(pppoe.ClientConfig{ServiceName: "isp", HostUniq: []byte("line 17")})
	client.Start(now)

	// exchange lets both speak until neither has anything more to say.
	exchange := func() {
		for busy := true; busy; {
			busy = false
			for out, ok := client.Next(); ok; out, ok = client.Next() {
				busy = true
				switch out := out.(type) {
				case pppoe.Send:
					fmt.Printf("host > %v %v\n", out.Dst, out.Code)
					server.Input(now, hostMAC, out.Packet)
				case pppoe.ClientOpened:
					s := out.Session
					fmt.Printf("session %d with %s, service %q, payload %d\n", s.SessionID, s.ACName, s.ServiceName, s.MaxPayload)
				case pppoe.ClientDone:
					fmt.Println("done")
				}
			}
			for out, ok := server.Next(); ok; out, ok = server.Next() {
				busy = true
				switch out := out.(type) {
				case pppoe.Send:
					fmt.Printf("AC   > %v %v\n", out.Dst, out.Code)
					client.Input(now, acMAC, out.Packet)
				case pppoe.ServerClosed:
					fmt.Printf("AC: session %d ended: %s\n", out.SessionID, out.Message)
				}
			}
		}
	}
	exchange()
	client.Close(now, "hung up")
	exchange()
	// Output:
	// host > ff:ff:ff:ff:ff:ff PADI
	// AC   > 02:00:00:00:00:01 PADO
	// host > 02:00:00:00:00:02 PADR
	// AC   > 02:00:00:00:00:01 PADS
	// session 1 with bras1, service "isp", payload 1492
	// host > 02:00:00:00:00:02 PADT
	// done
	// AC: session 1 ended: hung up
}
