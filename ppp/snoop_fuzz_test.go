package ppp

import "testing"

// FuzzSnoop holds, for any frames: events and state agree, and every text is
// fit to be shown.
func FuzzSnoop(f *testing.F) {
	add := func(frames ...[]byte) {
		var in []byte
		for i, fr := range frames {
			in = append(in, byte(i&1)<<7|byte(len(fr)))
			in = append(in, fr...)
		}
		f.Add(in)
	}
	open := [][]byte{lcpFrame(ConfigureRequest, 1), lcpFrame(ConfigureRequest, 5, octetsPAP), lcpFrame(ConfigureAck, 5, octetsPAP), lcpFrame(ConfigureAck, 1)}
	add(append(open, snoopFrame(ProtoPAP, 1, 1, "\x03bob\x03foo"), snoopFrame(ProtoPAP, 2, 1, "\x02\x1b!"), lcpFrame(TerminateRequest, 1, "\x07"), lcpFrame(TerminateAck, 1))...)
	add(append(open, snoopFrame(ProtoIPCP, ConfigureRequest, 1, octetsAddress), snoopFrame(ProtoIPCP, ConfigureRequest, 1, octetsPeer),
		snoopFrame(ProtoIPCP, ConfigureAck, 1, octetsPeer), snoopFrame(ProtoIPCP, ConfigureAck, 1, octetsAddress))...)
	f.Fuzz(func(t *testing.T, in []byte) {
		s := NewSnoop()
		for len(in) > 0 {
			fromAC, n := in[0]&0x80 != 0, min(int(in[0]&0x7f), len(in)-1)
			frame := in[1 : 1+n]
			in = in[1+n:]
			before := s.State()
			var ev SnoopEvents
			if fromAC {
				ev = s.FromAC(frame)
			} else {
				ev = s.FromUser(frame)
			}
			after := s.State()
			for _, c := range []struct {
				name           string
				before, after  bool
				opened, closed SnoopEvents
			}{
				{"LCP", before.LCPOpen, after.LCPOpen, SnoopLCPOpened, SnoopLCPClosed},
				{"IPCP", before.NetworkOpen, after.NetworkOpen, SnoopNetworkOpened, SnoopNetworkClosed},
				{"IPV6CP", before.IPv6Open, after.IPv6Open, SnoopIPv6Opened, SnoopIPv6Closed},
			} {
				if ev.Has(c.opened) != (!c.before && c.after) || ev.Has(c.closed) != (c.before && !c.after) {
					t.Fatalf("%s open: %v, then %v, by %q", c.name, c.before, c.after, ev)
				}
			}
			if !after.LCPOpen && (after.NetworkOpen || after.IPv6Open || after.AuthOK || after.Address.IsValid()) {
				t.Fatalf("LCP is closed, and yet %+v", after)
			}
			for _, text := range []string{after.User, after.Message, after.TerminateText} {
				if text != Printable([]byte(text)) {
					t.Fatalf("text %q", text)
				}
			}
		}
	})
}
