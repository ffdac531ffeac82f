package pppoe

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seeds are packets of every kind, for all fuzz tests.
func seeds() [][]byte {
	line, _ := AccessLine{CircuitID: "c", RemoteID: "r", UpRate: 1, DownRate: 2, IWF: true}.Tag()
	var out [][]byte
	for _, p := range []Packet{
		{PADI, 0, []Tag{anyName, ourUniq, line, maxPayloadTag(1500)}},
		{PADO, 0, []Tag{StringTag(TagACName, "ac"), anyName, ourUniq, cookie, StringTag(TagRelaySessionID, "r")}},
		{PADR, 0, []Tag{anyName, ourUniq, cookie, line}},
		{PADS, 7, []Tag{anyName, ourUniq, maxPayloadTag(1500)}},
		{PADS, 0, []Tag{anyName, ourUniq, {Type: TagServiceNameError}, StringTag(TagGenericError, "why\x00")}},
		{PADT, 7, nil},
		{0x0a, 7, []Tag{{TagCredits, []byte{1, 2}}, {0xffff, nil}}},
		{PADS, 0xffff, nil},
	} {
		out = append(out, p.Append(nil))
	}
	return append(out,
		nil,
		[]byte{0x11, 9, 0, 0, 0xff, 0xff},
		[]byte{0x11, 9, 0, 0, 0, 4, 0, 0, 0xff, 0xff},
		[]byte{0x11, 9, 0, 0, 0, 3, 1, 1, 0},
		append(out[0], make([]byte, 20)...),
	)
}

// FuzzPacket: what was parsed and appended parses as the same, the payload is
// what LENGTH says, and nothing reaches beyond it.
func FuzzPacket(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, err := ParseHeader(b)
		if err != nil {
			if _, err2 := ParsePacket(b); err2 == nil {
				t.Fatal("a packet without a header")
			}
			return
		}
		var hdr [HeaderLen]byte
		PutHeader(hdr[:], h.Code, h.SessionID, h.Length)
		if !bytes.Equal(hdr[:], b[:HeaderLen]) || len(payload) != h.Length {
			t.Fatalf("%x became %x", b[:HeaderLen], hdr)
		}
		p, err := ParsePacket(b)
		if err != nil {
			return
		}
		wire := p.Append(nil)
		if len(wire) != p.Len() || len(wire) > HeaderLen+h.Length {
			t.Fatalf("%d octets, Len %d, from %d", len(wire), p.Len(), HeaderLen+h.Length)
		}
		again, err := ParsePacket(wire)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, again, sameTags); diff != "" {
			t.Fatal(diff)
		}
		for _, tag := range p.Tags {
			a, err := ParseAccessLine(tag)
			if err != nil || len(a.CircuitID) > MaxLineID || len(a.RemoteID) > MaxLineID {
				continue
			}
			made, err := a.Tag()
			if err != nil {
				t.Fatal(err)
			}
			b, err := ParseAccessLine(made)
			if diff := cmp.Diff(a, b); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
		}
		text, _ := p.ErrorText()
		if again := PrintableText([]byte(text)); again != text || len(text) > maxText {
			t.Fatalf("%q became %q", text, again)
		}
	})
}

// script reads choices from fuzz data.
type script struct{ b []byte }

func (s *script) next() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *script) bytes(n int) []byte {
	n = min(n, len(s.b))
	out := s.b[:n]
	s.b = s.b[n:]
	return out
}

// packet is a packet as s chooses: raw octets, or one that gets far.
func (s *script) packet() []byte {
	choice := s.next()
	if choice&0x80 != 0 {
		return s.bytes(int(s.next()))
	}
	p := Packet{Code: [...]Code{PADI, PADO, PADR, PADS, PADT}[choice%5], SessionID: [...]uint16{0, 1, 2, 0xffff}[choice>>4&3]}
	for n := s.next() % 8; n > 0; n-- {
		tags := [...]Tag{
			StringTag(TagACName, "ac"), StringTag(TagACName, ""), anyName, StringTag(TagServiceName, "isp"), ourUniq,
			StringTag(TagHostUniq, "other"), {Type: TagGenericError}, StringTag(TagACSystemError, "full"), maxPayloadTag(1500),
			{TagRelaySessionID, []byte{1}}, {TagACCookie, s.bytes(cookieLen)}, {TagACCookie, make([]byte, 1480)},
		}
		p.Tags = append(p.Tags, tags[int(s.next())%len(tags)])
	}
	return p.Append(nil)
}

// FuzzClientInput: whatever comes in and whenever, a client keeps no more than
// its bound, never asks for a time that has passed, sends only what parses, and
// ends with exactly one Done.
func FuzzClientInput(f *testing.F) {
	for _, s := range seeds() {
		f.Add(append([]byte{0, 0x80, byte(len(s))}, s...))
	}
	f.Add([]byte{0, 0x01, 3, 0, 2, 4, 0, 0x13, 2, 2, 4, 0, 0x14, 0})    // PADO, PADS, PADT
	f.Add([]byte{8, 0x01, 3, 0, 2, 4, 3, 0, 0x13, 2, 2, 4, 2, 2, 2, 2}) // PADO, close, PADS
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &script{b: data}
		opts := s.next()
		cfg := ClientConfig{HostUniq: uniq, RequireHostUniq: opts&1 != 0, MaxPayload: 1500}
		if opts&2 != 0 {
			cfg.Prefer = []Preference{{Name: "ac"}}
		}
		if opts&4 != 0 {
			cfg.OfferWait, cfg.Timeout = sec/10, 20*sec
		}
		if opts&8 != 0 {
			cfg.Random = func(n int64) int64 { return int64(opts) % n }
		}
		c, now, done := NewClient(cfg), start, 0
		drain := func() {
			for out, ok := c.Next(); ok; out, ok = c.Next() {
				if done > 0 {
					t.Fatalf("%T after Done", out)
				}
				switch out := out.(type) {
				case Send:
					p, err := ParsePacket(out.Packet)
					if err != nil || len(out.Packet) > maxEthernet || p.Code != out.Code || out.Code == PADI != (out.Dst == Broadcast) {
						t.Fatalf("sent %v to %v: %x, %v", out.Code, out.Dst, out.Packet, err)
					}
				case ClientOpened:
					if !usableID(out.Session.SessionID) || out.Session.MaxPayload < 1492 || out.Session.MaxPayload > 1500 {
						t.Fatalf("opened %+v", out.Session)
					}
				case ClientDone:
					done++
				}
			}
			if len(c.acs) > maxOffers {
				t.Fatalf("%d offers kept", len(c.acs))
			}
			if (c.State() == ClientDown) != (done == 1) {
				t.Fatalf("%v, %d times done", c.State(), done)
			}
		}
		c.Start(now)
		drain()
		for len(s.b) > 0 {
			switch op := s.next(); op % 4 {
			case 0, 1:
				c.Input(now, MAC{2, 0, 0, 0, 0, op >> 2 & 63}, s.packet())
			case 2:
				now = now.Add(time.Duration(op>>2) * sec / 4)
				c.Tick(now)
				if at := c.Deadline(); !at.IsZero() && !at.After(now) {
					t.Fatalf("%v: the deadline %v has passed", c.State(), now.Sub(at))
				}
			case 3:
				if op>>2 == 1 {
					c.Close(now, "why")
				}
			}
			drain()
		}
		c.Close(now, "")
		drain()
		for i := 0; done == 0; i++ {
			if c.Deadline().IsZero() || i > 10 {
				t.Fatalf("%v for ever", c.State())
			}
			c.Tick(c.Deadline())
			drain()
		}
	})
}

// FuzzServerInput: whatever comes in, a server's tables agree with each other
// and stay within their bounds, and it sends only what parses and fits.
func FuzzServerInput(f *testing.F) {
	for _, s := range seeds() {
		f.Add(append([]byte{0, 0x80, byte(len(s))}, s...))
	}
	f.Add([]byte{0, 0x00, 1, 2, 1, 0x02, 2, 2, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &script{b: data}
		srv := NewServer(ServerConfig{ACName: "ac", MAC: acMAC, Services: []string{"isp"}, MaxSessions: 5, MaxPerMAC: 3, MaxPayload: 1500, PADODelay: time.Duration(s.next()&1) * sec})
		now := start
		var lastCookie []byte
		for len(s.b) > 0 {
			op := s.next()
			src := MAC{2, 0, 0, 0, 0, op >> 4 & 3}
			switch op % 8 {
			case 0:
				srv.Input(now, src, s.packet())
			case 1, 2: // with a good cookie, if there is one
				p, err := ParsePacket(s.packet())
				if err != nil {
					continue
				}
				p.Code, p.SessionID = PADR, 0
				p.Tags = append([]Tag{{TagACCookie, lastCookie}}, p.Tags...)
				srv.Input(now, src, p.Append(nil))
			case 3:
				srv.Input(now, src, Packet{PADI, 0, []Tag{anyName}}.Append(nil))
			case 4:
				now = now.Add(time.Duration(op>>3) * sec)
				srv.Tick(now)
			case 5:
				srv.CloseSession(now, src, uint16(s.next()), "why")
			case 6:
				srv.Received(src, uint16(s.next()))
			case 7:
				srv.Input(now, src, Packet{PADT, uint16(s.next()), nil}.Append(nil))
			}
			for out, ok := srv.Next(); ok; out, ok = srv.Next() {
				switch out := out.(type) {
				case Send:
					p, err := ParsePacket(out.Packet)
					if err != nil || len(out.Packet) > maxEthernet || p.Code != out.Code || out.Dst.IsMulticast() {
						t.Fatalf("sent %v to %v: %x, %v", out.Code, out.Dst, out.Packet, err)
					}
					if c, ok := p.Find(TagACCookie); ok {
						lastCookie = c
					}
				case ServerOpened:
					if !usableID(out.SessionID) || srv.sessions[out.SessionID] == nil {
						t.Fatalf("opened %+v", out)
					}
				}
			}
			checkTables(t, srv)
		}
	})
}

func checkTables(t *testing.T, s *Server) {
	if len(s.sessions) > s.cfg.MaxSessions || len(s.fresh) > len(s.sessions) || len(s.delayed) > maxDelayed || max(len(s.spent[0]), len(s.spent[1])) > maxSpent {
		t.Fatalf("%d sessions, %d fresh, %d delayed", len(s.sessions), len(s.fresh), len(s.delayed))
	}
	perMAC := map[MAC]int{}
	for sid, ss := range s.sessions {
		perMAC[ss.peer]++
		if ss.fresh && s.fresh[ss.padr] != sid {
			t.Fatalf("session %d is not found by its PADR", sid)
		}
	}
	if diff := cmp.Diff(perMAC, s.perMAC); diff != "" {
		t.Fatal(diff)
	}
}
