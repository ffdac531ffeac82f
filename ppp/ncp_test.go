package ppp

import (
	"fmt"
	"testing"
	"time"
)

// both is a Link with its LCP open that wants IPv4 and IPv6.
func both(t *testing.T, c IPv4Config) *talk {
	k := newTalk(t, LinkConfig{IPv4: &c, IPv6: &IPv6Config{Local: 1}})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.want("both begin", paramsPPPoE, lcpUp, fmt.Sprintf("IPCP Configure-Request 1: 0306%x", octets(c.Local)), "IPV6CP Configure-Request 1: 010a0000000000000001")
	return k
}

var ours = IPv4Config{Local: addr("192.0.2.1")}

func (t *talk) ipv4Up() {
	t.Helper()
	t.in(ProtoIPCP, ConfigureRequest, 1, "0306c0000202")
	t.in(ProtoIPCP, ConfigureAck, t.l.ipcp.requestID, "0306c0000201")
	t.want("IPv4 is up", "IPCP Configure-Ack 1: 0306c0000202", "NetworkUp{Local:192.0.2.1 Peer:192.0.2.2 DNS:[invalid IP invalid IP]}")
}

func (t *talk) ipv6Up() {
	t.Helper()
	t.in(ProtoIPV6CP, ConfigureRequest, 1, "010a0000000000000002")
	t.in(ProtoIPV6CP, ConfigureAck, t.l.ipv6cp.requestID, "010a0000000000000001")
	t.want("IPv6 is up", "IPV6CP Configure-Ack 1: 010a0000000000000002", "IPv6Up{Local:1 Peer:2}")
}

const (
	noNetwork = "LCPDown{Reason:no-network-layer Message:}"
	goodbye   = `"no-network-layer"`
)

// TestPeerWithoutIPv6 and the like are most peers there are.
func TestPeerWithoutIPv6(t *testing.T) {
	k := both(t, ours)
	k.in(ProtoLCP, ProtocolReject, 1, "8057 0101000e010a0000000000000001")
	k.want("no IPv6: the link is there for IPv4")
	k.ipv4Up()
	k.in(ProtoLCP, ProtocolReject, 2, "8057 0101000e010a0000000000000001")
	k.want("the same again, for a repeated request")
	k.wait(time.Hour)
	k.want("and never again is it asked for")
	k.in(ProtoLCP, ProtocolReject, 3, "8021 0101")
	k.want("nor IPv4 after all: nothing is left", "NetworkDown{}", paramsDown, noNetwork, "LCP Terminate-Request 2: "+goodbye)

	k = both(t, ours)
	k.in(ProtoLCP, ProtocolReject, 1, "8021 0101")
	k.want("no IPv4: the link is there for IPv6")
	k.ipv6Up()
	k.in(ProtoLCP, ProtocolReject, 2, "0057 60")
	k.want("IPv6 was a misunderstanding", "IPv6Down{}", paramsDown, noNetwork, "LCP Terminate-Request 2: "+goodbye)

	k = both(t, ours)
	k.ipv4Up()
	k.wait(30 * time.Second)
	if got := k.outs(); len(got) != 9 || got[8] != "IPV6CP Configure-Request 1: 010a0000000000000001" {
		t.Errorf("a peer that says nothing to IPV6CP: %v", got)
	}
	k.in(ProtoIPV6CP, ConfigureRequest, 1, "010a0000000000000002")
	k.want("until it does", "IPV6CP Configure-Request 2: 010a0000000000000001", "IPV6CP Configure-Ack 1: 010a0000000000000002")
	k.in(ProtoIPV6CP, ConfigureAck, 2, "010a0000000000000001")
	k.want("late is not never", "IPv6Up{Local:1 Peer:2}")
}

// TestOneOfTwoEnds: the other stays.
func TestOneOfTwoEnds(t *testing.T) {
	k := both(t, ours)
	k.ipv4Up()
	k.ipv6Up()
	k.in(ProtoIPCP, TerminateRequest, 2, "6f6e6c79207636")
	k.wait(time.Minute)
	k.want("the peer ends IPv4", "NetworkDown{}", "IPCP Terminate-Ack 2:")
	k.in(ProtoIPCP, ConfigureRequest, 1, "0306c0000202")
	k.in(ProtoIPCP, ConfigureAck, 2, "0306c0000201")
	k.want("and has it again when it likes", "IPCP Configure-Request 2: 0306c0000201", "IPCP Configure-Ack 1: 0306c0000202",
		"NetworkUp{Local:192.0.2.1 Peer:192.0.2.2 DNS:[invalid IP invalid IP]}")
	k.in(ProtoIPV6CP, CodeReject, 1, "01010004")
	k.want("the peer's IPV6CP knows no Configure-Request", "IPv6Down{}", `IPV6CP Terminate-Request 2: "rejected"`)
	k.wait(time.Minute)
	k.want("and no Terminate-Request", `IPV6CP Terminate-Request 3: "rejected"`)
	k.l.Close(k.now)
	k.want("that is no reason for what happens later", "NetworkDown{}", paramsDown, "LCPDown{Reason:closed Message:}", `LCP Terminate-Request 2: "closed"`)
	if p := k.l.Phase(); p != PhaseTerminate {
		t.Errorf("phase %v", p)
	}

	k = both(t, ours)
	k.ipv4Up()
	k.ipv6Up()
	k.in(ProtoIPCP, TerminateRequest, 2, "6f6e65")
	k.wait(time.Second)
	k.in(ProtoIPV6CP, TerminateRequest, 2, "74776f")
	k.want("the peer ends both", "NetworkDown{}", "IPCP Terminate-Ack 2:", "IPv6Down{}", "IPV6CP Terminate-Ack 2:")
	k.wait(3 * time.Second)
	k.want("nothing is left", paramsDown, "LCPDown{Reason:no-network-layer Message:one}", `LCP Terminate-Request 2: "no-network-layer"`)

	k = both(t, ours)
	k.ipv4Up()
	k.ipv6Up()
	k.in(ProtoIPCP, TerminateRequest, 2, "")
	k.in(ProtoIPV6CP, TerminateRequest, 2, "")
	k.outs()
	k.l.Down(k.now)
	k.want("and hangs up: this is why", paramsDown, noNetwork, "Finished{Reason:no-network-layer Message:}")
}

// TestNeitherComesUp: the link ends when the last layer has failed, not before.
func TestNeitherComesUp(t *testing.T) {
	k := both(t, ours)
	k.wait(30*time.Second - 1)
	k.outs()
	if k.l.Phase() != PhaseNetwork {
		t.Error("given up early")
	}
	k.wait(1)
	k.want("nobody answers", paramsDown, noNetwork, "LCP Terminate-Request 2: "+goodbye)

	k = both(t, ours)
	for n := range uint8(100) {
		k.in(ProtoIPCP, ConfigureRequest, n, "0206002d0f01")
	}
	k.outs()
	if s := k.l.ipcp.state; s != stClosing || k.l.Phase() != PhaseNetwork {
		t.Errorf("IPCP that does not converge is in state %d, the link in phase %v", s, k.l.Phase())
	}
	k.ipv6Up()
	k.in(ProtoIPV6CP, TerminateRequest, 2, "")
	k.wait(time.Minute)
	k.outs()
	if got := show(k.seen[len(k.seen)-1]); got != "Finished{Reason:not-converging Message:}" {
		t.Errorf("of two reasons the more telling one: %v", got)
	}
}

// TestNoAddressButIPv6: a pool that is empty is no reason to deny IPv6.
func TestNoAddressButIPv6(t *testing.T) {
	assign := ours
	assign.AssignPeer = true
	k := both(t, assign)
	k.in(ProtoIPCP, ConfigureRequest, 1, "030600000000")
	k.want("the owner is asked", "AddressRequest{ID:1 Name: Asked:invalid IP}")
	if k.l.Address(k.now, 1, Assignment{}) {
		t.Error("an assignment of nothing is in force")
	}
	k.want("none left: IPv4 is closed", `IPCP Terminate-Request 2: "no-address"`)
	k.ipv6Up()
	k.in(ProtoIPCP, TerminateAck, 2, "")
	k.in(ProtoIPCP, ConfigureRequest, 2, "030600000000")
	k.want("and stays so", "IPCP Terminate-Ack 2:")
	k.in(ProtoLCP, ProtocolReject, 1, "8057 0101")
	k.want("then there is nothing for this peer", "IPv6Down{}", paramsDown, "LCPDown{Reason:no-address Message:}", `LCP Terminate-Request 2: "no-address"`)

	k = both(t, assign)
	k.in(ProtoIPCP, ConfigureRequest, 1, "030600000000")
	k.in(ProtoLCP, ProtocolReject, 1, "8021 0101")
	k.outs()
	if k.l.Address(k.now, 1, Assignment{Peer: addr("198.51.100.7")}) {
		t.Error("an address is in force on a link without IPv4")
	}
	k.want("the peer was faster than the owner")
	k.in(ProtoIPCP, ConfigureRequest, 2, "030600000000")
	k.want("what the peer has rejected it does not get")
	k.ipv6Up()

	k = both(t, IPv4Config{})
	k.ipv6Up()
	k.in(ProtoIPCP, ConfigureReject, 1, "030600000000")
	k.in(ProtoIPCP, ConfigureRequest, 1, "0306c0000201")
	k.in(ProtoIPCP, ConfigureAck, 2, "")
	k.want("a client without an address has IPv6 still", "IPCP Configure-Request 2:", "IPCP Configure-Ack 1: 0306c0000201", `IPCP Terminate-Request 3: "no-address"`)
	k.in(ProtoLCP, ConfigureRequest, 2, "")
	k.in(ProtoLCP, ConfigureAck, 2, fmt.Sprintf("%x", k.l.lcp.request))
	k.want("LCP anew, and both anew", "IPv6Down{}", paramsDown, "LCPDown{Reason:renegotiated Message:}",
		"LCP Configure-Request 2: 010405d4 050602020202", "LCP Configure-Ack 2:", paramsPPPoE, lcpUp,
		"IPCP Configure-Request 4: 030600000000", "IPV6CP Configure-Request 2: 010a0000000000000001")
}

// TestRejectedProtocols: what this end does not do it says in the way that
// belongs to it, and the link stays up.
func TestRejectedProtocols(t *testing.T) {
	k := both(t, ours)
	k.ipv4Up()
	k.ipv6Up()
	tests := []struct {
		name     string
		protocol Protocol
		packet   string
	}{
		{"CCP: Deflate, BSD-Compress, MPPC", ProtoCCP, "01010011 1a047800 15032f 120600000001"},
		{"ECP", ProtoECP, "01010008 00040000"},
		{"MP fragments, since MRRU was rejected", ProtoMP, "c0000001 00214500"},
		{"Van Jacobson's compressed packets, since IPCP rejected that", ProtoVJComp, "0b01 1234"},
		{"and uncompressed ones", ProtoVJUnc, "4500 0028"},
		{"compressed packets without CCP", 0x00fd, "0001"},
		{"Novell's IPX", 0x802b, "01010004"},
		{"NetBIOS, which Windows 98 tries", 0x803f, "01010004"},
		{"link quality reports", ProtoLQR, "00000000"},
		{"EAP, which was not agreed upon", ProtoEAP, "01010005 01"},
	}
	for i, tt := range tests {
		info := unhex(tt.packet)
		k.raw(append(AppendProtocol(nil, tt.protocol), info...))
		k.want(tt.name, fmt.Sprintf("LCP Protocol-Reject %d: %04x%x", 2+i, uint16(tt.protocol), info))
	}
	if !k.l.IPv4Open() || !k.l.IPv6Open() {
		t.Error("the link is not up any longer")
	}
	k.in(ProtoLCP, ProtocolReject, 1, "80fd 0101")
	k.in(ProtoLCP, ProtocolReject, 1, "003d 0101")
	k.want("and what we never sent may be rejected")

	for _, option := range []string{"0206002d0f01", "0206002d0f00", "0204002d", "02060061ffff", "020e006100ff00ff000100050102"} {
		k = both(t, ours)
		k.in(ProtoIPCP, ConfigureRequest, 1, option+"0306c0000202")
		k.want("IP-Compression-Protocol, in any form: VJ, RFC 2507, ROHC", "IPCP Configure-Reject 1: "+option)
	}
}
