package ppp

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
)

// talk is a conversation with one Link, line by line: what it is told, and
// what it says to that.
type talk struct {
	*testing.T
	l    *Link
	now  time.Time
	seen []Out // the Outs of the last input, for what a test must look into
}

// newTalk starts a conversation. Random yields 01 01 .., then 02 02 .., and so on.
func newTalk(t *testing.T, c LinkConfig) *talk {
	if c.Random == nil {
		n := byte(0)
		c.Random = func(b []byte) {
			n++
			for i := range b {
				b[i] = n
			}
		}
	}
	return &talk{T: t, l: NewLink(c), now: start}
}

// begin opens the link and brings up the carrier; its first request is dropped.
func (t *talk) begin() {
	t.l.Open(t.now)
	t.l.Up(t.now)
	t.outs()
}

func (t *talk) outs() (said []string) {
	t.seen = nil
	for o, ok := t.l.Next(); ok; o, ok = t.l.Next() {
		t.seen = append(t.seen, o)
		said = append(said, show(o))
	}
	return said
}

// in gives the Link a packet.
func (t *talk) in(p Protocol, code Code, id uint8, data string) {
	t.raw(Packet{code, id, unhex(data)}.AppendFrame(nil, p))
}

func (t *talk) raw(frame []byte) { t.l.Input(t.now, frame) }

// wait lets time pass, ticking at each deadline, and then wants the Outs of all that.
func (t *talk) wait(d time.Duration) {
	t.Helper()
	until := t.now.Add(d)
	for {
		next := t.l.Deadline()
		if next.IsZero() || next.After(until) {
			break
		}
		t.now = next
		t.l.Tick(t.now)
		if d := t.l.Deadline(); !d.IsZero() && !d.After(t.now) {
			t.Fatalf("Tick at %v leaves the deadline %v", t.now, d)
		}
	}
	t.now = until
}

// want compares all Outs since the last one.
func (t *talk) want(why string, want ...string) {
	t.Helper()
	got := t.outs()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%s:\ngot\n\t%s\nwant\n\t%s", why, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// show is an Out as the tests write it. The data of a packet is in hexadecimal,
// option by option in a Configure packet; what is text is quoted.
func show(o Out) string {
	f, ok := o.(SendFrame)
	if !ok {
		return strings.TrimPrefix(fmt.Sprintf("%T%+v", o, o), "ppp.")
	}
	p, info, _ := Split(f.Frame)
	in, err := ParsePacket(info)
	if err != nil || len(info) != HeaderLen+len(in.Data) {
		return fmt.Sprintf("%v malformed %x: %v", p, info, err)
	}
	code := in.Code.String()
	switch {
	case p == ProtoPAP:
		code = []string{"", "Authenticate-Request", "Authenticate-Ack", "Authenticate-Nak"}[in.Code]
	case p == ProtoCHAP:
		code = []string{"", "Challenge", "Response", "Success", "Failure"}[in.Code]
	}
	s := fmt.Sprintf("%v %s %d:", p, code, in.ID)
	if p != ProtoPAP && p != ProtoCHAP && in.Code <= ConfigureReject {
		opts, _ := ParseOptions(nil, in.Data)
		for _, o := range opts {
			s += fmt.Sprintf(" %x", o.Append(nil))
		}
		return s
	}
	if text := string(in.Data); text != "" && Printable(in.Data) == text {
		return fmt.Sprintf("%s %q", s, text)
	}
	if len(in.Data) == 0 {
		return s
	}
	return fmt.Sprintf("%s %x", s, in.Data)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// Params as they are shown, for PPPoE and before LCP is open.
const (
	paramsPPPoE = "Params{Line:{SendACCM:4294967295 RecvACCM:4294967295 SendPFC:false SendACFC:false} SendMRU:1492 RecvMRU:1492}"
	paramsDown  = "Params{Line:{SendACCM:4294967295 RecvACCM:4294967295 SendPFC:false SendACFC:false} SendMRU:1492 RecvMRU:1500}"
	lcpUp       = "LCPUp{PeerAuth:none LocalAuth:none}"
)

// opened is a Link over PPPoE whose LCP is open, without authentication and
// IPCP unless c says so; it has used one Identifier and one random number.
func opened(t *testing.T, c LinkConfig) *talk {
	k := newTalk(t, c)
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "0506 aaaaaaaa")
	k.in(ProtoLCP, ConfigureAck, 1, string(fmt.Appendf(nil, "%x", k.l.lcp.request)))
	if k.l.lcp.state != stOpened {
		t.Fatalf("LCP is in state %d", k.l.lcp.state)
	}
	k.outs()
	return k
}
