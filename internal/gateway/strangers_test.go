package gateway

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// Lines that dialled and went leave no debt of PADIs behind.
func TestWhoeverHungUpHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.Uplinks[0].PADIRate = 10 })
		for i := range 300 {
			u := r.dial(fmt.Sprintf("virtual/%d", i))
			u.send(confReq(1, 5, 1, 1, 1, 1))
			u.line.Close()
			synctest.Wait()
		}
		for {
			if _, ok := r.ac.next(); !ok {
				break
			}
		}
		u := r.dial("virtual/good")
		start := time.Now()
		u.send(confReq(1, 5, 1, 1, 1, 1))
		for time.Since(start) < 5*time.Minute {
			if _, ok := r.ac.next(); ok {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		d := time.Since(start)
		if d > 3*time.Second {
			t.Error("lines that are gone hold up others")
		}
		r.end()
	})
}

// strip takes the Host-Uniq out, as some ACs do.
func strip(pkt []byte) []byte {
	p, _ := pppoe.ParsePacket(pkt)
	out := pppoe.Packet{Code: p.Code, SessionID: p.SessionID}
	for _, t := range p.Tags {
		if t.Type != pppoe.TagHostUniq {
			out.Tags = append(out.Tags, t)
		}
	}
	return out.Append(nil)
}

// An AC that drops the Host-Uniq, and a user who hung up between PADR and PADS.
func TestLingeringSearchSwallowsNoPADS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), strip(answer(pppoe.PADO, 0, padi)))
		r.ac.want(pppoe.PADR, "discovery") // lost
		u.line.Close()
		synctest.Wait()
		v := r.dial("virtual/2")
		v.send(confReq(1, 5, 1, 1, 1, 1))
		start := time.Now()
		sid := uint16(100)
		for time.Since(start) < 60*time.Second {
			got, ok := r.ac.next()
			if !ok {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			switch got.code {
			case pppoe.PADI:
				r.ac.send(reply(got.hdr, acMAC), strip(answer(pppoe.PADO, 0, got)))
			case pppoe.PADR:
				sid++
				r.ac.send(got.hdr.Reply(), strip(answer(pppoe.PADS, sid, got)))
			case pppoe.PADT:
			case pppoe.SessionStage:
				if time.Since(start) > 5*time.Second {
					t.Error("late")
				}
				r.end()
				return
			}
		}
		t.Error("never up")
		r.end()
	})
}

// An AC that drops the Host-Uniq, and forty lines at once on one address.
func TestManyLinesWithoutHostUniq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) {
			c.Uplinks[0].OfferWait = 100 * time.Millisecond
			c.Uplinks[0].Discovery.Timeout = 30 * time.Second
		})
		r.gw.jitter = func(n int64) int64 { return n / 3 }
		const N = 40
		for i := range N {
			u := r.dial(fmt.Sprintf("virtual/%d", i))
			u.send(confReq(1, 5, 1, 1, 1, 1))
		}
		start := time.Now()
		up := map[uint16]bool{}
		sid := uint16(100)
		for time.Since(start) < 60*time.Second && len(up) < N {
			got, ok := r.ac.next()
			if !ok {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			switch got.code {
			case pppoe.PADI:
				r.ac.send(reply(got.hdr, acMAC), strip(answer(pppoe.PADO, 0, got)))
			case pppoe.PADR:
				sid++
				r.ac.send(got.hdr.Reply(), strip(answer(pppoe.PADS, sid, got)))
			case pppoe.SessionStage:
				up[got.sid] = true
			}
		}
		if len(up) < N {
			t.Error("not all up")
		}
		r.end()
	})
}

// Each PADS is for the next that asked.
func TestTwoPADSInOneBatchWithoutHostUniq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var padr [2]received
		for i := range 2 {
			u := r.dial(fmt.Sprintf("virtual/%d", i))
			u.send(confReq(1, 5, 1, 1, 1, 1))
			padi := r.ac.want(pppoe.PADI, "discovery")
			r.ac.send(reply(padi.hdr, acMAC), strip(answer(pppoe.PADO, 0, padi)))
			padr[i] = r.ac.want(pppoe.PADR, "discovery")
		}
		r.ac.send(padr[0].hdr.Reply(), strip(answer(pppoe.PADS, 1, padr[0])), strip(answer(pppoe.PADS, 2, padr[1])))
		for _, l := range r.gw.Lines() {
			if l.State != "up" {
				t.Error("not up")
			}
		}
		r.end()
	})
}

// The Host-Uniq was heard by everyone; VLANs and our address must match too.
func TestHostUniqAloneIsNotEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		v, err := ether.MakeVLANs(7)
		if err != nil {
			t.Fatal(err)
		}
		h := reply(padi.hdr, acMAC)
		h.VLANs = v
		r.ac.send(h, answer(pppoe.PADO, 0, padi))
		r.ac.wantNothing("an offer from another VLAN is none")
		r.end()
	})
}

// A station that heard the PADI sends a PADS of its own, and frames behind it.
func TestStrangersPADSOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 0xaa, 0xbb, 0xcc, 0xdd))
		padi := r.ac.want(pppoe.PADI, "seen by all")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "x")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 10, padr))
		r.ac.sendPPP(10, ackOf(r.ac.wantPPP(10, "held")))
		u.want("ack")
		evil := pppoe.MAC{2, 6, 6, 6, 6, 6}
		h := ether.Header{Src: evil, Dst: gwMAC}
		r.ac.send(h, answer(pppoe.PADS, 77, padi), sessionPacket(77, ipv4(30, 666)), sessionPacket(77, lcp(ppp.TerminateRequest, 5, []byte("bye"))))
		u.mu.Lock()
		if len(u.got) != 0 {
			t.Errorf("the user got % x from a stranger", u.got[0])
		}
		u.mu.Unlock()
		r.end()
	})
}

// A PADS that the owner cannot take leaves nothing in the table.
func TestDroppedPADSLeavesNoEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "discovery")
		u.line.Close()
		synctest.Wait()
		s := r.gw.uplinks[0].port
		var sess *session
		for _, e := range s.pending.byUniq {
			sess = e.s
		}
		sess.fromPort.Store(maxUnheard) // as many events under way as may be
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 99, padr))
		sess.fromPort.Store(0)
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if s.table.count.Load() != 0 {
			t.Error("leak")
		}
		r.end()
	})
}

// The user hangs up while a second PADS is on its way to the owner.
func TestPADSAfterTheEndLeavesNoEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "discovery")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 5, padr))
		p := r.gw.uplinks[0].port
		b := r.pool.Get()
		b.SetBytes(answer(pppoe.PADS, 6, padr)) // a second session from the same AC: it heard the PADR twice
		h := padr.hdr.Reply()
		h.Type = ether.TypeDiscovery
		ether.Prepend(b, &h)
		rt, ok := p.route(b)
		if !ok {
			t.Fatal("x")
		}
		u.line.Close()
		synctest.Wait()
		rt.deliver(clock(), b)
		synctest.Wait()
		if p.table.count.Load() != 0 {
			t.Error("leak")
		}
		r.end()
	})
}

// Nor does what is dead take the address of the next session away.
func TestDeadSessionTakesNothingAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.Uplinks[0].MAC = config.MACPerLine })
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "discovery")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 5, padr))
		p := r.gw.uplinks[0].port
		b := r.pool.Get()
		b.SetBytes(answer(pppoe.PADS, 6, padr))
		h := padr.hdr.Reply()
		h.Type = ether.TypeDiscovery
		ether.Prepend(b, &h)
		rt, _ := p.route(b)
		u.line.Close()
		synctest.Wait()
		rt.deliver(clock(), b)
		synctest.Wait()
		for {
			if _, ok := r.ac.next(); !ok {
				break
			}
		}
		v := r.dial("virtual/1")
		v.send(confReq(1, 5, 1, 1, 1, 1))
		padi = r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr = r.ac.want(pppoe.PADR, "discovery")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 6, padr))
		r.ac.wantPPP(6, "up")
		synctest.Wait()
		r.ac.send(padr.hdr.Reply(), sessionPacket(6, ipv4(10, 1)))
		v.mu.Lock()
		if len(v.got) == 0 {
			t.Error("deaf")
		}
		v.mu.Unlock()
		r.end()
	})
}

// RFC 2516 section 5.5: no PPP after a PADT, though the user had asked for the end.
func TestNoPPPAfterPADTUserTerminated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		u.send(lcp(ppp.TerminateRequest, 5, nil))
		r.ac.wantPPP(10, "terminate")
		r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, padt(10))
		if g, ok := r.ac.next(); ok {
			t.Errorf("sent after PADT: %v % x", g.code, g.payload)
		}
		r.end()
	})
}

// The same when the AC had refused the user.
func TestNoPPPAfterPADTAuthFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 0xaa, 0xbb, 0xcc, 0xdd))
		r.ac.grant(10)
		r.ac.sendPPP(10, ackOf(r.ac.wantPPP(10, "the held Configure-Request")))
		u.want("its Ack")
		r.ac.sendPPP(10, confReq(9, 3, 0xc0, 0x23))
		u.send(ackOf(u.want("the AC's Configure-Request")))
		r.ac.wantPPP(10, "ack")
		r.ac.sendPPP(10, ppp.Packet{Code: 3, ID: 1, Data: []byte{2, 'n', 'o'}}.AppendFrame(nil, ppp.ProtoPAP))
		r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, padt(10))
		if g, ok := r.ac.next(); ok {
			t.Errorf("sent after PADT: %v % x", g.code, g.payload)
		}
		r.end()
	})
}

// The words of an AC that refused are not those of the one that served.
func TestRefusalIsForgottenOnceServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		evil := pppoe.MAC{2, 0, 0, 0, 0, 9}
		r.ac.send(reply(padi.hdr, evil), answer(pppoe.PADO, 0, padi, pppoe.StringTag(pppoe.TagGenericError, "full")))
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "x")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 10, padr))
		u.line.Close()
		if e := r.wantEvent(EventLineDown, "hung up"); e.Message != "" {
			t.Errorf("the line went down with %q", e.Message)
		}
		r.ac.wantPPP(10, "the held Configure-Request")
		r.ac.wantPPP(10, "good-bye")
		p, err := pppoe.ParsePacket(r.ac.want(pppoe.PADT, "and the end").payload)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := p.ErrorText(); text == "full" {
			t.Error("the AC that served is told what the other one said")
		}
		r.end()
	})
}
