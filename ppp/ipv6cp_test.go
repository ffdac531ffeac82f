package ppp

import (
	"fmt"
	"testing"
	"time"
)

// networking6 is a Link whose IPV6CP has just begun.
func networking6(t *testing.T, c IPv6Config) *talk {
	k := newTalk(t, LinkConfig{IPv6: &c})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	return k
}

func TestIPV6CP(t *testing.T) {
	k := networking6(t, IPv6Config{Local: 0x0211_22ff_fe33_4455})
	k.want("IPv6 alone is a network, too", paramsPPPoE, lcpUp, "IPV6CP Configure-Request 1: 010a021122fffe334455")
	k.raw([]byte{0x00, 0x57, 0x60})
	k.want("IPv6 before IPV6CP is open is dropped without a word")
	k.in(ProtoIPV6CP, ConfigureRequest, 7, "010a0000000000000007 0204004f ff03aa")
	k.want("no header compression, nor what nobody knows", "IPV6CP Configure-Reject 7: 0204004f ff03aa")
	k.in(ProtoIPV6CP, ConfigureRequest, 8, "010a0000000000000007")
	k.want("an identifier that is not ours is the peer's", "IPV6CP Configure-Ack 8: 010a0000000000000007")
	if k.l.IPv6Open() {
		t.Error("open before the Ack")
	}
	k.in(ProtoIPV6CP, ConfigureAck, 1, "010a021122fffe334455")
	k.want("up", fmt.Sprintf("IPv6Up{Local:%d Peer:7}", 0x0211_22ff_fe33_4455))
	if !k.l.IPv6Open() || k.l.IPv4Open() {
		t.Error("IPv6 and nothing else is open")
	}
	k.raw([]byte{0x57, 0x60})
	k.raw([]byte{0x00, 0x21, 0x45})
	k.want("data passes by; IPv4 is not spoken here", "LCP Protocol-Reject 2: 002145")
	k.in(ProtoIPV6CP, EchoRequest, 2, "00000000")
	k.want("RFC 5072 section 4: IPV6CP has codes 1 to 7 only", "IPV6CP Code-Reject 2: 0902000800000000")
	k.in(ProtoIPV6CP, ConfigureRequest, 9, "010a0000000000000008")
	k.want("the peer renegotiates IPV6CP alone, and we keep what we have", "IPv6Down{}",
		"IPV6CP Configure-Request 3: 010a021122fffe334455", "IPV6CP Configure-Ack 9: 010a0000000000000008")
	k.in(ProtoIPV6CP, ConfigureAck, 3, "010a021122fffe334455")
	k.want("up again", fmt.Sprintf("IPv6Up{Local:%d Peer:8}", 0x0211_22ff_fe33_4455))
	k.l.Down(k.now)
	k.want("carrier lost", "IPv6Down{}", paramsDown, "LCPDown{Reason:lower-down Message:}", "Finished{Reason:lower-down Message:}")
	if c, want := k.l.Counters(), (LinkCounters{Unexpected: 1, Rejected: 2}); c != want {
		t.Errorf("%+v", c)
	}
}

// TestInterfaceIDs is RFC 5072 section 4.1 sentence by sentence: one request of
// the peer per row, and what it is answered. Ours is 1.
func TestInterfaceIDs(t *testing.T) {
	tests := []struct {
		name, request, answer string
		config                IPv6Config
	}{
		{"different and not zero", "010a0000000000000002", "Ack 010a0000000000000002", IPv6Config{Peer: 9}},
		{"zero asks to be told", "010a0000000000000000", "Nak 010a0000000000000009", IPv6Config{Peer: 9}},
		{"zero, and nothing configured: a random one, which is not universal", "010a0000000000000000", "Nak 010a0002020202020202", IPv6Config{}},
		{"ours", "010a0000000000000001", "Nak 010a0000000000000009", IPv6Config{Peer: 9}},
		{"ours, and the one configured is ours", "010a0000000000000001", "Nak 010a0002020202020202", IPv6Config{Peer: 1}},
		{"no option", "", "Nak 010a0000000000000009", IPv6Config{Peer: 9}},
		{"the wrong length", "01090000000000000a", "Nak 010a0000000000000009", IPv6Config{Peer: 9}},
		{"nor twice", "010a0000000000000000 010a0000000000000000", "Nak 010a0002020202020202", IPv6Config{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.Local = 1
			k := networking6(t, tt.config)
			k.outs()
			k.in(ProtoIPV6CP, ConfigureRequest, 5, tt.request)
			k.want("", "IPV6CP Configure-"+tt.answer[:3]+" 5: "+tt.answer[4:])
		})
	}
}

func TestInterfaceIDRandom(t *testing.T) {
	tests := []struct {
		name   string
		random byte
		want   string
	}{
		{"the universal bit is off", 0xff, "fdffffffffffffff"},
		{"zero is none", 0, "0000000000000001"},
	}
	for _, tt := range tests {
		k := newTalk(t, LinkConfig{IPv6: &IPv6Config{}, Random: func(b []byte) {
			for i := range b {
				b[i] = tt.random
			}
		}})
		k.begin()
		k.in(ProtoLCP, ConfigureRequest, 1, "")
		k.outs()
		k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
		k.want(tt.name, paramsPPPoE, lcpUp, "IPV6CP Configure-Request 1: 010a"+tt.want)
	}
}

// TestInterfaceIDSuggested: what the peer would rather have us be.
func TestInterfaceIDSuggested(t *testing.T) {
	k := networking6(t, IPv6Config{Local: 1, Peer: 9})
	k.outs()
	k.in(ProtoIPV6CP, ConfigureNak, 1, "010a0000000000000005 020400ff")
	k.want("MUST be sent with the identifier suggested", "IPV6CP Configure-Request 2: 010a0000000000000005")
	k.in(ProtoIPV6CP, ConfigureNak, 2, "01090000000000000a")
	k.want("the wrong length says nothing", "IPV6CP Configure-Request 3: 010a0000000000000005")
	k.in(ProtoIPV6CP, ConfigureNak, 3, "010a0000000000000000")
	k.want("nor can we be nobody: another of our own choice", "IPV6CP Configure-Request 4: 010a0002020202020202")
	k.in(ProtoIPV6CP, ConfigureRequest, 1, "010a0000000000000007")
	k.in(ProtoIPV6CP, ConfigureNak, 4, "010a0000000000000007")
	k.want("what the peer has itself is none for us either", "IPV6CP Configure-Ack 1: 010a0000000000000007", "IPV6CP Configure-Request 5: 010a0103030303030303")
	k.in(ProtoIPV6CP, ConfigureRequest, 2, "010a0103030303030303")
	k.want("a collision", "IPV6CP Configure-Nak 2: 010a0000000000000009")
	k.in(ProtoIPV6CP, ConfigureNak, 5, "010a0000000000000009")
	k.want("the same suggestion as ours: is that us? A new one MUST be chosen", "IPV6CP Configure-Request 6: 010a0404040404040404")
	k.in(ProtoIPV6CP, ConfigureReject, 6, "010a0404040404040404")
	k.want("the peer does not speak of it", "IPV6CP Configure-Request 7:")
	k.in(ProtoIPV6CP, ConfigureNak, 7, "010a0000000000000009")
	k.want("nor do we then", "IPV6CP Configure-Request 8:")
	k.in(ProtoIPV6CP, ConfigureRequest, 3, "")
	k.want("it left the option out, after one Nak: it does not know it", "IPV6CP Configure-Ack 3:")
	k.in(ProtoIPV6CP, ConfigureAck, 8, "")
	k.want("up", fmt.Sprintf("IPv6Up{Local:%d Peer:0}", 0x0404_0404_0404_0404))
}

// TestInterfaceIDCollision: two ends that begin alike end differently.
func TestInterfaceIDCollision(t *testing.T) {
	tests := []struct {
		name string
		a, b IPv6Config
	}{
		{"both configured alike", IPv6Config{Local: 1}, IPv6Config{Local: 1}},
		{"and both suggest alike", IPv6Config{Local: 1, Peer: 2}, IPv6Config{Local: 1, Peer: 2}},
		{"one is random", IPv6Config{Local: 1, Peer: 2}, IPv6Config{}},
		{"each wants to be what the other suggests", IPv6Config{Local: 1, Peer: 1}, IPv6Config{Local: 1, Peer: 1}},
	}
	for _, tt := range tests {
		s, c := server(AuthMSCHAPv2), client("user", "secret")
		s.IPv4, c.IPv4, s.IPv6, c.IPv6 = nil, nil, &tt.a, &tt.b
		p := newISP(t, s, c)
		p.acksRepeat()
		p.begin()
		p.runUntil(tt.name, time.Minute, func() bool { return p.a.net6 != nil && p.b.net6 != nil })
		p.agree(t)
		if p.a.net6.Peer == 0 || p.b.net6.Peer == 0 {
			t.Errorf("%s: %+v, %+v", tt.name, p.a.net6, p.b.net6)
		}
	}
}

// TestIPV6CPEnds: without another layer the link ends with it.
func TestIPV6CPEnds(t *testing.T) {
	up := func() *talk {
		k := networking6(t, IPv6Config{Local: 1})
		k.in(ProtoIPV6CP, ConfigureRequest, 1, "010a0000000000000002")
		k.in(ProtoIPV6CP, ConfigureAck, 1, "010a0000000000000001")
		k.outs()
		return k
	}
	k := up()
	k.in(ProtoIPV6CP, TerminateRequest, 1, "7175696574")
	k.want("the peer ends IPV6CP", "IPv6Down{}", "IPV6CP Terminate-Ack 1:")
	k.wait(3 * time.Second)
	k.want("nothing is left", paramsDown, "LCPDown{Reason:no-network-layer Message:quiet}", `LCP Terminate-Request 2: "no-network-layer"`)
	for _, p := range []string{"8057", "0057"} {
		k = up()
		k.in(ProtoLCP, ProtocolReject, 1, p+"0101")
		k.want("the peer has no IPv6 after all", "IPv6Down{}", paramsDown, "LCPDown{Reason:no-network-layer Message:}", `LCP Terminate-Request 2: "no-network-layer"`)
	}
	k = networking6(t, IPv6Config{Local: 1})
	k.outs()
	k.wait(30 * time.Second)
	if got := k.outs(); got[len(got)-2] != "LCPDown{Reason:no-network-layer Message:}" {
		t.Errorf("no answer: %v", got)
	}
}
