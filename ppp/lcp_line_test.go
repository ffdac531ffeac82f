package ppp

import (
	"fmt"
	"testing"
	"time"

	"tributary/hdlc"
)

// receiving is a Params as it is shown before LCP is open: only the map to receive by differs.
func receiving(accm uint32) string {
	return fmt.Sprintf("Params{Line:{SendACCM:4294967295 RecvACCM:%d SendPFC:false SendACFC:false} SendMRU:1500 RecvMRU:1500}", accm)
}

// TestLineIsReadyBeforeThePeerOpens: the half for receiving is said in front
// of each frame by which the peer may open, and taken back when it may not.
func TestLineIsReadyBeforeThePeerOpens(t *testing.T) {
	const none = 0xffffffff
	k := newTalk(t, LinkConfig{Async: true, ACCM: 0x000a0000})
	k.l.Open(k.now)
	k.l.Up(k.now)
	k.want("a request alone opens no peer", "LCP Configure-Request 1: 0206000a0000 050601010101")
	k.in(ProtoLCP, ConfigureRequest, 1, "050600000000")
	k.want("nor does a refusal", "LCP Configure-Nak 1: 050602020202")
	k.in(ProtoLCP, ConfigureRequest, 2, "")
	k.want("with our Ack it has but to send its own, and may be open", receiving(0x000a0000), "LCP Configure-Ack 2:")
	k.in(ProtoLCP, ConfigureRequest, 2, "")
	k.want("an Ack again changes nothing", "LCP Configure-Ack 2:")
	k.in(ProtoLCP, ConfigureNak, 1, "020600000001")
	k.want("it has our Ack: the next it may open by is this request", receiving(0x000a0001), "LCP Configure-Request 2: 0206000a0001 050601010101")
	k.wait(3 * time.Second)
	k.want("a repetition changes nothing", "LCP Configure-Request 2: 0206000a0001 050601010101")
	k.in(ProtoLCP, ConfigureRequest, 3, "050600000000")
	k.want("its mind has changed, and our Ack is void", receiving(none), "LCP Configure-Nak 3: 050603030303")
	k.in(ProtoLCP, ConfigureReject, 2, "0206000a0001")
	k.want("it will not have a map", "LCP Configure-Request 3: 050601010101")
	k.in(ProtoLCP, ConfigureRequest, 4, "")
	k.want("so there is nothing to say of it", "LCP Configure-Ack 4:")

	k = newTalk(t, LinkConfig{Async: true, MRU: 1600})
	k.begin()
	k.in(ProtoLCP, ConfigureAck, 1, "01040640 020600000000 050601010101")
	k.want("it has acked, but lacks our Ack")
	k.in(ProtoLCP, ConfigureRequest, 1, "02060000ffff")
	open := "Params{Line:{SendACCM:%d RecvACCM:0 SendPFC:false SendACFC:false} SendMRU:1500 RecvMRU:1600}"
	k.want("it opens by our Ack, we behind it", fmt.Sprintf(open, uint32(none)), "LCP Configure-Ack 1: 02060000ffff", fmt.Sprintf(open, 0xffff), lcpUp)

	k = newTalk(t, LinkConfig{Async: true})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.wait(30 * time.Second)
	if got := k.outs(); len(got) != 11 || got[9] != receiving(none) {
		t.Errorf("the peer has gone, and its line is as before: %q", got)
	}
	k.l.Open(k.now)
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.l.Close(k.now)
	k.want("so it is when we leave", receiving(none), `LCP Terminate-Request 3: "closed"`)

	k = newTalk(t, LinkConfig{Async: true})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.l.Down(k.now)
	k.want("and when the carrier does", receiving(none), "Finished{Reason:lower-down Message:}")
}

// TestMRUsWithinReason: whatever a configuration says, control packets fit and
// the option can say it.
func TestMRUsWithinReason(t *testing.T) {
	for _, tt := range []struct{ mru, most, wantMRU, wantMost int }{
		{0, 0, 1492, 1492},
		{3, 3, 128, 128},
		{-1, -1, 128, 128},
		{1400, 0, 1400, 1492},
		{1 << 20, 1 << 20, 0xffff, 0xffff},
		{1500, 1000, 1000, 1000},
	} {
		c := LinkConfig{MRU: tt.mru, MaxMRU: tt.most}.withDefaults()
		if c.MRU != tt.wantMRU || c.MaxMRU != tt.wantMost {
			t.Errorf("MRU %d, MaxMRU %d: %d, %d", tt.mru, tt.most, c.MRU, c.MaxMRU)
		}
	}
	k := newTalk(t, LinkConfig{MaxMRU: 3})
	k.begin()
	k.in(ProtoLCP, 99, 1, "01040080")
	k.want("a Code-Reject has room", "LCP Code-Reject 2: 6301000801040080")
}

// TestWhatFollowsTheAckInOneRead: a peer that is open by its own Ack sends on
// at once, as was agreed, and the line may give us all of that together.
func TestWhatFollowsTheAckInOneRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		c      LinkConfig
		asks   string // the peer, of us
		behind Packet
		proto  Protocol
		said   string
	}{
		{
			"a dial-in user's PAP request", LinkConfig{Auth: []AuthMethod{AuthPAP}}, "",
			Packet{papRequest, 1, []byte("\x05alice\x03abc")}, ProtoPAP,
			"AuthRequest{ID:1 Method:pap Name:alice Password:abc CHAPID:0 Challenge:[] Response:[]}",
		},
		{
			"an ISP's Challenge", LinkConfig{Name: "alice", Secret: "abc"}, "0305c22305",
			Packet{chapChallenge, 9, []byte("\x01\x11bras1")}, ProtoCHAP,
			fmt.Sprintf("CHAP Response 9: 10%x616c696365", CHAPMD5(9, "abc", []byte{0x11})),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Async, tt.c.PFC, tt.c.ACFC = true, true, true
			k := newTalk(t, tt.c)
			k.begin()
			k.in(ProtoLCP, ConfigureRequest, 1, tt.asks)
			k.outs()
			request := Packet{ConfigureAck, 1, k.l.lcp.request}.AppendFrame(nil, ProtoLCP)
			wire := hdlc.AppendFrame(nil, request, hdlc.Default)
			wire = hdlc.AppendFrame(wire, tt.behind.AppendFrame(nil, tt.proto), hdlc.Params{PFC: true, ACFC: true})

			// A line sets its map once for each read.
			var d hdlc.Decoder
			for _, o := range k.seen {
				if p, ok := o.(Params); ok {
					d.SetACCM(p.Line.RecvACCM)
				}
			}
			buf := make([]byte, DefaultMRU+2)
			for len(wire) > 0 {
				f, n := d.Decode(buf, wire)
				wire = wire[n:]
				if f != nil {
					k.raw(f)
				}
			}
			said := k.outs()
			if got := said[len(said)-1]; got != tt.said {
				t.Errorf("%+v, and at last %s", d.Counters, got)
			}
		})
	}
}
