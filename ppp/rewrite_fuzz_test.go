package ppp

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// rewriteChecker feeds frames to a Rewrite and holds that what it passes on is
// bounded, well-formed, and an answer to what was asked.
type rewriteChecker struct {
	t        *testing.T
	r        *Rewrite
	user, ac []byte // the latest request of each, as it sent it
	toUser   []byte // and as it was told of the other's
	toAC     []byte
}

func (c *rewriteChecker) feed(fromAC bool, frame []byte) {
	before := bytes.Clone(frame)
	p, err := ParsePacket(frame[2:])
	configure := err == nil && p.Code >= ConfigureRequest && p.Code <= ConfigureReject
	if configure {
		_, err = ParseOptions(nil, p.Data)
	}
	request := configure && err == nil && p.Code == ConfigureRequest
	var out Relayed
	if fromAC {
		if request {
			c.ac = p.Append(nil)
		}
		out = c.r.FromAC(frame)
	} else {
		if request {
			c.user = p.Append(nil)
		}
		out = c.r.FromUser(frame)
	}
	if !bytes.Equal(frame, before) {
		c.t.Fatal("the frame that went in was changed")
	}
	if out.Params != c.r.Params() {
		c.t.Fatal("Params are not those of Relayed")
	}
	if err != nil && (out.ToAC != nil || out.ToUser != nil) {
		c.t.Fatalf("ill-formed %x was passed", frame)
	}
	c.check("the user", out.ToUser, c.user, &c.toUser)
	c.check("the AC", out.ToAC, c.ac, &c.toAC)
}

// handover puts another AC in the place of the one there was. It has asked for nothing,
// and is answered nothing.
func (c *rewriteChecker) handover() {
	out := c.r.Handover(PPPoEMRU)
	if out.ToUser != nil || out.Params != c.r.Params() {
		c.t.Fatalf("%+v", out)
	}
	c.ac, c.toAC = nil, nil
	c.check("the AC", out.ToAC, c.ac, &c.toAC)
}

// check checks a frame to one end, given its own latest request.
func (c *rewriteChecker) check(who string, frame, request []byte, told *[]byte) {
	if frame == nil {
		return
	}
	p, err := ParsePacket(frame[2:])
	if err != nil {
		c.t.Fatalf("to %s: %x: %v", who, frame, err)
	}
	if p.Code < ConfigureRequest || p.Code > ConfigureReject {
		return
	}
	if len(frame) > 2+rewriteMaxConfigure {
		c.t.Fatalf("to %s: %d octets", who, len(frame))
	}
	if _, err := ParseOptions(nil, p.Data); err != nil {
		c.t.Fatalf("to %s: %x: %v", who, frame, err)
	}
	data := string(p.Data)
	if p.Code == ConfigureRequest {
		*told = p.Append(nil)
		for o := range modelOptions(data) {
			if who == "the AC" && rewriteOfLine(o[0]) {
				c.t.Fatalf("%x in a request to the AC", o)
			}
			if o[0] == LCPOptMRU && len(o) == 4 && o > octetsMRU1492 {
				c.t.Fatalf("%x in a request to %s", o, who)
			}
		}
		return
	}
	if request == nil || p.ID != request[1] {
		c.t.Fatalf("to %s: an answer to no request: %x", who, frame)
	}
	asked := string(request[HeaderLen:])
	switch p.Code {
	case ConfigureAck:
		if data != asked {
			c.t.Fatalf("to %s: an Ack of %x for a request of %x", who, data, asked)
		}
	case ConfigureReject:
		for o := range modelOptions(data) {
			if !strings.Contains(asked, o) {
				c.t.Fatalf("to %s: a Reject of %x for a request of %x", who, o, asked)
			}
		}
	case ConfigureNak:
		for o := range modelOptions(data) {
			if who == "the AC" && rewriteOfLine(o[0]) && !modelHas(asked, o[0]) {
				c.t.Fatalf("to %s: a Nak of %x for a request of %x", who, o, asked)
			}
		}
	}
}

// FuzzRewrite feeds any octets as LCP, from both sides in any order.
func FuzzRewrite(f *testing.F) {
	// One frame is an octet of length, whose top bit says that the AC sends
	// it, and so many octets of LCP; none is a handover to another AC.
	add := func(frames ...[]byte) {
		var in []byte
		for i, fr := range frames {
			in = append(in, byte(i&1)<<7|byte(len(fr)-2))
			in = append(in, fr[2:]...)
		}
		f.Add(in)
	}
	add(lcpFrame(ConfigureRequest, 1, octetsUserAll), lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU))
	add(lcpFrame(ConfigureRequest, 1, octetsFCS), lcpFrame(ConfigureRequest, 7, octetsMagicA), lcpFrame(ConfigureReject, 7, octetsPFC),
		lcpFrame(ConfigureRequest, 7, octetsMagicA), lcpFrame(ConfigureNak, 8, octetsACCM1), lcpFrame(ConfigureReject, 1, octetsFCS))
	add(lcpFrame(TerminateRequest, 1), lcpFrame(ConfigureRequest, 7, octetsMRU1500),
		lcpFrame(ConfigureAck, 7, octetsMRU1492, octetsACCM0, octetsPFC, octetsACFC))
	add(lcpFrame(ConfigureRequest, 1, octetsUserAll), lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU), lcpFrame(0, 0)[:2],
		lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU), lcpFrame(ConfigureRequest, 7, octetsMagicA))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &rewriteChecker{t: t, r: NewRewrite(RewriteConfig{})}
		for len(in) > 0 {
			fromAC, n := in[0]&0x80 != 0, min(int(in[0]&0x7f), len(in)-1)
			if n == 0 {
				c.handover()
			} else {
				c.feed(fromAC, append([]byte{0xc0, 0x21}, in[1:1+n]...))
			}
			in = in[1+n:]
		}
	})
}

// TestRewriteRandom is for the depths that FuzzRewrite seldom finds: frames
// that are nearly right, from two ends that keep to nothing else.
func TestRewriteRandom(t *testing.T) {
	palette := []string{
		octetsMRU1500, octetsMRU1492, octetsMRU1400, octetsACCM0, octetsACCMxon, octetsACCM1, octetsPAP, octetsCHAP, octetsQuality,
		octetsMagicU, octetsMagicA, octetsPFC, octetsACFC, octetsFCS, octetsEndpoint, "\x01\x02", "\x02\x03\x00", "\x07\x03\x00",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	n := 200000
	if testing.Short() {
		n = 20000
	}
	var total RewriteCounters
	for range n / 100 {
		c := &rewriteChecker{t: t, r: NewRewrite(RewriteConfig{})}
		for range 100 {
			fromAC := rng.IntN(2) == 0
			told := c.toAC
			if !fromAC {
				told = c.toUser
			}
			p := Packet{Code: Code(1 + rng.IntN(5)), ID: uint8(rng.IntN(4))}
			if p.Code != ConfigureRequest && told != nil && rng.IntN(8) > 0 {
				p.ID = told[1]
				for o := range modelOptions(string(told[HeaderLen:])) {
					if p.Code == ConfigureAck || rng.IntN(2) == 0 {
						p.Data = append(p.Data, o...)
					}
				}
			}
			if p.Code != ConfigureAck && p.Code != ConfigureReject || rng.IntN(8) == 0 {
				for range rng.IntN(4) {
					p.Data = append(p.Data, palette[rng.IntN(len(palette))]...)
				}
			}
			c.feed(fromAC, p.AppendFrame(nil, ProtoLCP))
		}
		k := c.r.Counters()
		total.Stale += k.Stale
		total.Mismatched += k.Mismatched
		total.Rejected += k.Rejected
		total.Absorbed += k.Absorbed
	}
	t.Logf("%d frames; not passed on: %+v", n, total)
	if total.Stale == 0 || total.Mismatched == 0 || total.Rejected == 0 || total.Absorbed == 0 {
		t.Error("something never happened: the frames are not random enough")
	}
}
