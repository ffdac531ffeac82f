package lab

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// station is a host that says only what the test has it say, and remembers what
// it hears.
type station struct {
	t    *testing.T
	p    *place
	port *ether.HubPort

	mu  sync.Mutex
	got []heardFrame
}

type heardFrame struct {
	hdr     ether.Header
	code    pppoe.Code
	sid     uint16
	packet  pppoe.Packet // discovery
	ppp     []byte
	padding []byte
}

func (p *place) station() *station {
	s := &station{t: p.t, p: p, port: p.port()}
	go s.read()
	p.ended = append(p.ended, func() { s.port.Close() })
	return s
}

// leave takes every station off the cable, and ends the access concentrator.
func (p *place) leave() {
	p.t.Helper()
	p.ac.Forget()
	for _, f := range p.ended {
		f()
	}
	synctest.Wait()
	p.close()
}

func (s *station) read() {
	bufs := getBufs(s.p.pool, 16)
	defer putBufs(bufs)
	for {
		n, err := s.port.ReadBatch(bufs)
		if err != nil {
			return
		}
		for _, b := range bufs[:n] {
			hdr, payload, _ := ether.Parse(b.Bytes())
			if hdr.Dst == pppoe.Broadcast {
				continue // another station's PADI
			}
			h, inner, err := pppoe.ParseHeader(payload)
			if err != nil {
				s.t.Errorf("ill-formed: % x", payload)
			}
			f := heardFrame{hdr: hdr, code: h.Code, sid: h.SessionID, padding: bytes.Clone(payload[pppoe.HeaderLen+len(inner):])}
			if h.Code == pppoe.SessionStage {
				f.ppp = bytes.Clone(inner)
			} else if f.packet, err = pppoe.ParsePacket(bytes.Clone(payload)); err != nil {
				s.t.Errorf("ill-formed: % x", payload)
			}
			s.mu.Lock()
			s.got = append(s.got, f)
			s.mu.Unlock()
		}
	}
}

func (s *station) send(dst pppoe.MAC, packet []byte) {
	s.t.Helper()
	b := s.p.pool.Get()
	defer b.Put()
	hdr := ether.Header{Dst: dst, Src: s.port.MAC(), Type: ether.TypeDiscovery}
	if packet[1] == byte(pppoe.SessionStage) {
		hdr.Type = ether.TypeSession
	}
	b.SetBytes(packet)
	ether.Prepend(b, &hdr)
	if _, err := s.port.WriteBatch([]*frame.Buf{b}); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

// ask sends a PADI or PADR with uniq as Host-Uniq.
func (s *station) ask(dst pppoe.MAC, code pppoe.Code, uniq string, tags ...pppoe.Tag) {
	s.t.Helper()
	p := pppoe.Packet{Code: code, Tags: append([]pppoe.Tag{
		pppoe.StringTag(pppoe.TagServiceName, "internet"), pppoe.StringTag(pppoe.TagHostUniq, uniq)}, tags...)}
	s.send(dst, p.Append(nil))
}

func (s *station) next() (f heardFrame, ok bool) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return f, false
	}
	f, s.got = s.got[0], s.got[1:]
	return f, true
}

func (s *station) want(code pppoe.Code, why string) heardFrame {
	s.t.Helper()
	f, ok := s.next()
	if !ok || f.code != code {
		s.t.Fatalf("%s: got %v (%v), want %v", why, f.code, ok, code)
	}
	return f
}

func (s *station) wantNothing(why string) {
	s.t.Helper()
	if f, ok := s.next(); ok {
		s.t.Fatalf("%s: got %v % x", why, f.code, f.ppp)
	}
}

// offer is the AC's offer to a PADI.
func (s *station) offer(uniq string) heardFrame {
	s.t.Helper()
	s.ask(pppoe.Broadcast, pppoe.PADI, uniq)
	return s.want(pppoe.PADO, "a PADI")
}

// request takes an offer up.
func (s *station) request(pado heardFrame, uniq string) {
	s.t.Helper()
	cookie, _ := pado.packet.Find(pppoe.TagACCookie)
	s.ask(pado.hdr.Src, pppoe.PADR, uniq, pppoe.Tag{Type: pppoe.TagACCookie, Data: cookie})
}

// open is a whole discovery. What comes of LCP is left in the queue.
func (s *station) open(uniq string) (sid uint16) {
	s.t.Helper()
	s.request(s.offer(uniq), uniq)
	return s.want(pppoe.PADS, "a PADR").sid
}

// skip takes what waits.
func (s *station) skip() {
	for _, ok := s.next(); ok; _, ok = s.next() {
	}
}

func padt(sid uint16) []byte { return pppoe.Packet{Code: pppoe.PADT, SessionID: sid}.Append(nil) }

// wantWords reads the words of an error tag.
func (f *heardFrame) wantWords(t *testing.T, words, why string) {
	t.Helper()
	if text, _ := f.packet.ErrorText(); text != words || f.sid != 0 {
		t.Errorf("%s: session %d, %q, want none and %q", why, f.sid, text, words)
	}
}

// Each quirk as a station on the cable sees it.
func TestQuirks(t *testing.T) {
	full := pppoe.StringTag(pppoe.TagACSystemError, "no free slot")
	lcpRequest := ppp.Packet{Code: ppp.ConfigureRequest, ID: 1}.AppendFrame(nil, ppp.ProtoLCP)
	address := ppp.Option{Type: 3, Data: []byte{10, 64, 0, 2}}
	ipcpRequest := ppp.Packet{Code: ppp.ConfigureRequest, ID: 1, Data: address.Append(nil)}.AppendFrame(nil, ppp.ProtoIPCP)
	session := func(sid uint16, f []byte) []byte {
		b := make([]byte, pppoe.HeaderLen, pppoe.HeaderLen+len(f))
		pppoe.PutHeader(b, pppoe.SessionStage, sid, len(f))
		return append(b, f...)
	}
	for _, tt := range []struct {
		name   string
		cfg    ACConfig
		script func(t *testing.T, p *place, s *station)
	}{
		{"a PADI a second", ACConfig{MinPADIInterval: time.Second}, func(t *testing.T, p *place, s *station) {
			s.offer("a")
			time.Sleep(900 * time.Millisecond)
			s.ask(pppoe.Broadcast, pppoe.PADI, "b")
			s.wantNothing("too soon")
			p.station().offer("a") // another address has a second of its own
			time.Sleep(100 * time.Millisecond)
			s.offer("c") // what was dropped does not count
			if c := p.ac.Counters(); c.EarlyPADI != 1 {
				t.Errorf("%d PADIs dropped", c.EarlyPADI)
			}
		}},
		{"without Host-Uniq", ACConfig{Quirks: Quirks{DropHostUniq: true}}, func(t *testing.T, p *place, s *station) {
			pado := s.offer("a")
			s.request(pado, "a")
			for _, f := range []heardFrame{pado, s.want(pppoe.PADS, "a PADR")} {
				if _, there := f.packet.Find(pppoe.TagHostUniq); there {
					t.Errorf("%v has a Host-Uniq", f.code)
				}
			}
		}},
		{"a fixed Host-Uniq", ACConfig{Quirks: Quirks{WantHostUniq: []byte("key")}}, func(t *testing.T, p *place, s *station) {
			s.ask(pppoe.Broadcast, pppoe.PADI, "guess")
			s.wantNothing("the wrong key")
			pado := s.offer("key")
			s.request(pado, "guess")
			s.wantNothing("the wrong key")
			s.request(pado, "key")
			s.want(pppoe.PADS, "the right key")
			if c := p.ac.Counters(); c.WrongHostUniq != 2 {
				t.Errorf("%d ignored", c.WrongHostUniq)
			}
		}},
		{"silent to a stale session", ACConfig{Echo: 10 * time.Second, Quirks: Quirks{SilentToStale: true}}, func(t *testing.T, p *place, s *station) {
			sid := s.open("a")
			for _, ours := range [][]byte{lcpRequest, ipcpRequest} {
				theirs := s.want(pppoe.SessionStage, "its request").ppp
				theirs[2] = byte(ppp.ConfigureAck)
				s.send(acMAC, session(sid, theirs))
				s.send(acMAC, session(sid, ours))
				s.want(pppoe.SessionStage, "its answer")
			}
			time.Sleep(time.Hour)
			if f := s.want(pppoe.SessionStage, "it believes that we are there"); ppp.Code(f.ppp[2]) != ppp.EchoRequest {
				t.Errorf("got % x", f.ppp)
			}
			s.skip()
			s.ask(pppoe.Broadcast, pppoe.PADI, "b")
			s.wantNothing("there is a session")
			s.send(acMAC, padt(sid))
			s.offer("b")
			if c := p.ac.Counters(); c.SilentToStale != 1 {
				t.Errorf("%d ignored", c.SilentToStale)
			}
		}},
		{"garbage behind the payload", ACConfig{Seed: 7, Quirks: Quirks{Padding: 40}}, func(t *testing.T, p *place, s *station) {
			s.request(s.offer("a"), "a")
			a, b := s.want(pppoe.PADS, "a PADR"), s.want(pppoe.SessionStage, "LCP")
			if len(a.padding) != 40 || len(b.padding) != 40 || bytes.Equal(a.padding, b.padding) || bytes.Equal(a.padding, make([]byte, 40)) {
				t.Errorf("padding % x and % x", a.padding, b.padding)
			}
		}},
		{"another Service-Name", ACConfig{Quirks: Quirks{ServiceName: "basic"}}, func(t *testing.T, p *place, s *station) {
			pado := s.offer("a")
			s.request(pado, "a")
			for f, want := range map[*heardFrame]string{&pado: "internet", ptr(s.want(pppoe.PADS, "a PADR")): "basic"} {
				if name, _ := f.packet.Find(pppoe.TagServiceName); string(name) != want {
					t.Errorf("%v has %q, want %q", f.code, name, want)
				}
			}
		}},
		{"ids used again", ACConfig{Quirks: Quirks{ReuseIDs: true}}, func(t *testing.T, p *place, s *station) {
			one, two := s.open("a"), uint16(0)
			s.skip()
			if two = s.open("b"); one != 1 || two != 2 {
				t.Errorf("ids %d and %d", one, two)
			}
			s.send(acMAC, padt(1))
			s.skip()
			if again := s.open("c"); again != 1 {
				t.Errorf("id %d, want the one that has just become free", again)
			}
			if err := p.ac.Reboot(0, pppoe.MAC{}); err != nil {
				t.Error(err)
			}
			s.skip()
			if again := s.open("d"); again != 1 {
				t.Errorf("id %d after a reboot", again)
			}
		}},
		{"LCP behind the PADS", ACConfig{}, func(t *testing.T, p *place, s *station) {
			s.request(s.offer("a"), "a")
			s.want(pppoe.PADS, "first")
			s.want(pppoe.SessionStage, "and then")
		}},
		{"LCP before the PADS", ACConfig{Quirks: Quirks{LCP: LCPBeforePADS}}, func(t *testing.T, p *place, s *station) {
			s.request(s.offer("a"), "a")
			s.want(pppoe.SessionStage, "first")
			s.want(pppoe.PADS, "and then")
		}},
		{"LCP after the peer", ACConfig{Quirks: Quirks{LCP: LCPAfterPeer}}, func(t *testing.T, p *place, s *station) {
			sid := s.open("a")
			time.Sleep(time.Hour)
			s.wantNothing("it waits")
			s.send(acMAC, session(sid, lcpRequest))
			if f := s.want(pppoe.SessionStage, "its own request"); ppp.Code(f.ppp[2]) != ppp.ConfigureRequest {
				t.Errorf("got % x", f.ppp)
			}
			if f := s.want(pppoe.SessionStage, "its answer"); ppp.Code(f.ppp[2]) != ppp.ConfigureAck {
				t.Errorf("got % x", f.ppp)
			}
		}},
		{"an old cookie is ignored", ACConfig{Quirks: Quirks{CookieLife: 5 * time.Second}}, func(t *testing.T, p *place, s *station) {
			pado := s.offer("a")
			time.Sleep(5 * time.Second)
			s.request(pado, "a")
			s.wantNothing("too late")
			pado = s.offer("b")
			time.Sleep(5*time.Second - 1)
			s.request(pado, "b")
			s.want(pppoe.PADS, "in time")
			if c := p.ac.Counters(); c.OldCookie != 1 || c.TurnedAway != 0 {
				t.Errorf("counters %+v", c)
			}
		}},
		{"an old cookie is refused", ACConfig{Quirks: Quirks{CookieLife: 5 * time.Second, RefuseOldCookies: true}}, func(t *testing.T, p *place, s *station) {
			pado := s.offer("a")
			time.Sleep(5 * time.Second)
			s.request(pado, "a")
			ptr(s.want(pppoe.PADS, "too late")).wantWords(t, "the cookie has expired", "too late")
			if c := p.ac.Counters(); c.OldCookie != 1 || c.TurnedAway != 1 {
				t.Errorf("counters %+v", c)
			}
		}},
		{"full, in silence", ACConfig{MaxPerMAC: 1}, func(t *testing.T, p *place, s *station) {
			s.open("a")
			s.skip()
			s.ask(pppoe.Broadcast, pppoe.PADI, "b")
			s.wantNothing("RFC 2516 section 5.2")
			p.station().open("a")
		}},
		{"full for an address, in words", ACConfig{MaxPerMAC: 1, Quirks: Quirks{Full: &full}}, func(t *testing.T, p *place, s *station) {
			s.open("a")
			s.skip()
			s.request(s.offer("b"), "b")
			ptr(s.want(pppoe.PADS, "the second")).wantWords(t, "no free slot", "the second")
			p.station().open("a")
			if c := p.ac.Counters(); c.TurnedAway != 1 || c.Opened != 2 {
				t.Errorf("counters %+v", c)
			}
		}},
		{"full for all, in words", ACConfig{MaxSessions: 1, Quirks: Quirks{Full: &full}}, func(t *testing.T, p *place, s *station) {
			sid := s.open("a")
			s.skip()
			other := p.station()
			other.request(other.offer("b"), "b")
			ptr(other.want(pppoe.PADS, "the second")).wantWords(t, "no free slot", "the second")
			s.send(acMAC, padt(sid))
			other.open("c")
		}},
		{"PADS three times", ACConfig{}, func(t *testing.T, p *place, s *station) {
			p.ac.SetTrouble(Trouble{DuplicatePADS: 2})
			sid := s.open("a")
			s.skip()
			for range 2 {
				time.Sleep(acTick)
				if f := s.want(pppoe.PADS, "once more"); f.sid != sid {
					t.Errorf("session %d, not %d", f.sid, sid)
				}
				s.skip()
			}
			time.Sleep(acTick)
			if c := p.ac.Counters(); c.Opened != 1 {
				t.Errorf("%d sessions", c.Opened)
			}
		}},
		{"a flood of PADOs", ACConfig{Seed: 3}, func(t *testing.T, p *place, s *station) {
			p.ac.SetTrouble(Trouble{PADOFlood: 100})
			s.ask(pppoe.Broadcast, pppoe.PADI, "a")
			seen := map[pppoe.MAC]bool{}
			for range 101 {
				f := s.want(pppoe.PADO, "an offer")
				name, _ := f.packet.Find(pppoe.TagACName)
				if uniq, _ := f.packet.Find(pppoe.TagHostUniq); string(uniq) != "a" || !strings.HasPrefix(string(name), "lab-ac") || f.hdr.Src.IsMulticast() {
					t.Errorf("an offer of %v that gives itself away: %+v", f.hdr.Src, f.packet)
				}
				seen[f.hdr.Src] = true
			}
			s.wantNothing("more")
			if c := p.ac.Counters(); len(seen) != 101 || !seen[acMAC] || c.Flood != 100 {
				t.Errorf("%d addresses, %+v", len(seen), c)
			}
		}},
		{"a reboot", ACConfig{}, func(t *testing.T, p *place, s *station) {
			pado := s.offer("a")
			s.request(pado, "a")
			s.skip()
			other := pppoe.MAC{2, 0, 0, 0, 0, 9}
			if err := p.ac.Reboot(10*time.Second, other); err != nil {
				t.Fatal(err)
			}
			if n := len(p.ac.Sessions()); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
			time.Sleep(10*time.Second - acTick)
			s.ask(pppoe.Broadcast, pppoe.PADI, "b")
			s.wantNothing("it is away")
			time.Sleep(acTick)
			s.request(pado, "c")
			s.wantNothing("nobody has that address")
			pado.hdr.Src = other
			s.request(pado, "c")
			s.wantNothing("a cookie from before the reboot")
			if fresh := s.offer("d"); fresh.hdr.Src != other {
				t.Errorf("an offer of %v", fresh.hdr.Src)
			}
			if c := p.ac.Counters(); c.Discovery.PADI != 2 || c.Discovery.BadCookie != 1 {
				t.Errorf("it has lost count: %+v", c.Discovery)
			}
			if err := p.ac.Reboot(0, acMAC); err != nil {
				t.Fatal(err)
			}
			if back := s.offer("e"); back.hdr.Src != acMAC {
				t.Errorf("an offer of %v", back.hdr.Src)
			}
			if err := p.ac.Reboot(0, pppoe.Broadcast); err == nil {
				t.Error("an AC with a group address")
			}
		}},
		{"a move", ACConfig{Echo: -1}, func(t *testing.T, p *place, s *station) {
			sid := s.open("a")
			s.skip()
			other := pppoe.MAC{2, 0, 0, 0, 0, 9}
			if err := p.ac.Move(other); err != nil {
				t.Fatal(err)
			}
			s.send(acMAC, session(sid, lcpRequest))
			s.wantNothing("to the old address")
			s.send(other, session(sid, lcpRequest))
			if f := s.want(pppoe.SessionStage, "the session goes on"); f.hdr.Src != other {
				t.Errorf("from %v", f.hdr.Src)
			}
		}},
		{"PADTs are lost", ACConfig{}, func(t *testing.T, p *place, s *station) {
			p.ac.SetTrouble(Trouble{Packet: Lose(FromSubscriber, pppoe.PADT, pppoe.SessionStage)})
			sid := s.open("a")
			s.send(acMAC, padt(sid))
			if n := len(p.ac.Sessions()); n != 1 {
				t.Errorf("%d sessions", n)
			}
			p.ac.SetTrouble(Trouble{})
			s.send(acMAC, padt(sid))
			if n := len(p.ac.Sessions()); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.cfg.Reflect = true
				p := newPlace(t, tt.cfg)
				defer p.leave()
				tt.script(t, p, p.station())
			})
		})
	}
}

func ptr[T any](v T) *T { return &v }

// The same seed gives the same ids, cookies and invented names.
func TestSeed(t *testing.T) {
	play := func(seed uint64) (log string) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlace(t, ACConfig{Seed: seed, Reflect: true, Quirks: Quirks{Padding: 8}})
			defer p.leave()
			p.ac.SetTrouble(Trouble{PADOFlood: 3})
			s := p.station()
			s.ask(pppoe.Broadcast, pppoe.PADI, "a")
			var last heardFrame
			for f, ok := s.next(); ok; f, ok = s.next() {
				log += fmt.Sprintf("%v %x %x\n", f.hdr.Src, f.packet.Append(nil), f.padding)
				last = f
			}
			s.request(last, "a")
			log += fmt.Sprint(s.want(pppoe.PADS, "the last offer is its own").sid)
		})
		return log
	}
	one, again, other := play(1), play(1), play(2)
	if one != again {
		t.Errorf("two runs with one seed differ:\n%s\n%s", one, again)
	}
	if one == other {
		t.Error("another seed makes no difference")
	}
}

// Links have their turns when these are due, whoever comes and goes.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, ACConfig{Reflect: true, Quirks: Quirks{LCP: LCPAfterPeer}})
		defer p.leave()
		s := p.station()
		var sids []uint16
		for i := range 20 {
			sids = append(sids, s.open(fmt.Sprint(i)))
		}
		for _, sid := range sids[:15] { // five have nothing to wait for
			b := make([]byte, pppoe.HeaderLen)
			f := ppp.Packet{Code: ppp.ConfigureRequest, ID: 1}.AppendFrame(nil, ppp.ProtoLCP)
			pppoe.PutHeader(b, pppoe.SessionStage, sid, len(f))
			s.send(acMAC, append(b, f...))
			time.Sleep(100 * time.Millisecond)
		}
		for _, sid := range sids[3:6] {
			s.send(acMAC, padt(sid))
		}
		s.skip()
		time.Sleep(3 * time.Second) // RFC 1661 section 4.6: the Restart timer
		again := map[uint16]int{}
		for f, ok := s.next(); ok; f, ok = s.next() {
			again[f.sid]++
		}
		for i, sid := range sids {
			if want := i < 3 || i >= 6 && i < 15; (again[sid] > 0) != want {
				t.Errorf("session %d has asked %d times", i, again[sid])
			}
		}
		p.ac.call(func() {
			if n := len(p.ac.clock); n != 12 || !slices.ContainsFunc(p.ac.clock, func(s *acSession) bool { return s.place == 0 }) {
				t.Errorf("%d sessions wait for a time", n)
			}
		})
		p.ac.Forget()
		p.ac.call(func() {
			if n := len(p.ac.clock); n != 0 {
				t.Errorf("%d sessions that are over wait", n)
			}
		})
	})
}
