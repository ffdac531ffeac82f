package ppp

import (
	"testing"
	"time"
)

// linkStages bring a pair to where FuzzLinkInput starts. Its fuzzed end is the
// server in the even ones and the client in the odd.
var linkStages = []func(p *pair){
	func(p *pair) {},
	func(p *pair) { p.a.link.Open(p.now); p.b.link.Open(p.now) },
	func(p *pair) { p.begin() },
	func(p *pair) { p.begin(); p.run(delay) },
	func(p *pair) { p.begin(); p.run(2 * delay) },
	func(p *pair) { p.begin(); p.run(3 * delay) },
	func(p *pair) { p.begin(); p.run(4 * delay) },
	func(p *pair) { p.begin(); p.run(6 * delay) },
	func(p *pair) { p.begin(); p.run(time.Second) },
	func(p *pair) { p.begin(); p.run(time.Second); p.a.link.Close(p.now); p.b.link.Close(p.now) },
	func(p *pair) { p.begin(); p.run(time.Second); p.a.link.Close(p.now); p.run(2 * delay) },
	func(p *pair) { p.begin(); p.run(time.Second); p.a.link.Close(p.now); p.run(time.Minute) },
}

// FuzzLinkInput gives a Link frames in any of its phases. data is a list of
// frames, each behind one octet: its length, or from 0xf0 on another event, or
// an answer that fits what the Link asked last.
// However it goes, the Link keeps its contract (which drain checks), says
// little, fits its frames into the peer's MRU, and ends when the peer is gone,
// unless that has rejected echoes.
func FuzzLinkInput(f *testing.F) {
	frame := func(p Protocol, c Code, id uint8, data string) []byte {
		b := Packet{c, id, unhex(data)}.AppendFrame(nil, p)
		return append([]byte{byte(len(b))}, b...)
	}
	seeds := [][]byte{
		frame(ProtoLCP, ConfigureRequest, 1, "010405dc 0206000a0000 0305c22305 0506aaaaaaaa 0702 0802 1104ffff"),
		frame(ProtoLCP, ConfigureRequest, 1, "0506aaaaaaaa"),
		frame(ProtoLCP, ConfigureNak, 1, "0304c023"),
		frame(ProtoLCP, ConfigureReject, 1, "0702"),
		frame(ProtoLCP, TerminateRequest, 1, "6279"),
		frame(ProtoLCP, TerminateAck, 1, ""),
		frame(ProtoLCP, CodeReject, 1, "09010008 00000000"),
		frame(ProtoLCP, ProtocolReject, 1, "8021 0101"),
		frame(ProtoLCP, EchoRequest, 1, "aaaaaaaa 00"),
		frame(ProtoPAP, papRequest, 1, "0475736572 06736563726574"),
		frame(ProtoPAP, papAck, 1, "00"),
		frame(ProtoCHAP, chapChallenge, 1, "04aabbccdd 6e"),
		frame(ProtoCHAP, chapResponse, 2, "04aabbccdd 6e"),
		frame(ProtoIPCP, ConfigureRequest, 1, "030600000000 810600000000 830600000000"),
		frame(ProtoIPCP, ConfigureNak, 1, "0306c6336407"),
		frame(ProtoCHAP, chapChallenge, 1, "10"+rfc2759Challenge+"6e"),
		frame(ProtoCHAP, chapResponse, 2, "31"+rfc2759Value+"75736572"),
		frame(ProtoCHAP, chapSuccess, 1, "533d"),
		frame(ProtoIPV6CP, ConfigureRequest, 1, "010a0000000000000000"),
		frame(ProtoIPV6CP, ConfigureNak, 1, "010a0000000000000007"),
		frame(ProtoIPV6CP, TerminateRequest, 1, ""),
		frame(ProtoLCP, ProtocolReject, 1, "8057 0101"),
		frame(ProtoCCP, ConfigureRequest, 1, "1206"),
		{3, 0x21, 0x45, 0}, {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5},
		{0xf8, 0xff, 0xf9, 0xfa, 0x03, 0x04, 0xc0, 0x23, 0xfb, 0x03, 0x06, 0xc6, 0x33, 0x64, 0x07},
	}
	for stage := range byte(2 * len(linkStages)) {
		for _, s := range seeds {
			f.Add(stage, s)
			f.Add(stage|0x40, s)
		}
	}
	f.Fuzz(func(t *testing.T, stage byte, data []byte) {
		s, c := server(AuthCHAPMD5, AuthPAP), client("user", "secret")
		s.Async, c.Async = stage&0x80 != 0, stage&0x80 != 0
		s.EchoInterval, c.EchoInterval, s.Rechallenge = 10*time.Second, 10*time.Second, time.Minute
		c.Auth = []AuthMethod{AuthPAP}
		if stage&0x40 != 0 {
			s.IPv6, c.IPv6 = &IPv6Config{Local: 1, Peer: 2}, &IPv6Config{}
			s.Auth = []AuthMethod{AuthMSCHAPv2, AuthPAP}
		}
		s.Name, s.Secret = "bras1", "secret"
		p := newISP(t, s, c)
		p.b.secret = "secret"
		linkStages[int(stage&0x3f)/2%len(linkStages)](p)
		e := p.ends()[stage&1]
		p.drain(e)
		p.onFrame = func(from *end, frame []byte) {
			mru := DefaultMRU
			if from.up || from.link.lcp.peer.mru == 0 {
				mru = max(from.link.sendMRU(), minMRU)
			}
			if len(frame)-2 > mru {
				t.Errorf("%d octets for an MRU of %d: %x", len(frame)-2, mru, frame)
			}
			if _, info, ok := Split(frame); !ok {
				t.Errorf("sends %x", frame)
			} else if _, err := ParsePacket(info); err != nil {
				t.Errorf("sends %x: %v", frame, err)
			}
		}
		for len(data) > 0 {
			n, outs, frames := int(data[0]), len(e.out), p.frames
			data = data[1:]
			switch {
			case n < 0xf0:
				n = min(n, len(data))
				e.link.Input(p.now, data[:n])
				data = data[n:]
			case n < 0xf2:
				e.link.Open(p.now)
			case n < 0xf4:
				e.link.Up(p.now)
			case n < 0xf6:
				e.link.Down(p.now)
			case n < 0xf8:
				e.link.Close(p.now)
			case n < 0xfe:
				l := []*fsm{&e.link.lcp.fsm, &e.link.ipcp.fsm, &e.link.ipv6cp.fsm}[(n-0xf8)%3]
				in := Packet{ConfigureAck, l.requestID, l.request}
				if n >= 0xfb && len(data) > 1 { // or a Nak or Reject of what follows
					m := min(int(data[1]), len(data))
					in = Packet{ConfigureNak + Code(data[0]&1), l.requestID, data[:m]}
					data = data[m:]
				}
				e.link.Input(p.now, in.AppendFrame(nil, l.proto))
			default:
				p.now = later(p.now, e.link.Deadline())
				e.link.Tick(p.now)
			}
			p.drain(e)
			if n, m := len(e.out)-outs, p.frames-frames; n > 8 || m > 5 {
				t.Fatalf("one input, %d outs and %d frames: %v", n, m, e)
			}
		}
		// The peer is gone: echoes, or the restart counters, find out.
		for range 100 {
			d := e.link.Deadline()
			if d.IsZero() {
				break
			}
			p.now = later(p.now, d)
			e.link.Tick(p.now)
			p.drain(e)
		}
		if d := e.link.Deadline(); !d.IsZero() || (e.up || e.net != nil || e.net6 != nil) && !e.link.lcp.noEcho {
			t.Errorf("not over: deadline %v, %v", d, e)
		}
		e.link.Down(p.now)
		p.drain(e)
		if e.link.Phase() != PhaseDead {
			t.Errorf("phase %v", e.link.Phase())
		}
	})
}
