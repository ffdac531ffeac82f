package pppoe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	start = time.Date(2024, 2, 29, 23, 59, 50, 0, time.UTC)
	macA  = MAC{2, 0, 0, 0, 0, 0xa}
	macB  = MAC{2, 0, 0, 0, 0, 0xb}
	macC  = MAC{2, 0, 0, 0, 0, 0xc}
	host1 = MAC{2, 0, 0, 0, 1, 1}
	host2 = MAC{2, 0, 0, 0, 1, 2}

	uniq     = []byte("uniq-1")
	ourUniq  = Tag{Type: TagHostUniq, Data: uniq}
	anyName  = StringTag(TagServiceName, "")
	cookie   = StringTag(TagACCookie, "cookie")
	sameTags = cmpopts.EquateEmpty()
)

// talk is a conversation with one client: who says what, when and why.
type talk struct {
	t   *testing.T
	c   *Client
	now time.Time
}

func newTalk(t *testing.T, cfg ClientConfig) *talk {
	t.Helper()
	if cfg.HostUniq == nil {
		cfg.HostUniq = uniq
	}
	v := &talk{t: t, c: NewClient(cfg), now: start}
	v.c.Start(v.now)
	return v
}

// to moves the clock to d after the start, ticking whenever the client asked.
func (v *talk) to(d time.Duration) {
	v.t.Helper()
	end := start.Add(d)
	for at := v.c.Deadline(); !at.IsZero() && !at.After(end); at = v.c.Deadline() {
		if at.After(v.now) {
			v.now = at
		}
		v.c.Tick(v.now)
		if next := v.c.Deadline(); !next.IsZero() && !next.After(v.now) {
			v.t.Fatalf("Tick left a deadline that has passed")
		}
		if len(v.c.out.items) > 0 && v.now.Before(end) {
			return // let the test see it at its time
		}
	}
	v.now = end
	v.c.Tick(v.now)
}

// hear gives the client a packet.
func (v *talk) hear(src MAC, code Code, sid uint16, tags ...Tag) {
	v.c.Input(v.now, src, Packet{Code: code, SessionID: sid, Tags: tags}.Append(nil))
}

// offer gives it a PADO that will do, from an AC called name.
func (v *talk) offer(src MAC, name string, more ...Tag) {
	v.hear(src, PADO, 0, append([]Tag{StringTag(TagACName, name), anyName, ourUniq, cookie}, more...)...)
}

// next is the next out; offers are passed over, as they are in every talk.
func (v *talk) next() ClientOut {
	for {
		out, ok := v.c.Next()
		if !ok {
			return nil
		}
		if _, isOffer := out.(ClientOffer); !isOffer {
			return out
		}
	}
}

func (v *talk) wantSend(why string, dst MAC, code Code, sid uint16, tags ...Tag) {
	v.t.Helper()
	out := v.next()
	send, ok := out.(Send)
	if !ok {
		v.t.Fatalf("%s: got %+v, want %v", why, out, code)
	}
	p, err := ParsePacket(send.Packet)
	if err != nil {
		v.t.Fatalf("%s: %v", why, err)
	}
	if send.Dst != dst || send.Code != p.Code {
		v.t.Errorf("%s: %v to %v, want %v to %v", why, send.Code, send.Dst, code, dst)
	}
	if diff := cmp.Diff(Packet{Code: code, SessionID: sid, Tags: tags}, p, sameTags); diff != "" {
		v.t.Fatalf("%s: (-want +got)\n%s", why, diff)
	}
}

func (v *talk) wantPADI(why string, at time.Duration) {
	v.t.Helper()
	if v.now.Sub(start) != at {
		v.t.Errorf("%s: it is %v, want %v", why, v.now.Sub(start), at)
	}
	v.wantSend(why, Broadcast, PADI, 0, StringTag(TagServiceName, v.c.cfg.ServiceName), ourUniq)
}

func (v *talk) wantPADR(why string, dst MAC) {
	v.t.Helper()
	v.wantSend(why, dst, PADR, 0, StringTag(TagServiceName, v.c.cfg.ServiceName), ourUniq, cookie)
}

func (v *talk) wantEvent(why string, want ClientOut) {
	v.t.Helper()
	if diff := cmp.Diff(want, v.next(), sameTags, cmpopts.IgnoreFields(Session{}, "Tags")); diff != "" {
		v.t.Fatalf("%s: (-want +got)\n%s", why, diff)
	}
}

func (v *talk) wantQuiet(why string) {
	v.t.Helper()
	if out := v.next(); out != nil {
		v.t.Fatalf("%s: got %T %+v", why, out, out)
	}
}

func (v *talk) wantState(why string, s ClientState) {
	v.t.Helper()
	if v.c.State() != s {
		v.t.Fatalf("%s: %v, want %v", why, v.c.State(), s)
	}
}

// opened brings a talk to an open session 7 with macA.
func opened(t *testing.T, cfg ClientConfig) *talk {
	t.Helper()
	v := newTalk(t, cfg)
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.hear(macA, PADS, 7, anyName, ourUniq)
	v.wantEvent("is answered", ClientOpened{Session{AC: macA, SessionID: 7, ACName: "ac-a", MaxPayload: 1492}})
	return v
}
