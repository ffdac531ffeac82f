package ppp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// networking is a Link whose IPCP has just begun.
func networking(t *testing.T, c IPv4Config) *talk {
	k := newTalk(t, LinkConfig{IPv4: &c})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	return k
}

func TestIPCPClient(t *testing.T) {
	k := networking(t, IPv4Config{AskDNS: true})
	k.want("0.0.0.0 asks to be told", paramsPPPoE, lcpUp, "IPCP Configure-Request 1: 030600000000 810600000000 830600000000")
	k.in(ProtoIPCP, ConfigureRequest, 7, "0206002d0f01 0306c0000201")
	k.want("Van Jacobson compression is not spoken", "IPCP Configure-Reject 7: 0206002d0f01")
	k.in(ProtoIPCP, ConfigureRequest, 8, "0306c0000201")
	k.want("the peer has the address it says it has", "IPCP Configure-Ack 8: 0306c0000201")
	k.in(ProtoIPCP, ConfigureReject, 1, "830600000000")
	k.want("one name server will do", "IPCP Configure-Request 2: 030600000000 810600000000")
	k.in(ProtoIPCP, ConfigureNak, 2, "0306e0000001 0304c633 8306c0000236")
	k.want("multicast is no address, nor is half a one, nor did we ask for that server", "IPCP Configure-Request 3: 030600000000 810600000000")
	k.in(ProtoIPCP, ConfigureNak, 3, "0306c6336407 8106c0000235")
	k.want("we are told", "IPCP Configure-Request 4: 0306c6336407 8106c0000235")
	if k.l.IPv4Open() {
		t.Error("open before the Ack")
	}
	k.in(ProtoIPCP, ConfigureAck, 4, "0306c6336407 8106c0000235")
	k.want("up", "NetworkUp{Local:198.51.100.7 Peer:192.0.2.1 DNS:[192.0.2.53 invalid IP]}")
	if !k.l.IPv4Open() {
		t.Error("not open")
	}
	k.in(ProtoIPCP, ConfigureRequest, 9, "0306c0000201")
	k.want("the peer renegotiates IPCP alone", "NetworkDown{}", "IPCP Configure-Request 5: 030600000000 810600000000 830600000000", "IPCP Configure-Ack 9: 0306c0000201")
	k.in(ProtoIPCP, ConfigureReject, 5, "030600000000 810600000000 830600000000")
	k.want("this time it gives us nothing", "IPCP Configure-Request 6:")
	k.in(ProtoIPCP, ConfigureAck, 6, "")
	k.want("without an address there is nothing to be done", paramsDown, "LCPDown{Reason:no-address Message:}", `LCP Terminate-Request 2: "no-address"`)
}

func TestIPCPServer(t *testing.T) {
	c := IPv4Config{Local: addr("192.0.2.1"), Peer: addr("198.51.100.7"), DNS: [2]netip.Addr{addr("192.0.2.53")}, NBNS: [2]netip.Addr{{}, addr("192.0.2.137")}}
	k := networking(t, c)
	k.want("our own address", paramsPPPoE, lcpUp, "IPCP Configure-Request 1: 0306c0000201")
	k.in(ProtoIPCP, ConfigureRequest, 1, "0306c0000201 8106c0000235 830600000000 820600000000 840600000000")
	k.want("what we do not have is rejected first", "IPCP Configure-Reject 1: 830600000000 820600000000")
	k.in(ProtoIPCP, ConfigureRequest, 2, "0306c0000201 810600000000 840600000000")
	k.want("what we have is told", "IPCP Configure-Nak 2: 0306c6336407 8106c0000235 8406c0000289")
	k.in(ProtoIPCP, ConfigureRequest, 3, "03040101 81040101")
	k.want("also where the length is wrong", "IPCP Configure-Nak 3: 0306c6336407 8106c0000235")
	k.in(ProtoIPCP, ConfigureRequest, 4, "010ac0000201c6336407")
	k.want("IP-Addresses is deprecated", "IPCP Configure-Reject 4: 010ac0000201c6336407")
	k.in(ProtoIPCP, ConfigureRequest, 5, "8106c0000235")
	k.want("an address that the peer left out", "IPCP Configure-Nak 5: 0306c6336407")
	k.in(ProtoIPCP, ConfigureRequest, 6, "0306c6336407 8106c0000235")
	k.want("agreed", "IPCP Configure-Ack 6: 0306c6336407 8106c0000235")
	k.in(ProtoIPCP, ConfigureNak, 1, "0306c0000202")
	k.want("our address is configured and stays", "IPCP Configure-Request 2: 0306c0000201")
	k.in(ProtoIPCP, ConfigureAck, 2, "0306c0000201")
	k.want("up", "NetworkUp{Local:192.0.2.1 Peer:198.51.100.7 DNS:[invalid IP invalid IP]}")
	k.in(ProtoIPCP, EchoRequest, 2, "00000000")
	k.want("RFC 1332 section 2: IPCP has codes 1 to 7 only", "IPCP Code-Reject 3: 0902000800000000")
	k.in(ProtoIPCP, CodeReject, 2, "09020008")
	k.want("a Code-Reject that does not matter")
	k.l.Down(k.now)
	k.want("carrier lost", "NetworkDown{}", paramsDown, "LCPDown{Reason:lower-down Message:}", "Finished{Reason:lower-down Message:}")
}

// TestPeerWithoutOption3: a peer that never speaks of addresses, or insists on
// its own, is let in after Max-Failure; it has the address we know.
func TestPeerWithoutOption3(t *testing.T) {
	for _, request := range []string{"", "0306c0000209"} {
		k := networking(t, IPv4Config{Local: addr("192.0.2.1"), Peer: addr("198.51.100.7")})
		k.in(ProtoIPCP, ConfigureAck, 1, "0306c0000201")
		k.outs()
		for id := range uint8(5) {
			k.in(ProtoIPCP, ConfigureRequest, id, request)
			k.want("told", fmt.Sprintf("IPCP Configure-Nak %d: 0306c6336407", id))
		}
		if request != "" {
			k.in(ProtoIPCP, ConfigureRequest, 6, request)
			k.want("told clearly", "IPCP Configure-Reject 6: "+request)
		}
		k.in(ProtoIPCP, ConfigureRequest, 7, "")
		k.want("so be it", "IPCP Configure-Ack 7:", "NetworkUp{Local:192.0.2.1 Peer:198.51.100.7 DNS:[invalid IP invalid IP]}")
	}
}

func TestAddressFromOwner(t *testing.T) {
	c := IPv4Config{Local: addr("192.0.2.1"), AssignPeer: true, DNS: [2]netip.Addr{addr("192.0.2.53")}}
	k := networking(t, c)
	k.outs()
	k.in(ProtoIPCP, ConfigureRequest, 1, "0306c6336409")
	k.want("the owner is asked", "AddressRequest{ID:1 Name: Asked:198.51.100.9}")
	k.in(ProtoIPCP, ConfigureAck, 1, "0306c0000201")
	k.in(ProtoIPCP, ConfigureRequest, 2, "030600000000 810600000000")
	k.want("once")
	if k.l.Address(k.now, 7, Assignment{Peer: addr("198.51.100.8")}) {
		t.Error("an answer to nothing was taken")
	}
	k.want("nothing")
	if !k.l.Address(k.now, 1, Assignment{Peer: addr("198.51.100.7"), DNS: [2]netip.Addr{addr("192.0.2.99")}}) {
		t.Error("the answer was not taken")
	}
	k.want("the latest request is answered at once, with this peer's own name server", "IPCP Configure-Nak 2: 0306c6336407 8106c0000263")
	if k.l.Address(k.now, 1, Assignment{Peer: addr("198.51.100.8")}) {
		t.Error("an answer given twice was taken")
	}
	k.in(ProtoIPCP, ConfigureRequest, 3, "0306c6336407 8106c0000263")
	k.want("up", "IPCP Configure-Ack 3: 0306c6336407 8106c0000263", "NetworkUp{Local:192.0.2.1 Peer:198.51.100.7 DNS:[invalid IP invalid IP]}")
	k.in(ProtoIPCP, ConfigureRequest, 4, "0306c6336407")
	k.want("the address stays when IPCP alone starts anew", "NetworkDown{}", "IPCP Configure-Request 2: 0306c0000201", "IPCP Configure-Ack 4: 0306c6336407")
	k.in(ProtoLCP, ConfigureRequest, 5, "")
	k.in(ProtoLCP, ConfigureAck, 2, "010405d4 050602020202")
	k.outs()
	k.in(ProtoIPCP, ConfigureRequest, 5, "")
	k.want("and is asked for again when LCP did", "AddressRequest{ID:2 Name: Asked:invalid IP}")
	k.l.Address(k.now, 2, Assignment{})
	k.want("none left", paramsDown, "LCPDown{Reason:no-address Message:}", `LCP Terminate-Request 3: "no-address"`)
}

func TestAddressLateOrNever(t *testing.T) {
	c := IPv4Config{Local: addr("192.0.2.1"), AssignPeer: true}
	k := networking(t, c)
	k.in(ProtoIPCP, ConfigureAck, 1, "0306c0000201")
	k.in(ProtoIPCP, ConfigureRequest, 1, "030600000000")
	k.outs()
	k.wait(10 * time.Minute)
	got := k.outs()
	if last := got[len(got)-1]; last != "Finished{Reason:no-network-layer Message:}" || len(got) > 16 {
		t.Errorf("never: %v", got)
	}
	if k.l.Address(k.now, 1, Assignment{Peer: addr("198.51.100.7")}) {
		t.Error("late: the answer was taken")
	}
	k.want("late: nothing")
}

// TestIPCPTerminateDuringNegotiationIsHistory: it ends nothing, so it is no
// reason for what ends later.
func TestIPCPTerminateDuringNegotiationIsHistory(t *testing.T) {
	k := networking(t, IPv4Config{Local: addr("192.0.2.1")})
	k.outs()
	k.in(ProtoIPCP, TerminateRequest, 1, "6e6f7420796574")
	k.want("acknowledged", "IPCP Terminate-Ack 1:")
	k.in(ProtoIPCP, ConfigureRequest, 2, "0306c0000202")
	k.in(ProtoIPCP, ConfigureAck, 1, "0306c0000201")
	k.outs()
	if !k.l.IPv4Open() {
		t.Fatal("not up")
	}
	k.l.Close(k.now)
	k.want("this is why", "NetworkDown{}", paramsDown, "LCPDown{Reason:closed Message:}", `LCP Terminate-Request 2: "closed"`)

	k = networking(t, IPv4Config{Local: addr("192.0.2.1")})
	k.in(ProtoIPCP, TerminateRequest, 1, "6e6f")
	k.l.Down(k.now)
	k.outs()
	if got := show(k.seen[len(k.seen)-1]); got != "Finished{Reason:lower-down Message:}" {
		t.Errorf("the carrier is lost: %s", got)
	}
}

func TestIPCPEnds(t *testing.T) {
	up := func() *talk {
		k := networking(t, IPv4Config{Local: addr("192.0.2.1")})
		k.in(ProtoIPCP, ConfigureRequest, 1, "0306c0000202")
		k.in(ProtoIPCP, ConfigureAck, 1, "0306c0000201")
		k.outs()
		if !k.l.IPv4Open() {
			t.Fatal("not up")
		}
		return k
	}
	k := up()
	k.in(ProtoIPCP, TerminateRequest, 1, "7175696574")
	k.want("the peer ends IPCP", "NetworkDown{}", "IPCP Terminate-Ack 1:")
	k.wait(3 * time.Second)
	k.want("nothing is left to run on the link", paramsDown, "LCPDown{Reason:no-network-layer Message:quiet}", `LCP Terminate-Request 2: "no-network-layer"`)

	k = up()
	k.in(ProtoLCP, ProtocolReject, 1, "8021 0101")
	k.want("the peer has no IPCP", "NetworkDown{}", paramsDown, "LCPDown{Reason:no-network-layer Message:}", `LCP Terminate-Request 2: "no-network-layer"`)

	k = up()
	k.in(ProtoIPCP, CodeReject, 1, "01010004")
	k.wait(6 * time.Second)
	got := k.outs()
	if want := "LCPDown{Reason:rejected Message:}"; len(got) < 5 || got[4] != want {
		t.Errorf("the peer's IPCP knows no Configure-Request: %v", got)
	}

	k = networking(t, IPv4Config{})
	k.in(ProtoIPCP, ConfigureRequest, 1, "030600000000")
	k.outs()
	if got := show(k.seen[len(k.seen)-1]); got != "IPCP Configure-Reject 1: 030600000000" {
		t.Errorf("a peer asks us, who have no address to give: %s", got)
	}
	k.raw([]byte{0x00, 0x21, 0x45})
	k.want("IPv4 before IPCP is open is dropped without a word")
	k.wait(30 * time.Second)
	got = k.outs()
	if want := "LCPDown{Reason:no-network-layer Message:}"; got[len(got)-2] != want {
		t.Errorf("no answer to IPCP: %v", got)
	}
}
