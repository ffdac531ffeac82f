package gateway

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

func TestRelayConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		r.ac.wantNothing("a silent line costs the ISP nothing")

		u.send(confReq(1, 2, 0, 0, 0, 0)) // ACCM 0
		padi := r.ac.want(pppoe.PADI, "the first LCP frame opens the session")
		if padi.hdr.Dst != pppoe.Broadcast || padi.hdr.Src != gwMAC {
			t.Errorf("PADI from %v to %v", padi.hdr.Src, padi.hdr.Dst)
		}
		p, err := pppoe.ParsePacket(padi.payload)
		if err != nil {
			t.Fatal(err)
		}
		vendor, _ := p.Find(pppoe.TagVendorSpecific)
		id, err := pppoe.ParseAccessLine(pppoe.Tag{Type: pppoe.TagVendorSpecific, Data: vendor})
		if err != nil || id.CircuitID != "gw virtual 1" || id.RemoteID != "test" || !id.IWF {
			t.Errorf("access line %+v, %v: the ISP knows the line by it", id, err)
		}
		u.send(confReq(2, 2, 0, 0, 0, 0))
		u.send(confReq(3, 5, 1, 1, 1, 1))
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "the only offer is taken")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 0x0102, padr))

		got := r.ac.wantPPP(0x0102, "after PADS the held Configure-Request goes out, the newest of three")
		if want := lcp(ppp.ConfigureRequest, 3, nil, option(1, 0x05, 0xd4)...); !bytes.HasSuffix(got, option(5, 1, 1, 1, 1)) && !bytes.Equal(got, want) {
			t.Errorf("held request came as % x", got)
		}
		r.ac.wantNothing("the two older ones have been replaced")
		if e := r.wantEvent(EventSessionUp, "PADS"); e.SID != 0x0102 || e.MAC != acMAC.String() || e.Message != "bras1" {
			t.Errorf("event %+v", e)
		}
		info, ok := r.gw.Line("virtual/1")
		if !ok || info.SessionID != 0x0102 || info.ACName != "bras1" || info.State != "up" || info.Session.Superseded != 2 {
			t.Errorf("line %+v", info)
		}

		u.send(ipv4(100, 7))
		if got := r.ac.wantPPP(0x0102, "data goes straight across"); !bytes.Equal(got, ipv4(100, 7)) {
			t.Errorf("data changed on its way up: % x", got)
		}
		r.ac.sendPPP(0x0102, ipv4(200, 8))
		if got := u.want("data comes back"); !bytes.Equal(got, ipv4(200, 8)) {
			t.Errorf("data changed on its way down: % x", got)
		}

		u.line.Close()
		got = r.ac.wantPPP(0x0102, "carrier lost: PPP's own good-bye first")
		if !isLCP(got, ppp.TerminateRequest) {
			t.Errorf("got % x", got)
		}
		if end := r.ac.want(pppoe.PADT, "then the PADT, so that the ISP frees the session"); end.sid != 0x0102 || end.hdr.Dst != acMAC {
			t.Errorf("PADT %+v", end)
		}
		if e := r.wantEvent(EventLineDown, "hang-up"); e.Reason != ReasonHangup {
			t.Errorf("reason %s", e.Reason)
		}
		if n := r.gw.uplinks[0].port.table.count.Load(); n != 0 {
			t.Errorf("%d entries left in the table", n)
		}
		if len(r.gw.Lines()) != 0 {
			t.Error("the line is still listed")
		}
		r.end()
	})
}

// The AC may send its first frame directly behind the PADS.
func TestFirstFrameOfTheACInThePADSBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "discovery")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 5, padr), sessionPacket(5, confReq(77, 5, 9, 9, 9, 9)))
		r.ac.wantPPP(5, "the held Configure-Request")
		if f := u.want("the AC's first frame is not lost"); !isLCP(f, ppp.ConfigureRequest) {
			t.Errorf("got % x", f)
		}
		r.end()
	})
}

func TestPADTCountsOnlyFromItsOwnAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		tagged, err := ether.MakeVLANs(7)
		if err != nil {
			t.Fatal(err)
		}
		other := pppoe.MAC{2, 9, 9, 9, 9, 9}
		for _, h := range []ether.Header{
			{Dst: gwMAC, Src: other},                // another station
			{Dst: gwMAC, Src: acMAC, VLANs: tagged}, // another VLAN
			{Dst: pppoe.Broadcast, Src: acMAC},      // not to us
		} {
			r.ac.send(h, padt(10))
		}
		r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, padt(11)) // another session
		u.wantNothing("a stranger's PADT ends nothing")
		if n := r.gw.Uplinks()[0].Dropped["foreign_padt"]; n != 4 {
			t.Errorf("%d foreign PADTs counted, not 4", n)
		}
		r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, pppoe.Packet{Code: pppoe.PADT, SessionID: 10,
			Tags: []pppoe.Tag{pppoe.StringTag(pppoe.TagGenericError, "unpaid bill")}}.Append(nil))
		f := u.want("PPP is told before the line goes down")
		if !isLCP(f, ppp.TerminateRequest) || !bytes.Contains(f, []byte("unpaid bill")) {
			t.Errorf("last words %q", f)
		}
		u.wantHangup("PADT from the AC: hang up the line")
		if e := r.wantEvent(EventLineDown, "PADT"); e.Reason != ReasonPADT || e.Message != "unpaid bill" {
			t.Errorf("event %+v: the AC's own words reach the operator", e)
		}
		r.ac.wantNothing("RFC 2516: nothing is sent after a PADT was received")
		r.end()
	})
}

func TestLatePADSGetsItsPADT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		padr := r.ac.want(pppoe.PADR, "discovery")
		u.line.Close()
		r.wantEvent(EventLineDown, "the user hung up during discovery")
		r.ac.send(padr.hdr.Reply(), answer(pppoe.PADS, 99, padr))
		if end := r.ac.want(pppoe.PADT, "late PADS: PADT at once"); end.sid != 99 {
			t.Errorf("PADT for %d", end.sid)
		}
		if n := r.gw.uplinks[0].port.table.count.Load(); n != 0 {
			t.Errorf("%d entries left in the table", n)
		}
		r.end()
	})
}

func TestSilentACIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		time.Sleep(20 * time.Second)
		r.ac.sendPPP(10, ipv4(20, 1))
		u.want("data")
		time.Sleep(29 * time.Second)
		r.ac.wantNothing("something came within the interval, so nothing is asked")
		time.Sleep(32 * time.Second)
		req := r.ac.wantPPP(10, "thirty seconds of silence: an echo of our own")
		if !isLCP(req, ppp.EchoRequest) || !bytes.Equal(req[6:10], []byte{0xaa, 0xbb, 0xcc, 0xdd}) {
			t.Errorf("% x is not an Echo-Request with the user's magic number", req)
		}
		rep := bytes.Clone(req)
		rep[2] = byte(ppp.EchoReply)
		r.ac.sendPPP(10, rep)
		u.wantNothing("the reply to what the user never asked is not shown to him")
		time.Sleep(61 * time.Second)
		r.ac.wantPPP(10, "asked again")
		time.Sleep(90 * time.Second)
		r.ac.wantPPP(10, "and again")
		r.ac.wantPPP(10, "and again")
		u.want("last words")
		u.wantHangup("three in a row went unanswered")
		if e := r.wantEvent(EventLineDown, "AC silent"); e.Reason != ReasonACSilent {
			t.Errorf("reason %s", e.Reason)
		}
		r.end()
	})
}

func TestSilentLineIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(ipv4(50, 1)) // a leftover of an earlier session opens nothing
		r.ac.wantNothing("only a Configure-Request opens a session")
		time.Sleep(61 * time.Second)
		u.wantHangup("a line that says nothing that opens a session")
		if e := r.wantEvent(EventLineDown, "timeout"); e.Reason != ReasonFirstFrame || e.Reason.Code() != 6 {
			t.Errorf("reason %s", e.Reason)
		}
		r.end()
	})
}

func TestNoACAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		time.Sleep(61 * time.Second)
		n := 0
		for got, ok := r.ac.next(); ok; got, ok = r.ac.next() {
			if n++; got.code != pppoe.PADI {
				t.Errorf("the AC got %v", got.code)
			}
		}
		if n < 5 || n > 7 {
			t.Errorf("%d PADIs in a minute of doubling waits", n)
		}
		u.wantHangup("no AC")
		if e := r.wantEvent(EventLineDown, "no AC"); e.Reason != ReasonNoAC || e.Message == "" {
			t.Errorf("event %+v", e)
		}
		r.end()
	})
}

func TestRefusalReachesTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		for i := 0; ; i++ {
			synctest.Wait()
			if _, up := r.gw.Line("virtual/1"); !up {
				break
			}
			if i > 100 {
				t.Fatal("the search for an AC does not end")
			}
			got, ok := r.ac.next()
			if !ok {
				time.Sleep(time.Second)
				continue
			}
			switch got.code {
			case pppoe.PADI:
				r.ac.send(reply(got.hdr, acMAC), answer(pppoe.PADO, 0, got))
			case pppoe.PADR:
				r.ac.send(got.hdr.Reply(), answer(pppoe.PADS, 0, got, pppoe.StringTag(pppoe.TagACSystemError, "no resources\x1b[2J")))
			}
		}
		u.wantHangup("refused")
		e := r.wantEvent(EventLineDown, "refused")
		if e.Reason != ReasonRefused || !bytes.Contains([]byte(e.Message), []byte("no resources")) || bytes.Contains([]byte(e.Message), []byte{0x1b}) {
			t.Errorf("event %+v", e)
		}
		if ac := r.gw.Uplinks()[0].ACs[0]; ac.Refusals == 0 || ac.Name != "bras1" {
			t.Errorf("AC %+v", ac)
		}
		r.end()
	})
}

func TestUserTerminates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		u.send(lcp(ppp.TerminateRequest, 5, []byte("bye")))
		r.ac.wantPPP(10, "the Terminate-Request passes")
		r.ac.sendPPP(10, lcp(ppp.TerminateAck, 5, nil))
		if f := u.want("and so does its Ack"); !isLCP(f, ppp.TerminateAck) {
			t.Errorf("got % x", f)
		}
		r.ac.want(pppoe.PADT, "then the session ends")
		u.wantHangup("and the line")
		if e := r.wantEvent(EventLineDown, "terminated"); e.Reason != ReasonUserTerm || e.Message != "bye" {
			t.Errorf("event %+v", e)
		}
		r.end()
	})
}

func TestACTerminates(t *testing.T) {
	for _, tc := range []struct {
		name string
		ack  bool // the user acks
		padt bool // the AC then sends its PADT
	}{{"acked, PADT", true, true}, {"acked, no PADT", true, false}, {"no ack", false, false}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				u := r.open("virtual/1", 10)
				r.ac.sendPPP(10, lcp(ppp.TerminateRequest, 5, []byte("idle too long")))
				u.want("the Terminate-Request passes")
				if tc.ack {
					u.send(lcp(ppp.TerminateAck, 5, nil))
					r.ac.wantPPP(10, "and so does its Ack")
				}
				if tc.padt {
					r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, padt(10))
				} else {
					time.Sleep(4 * time.Second)
					r.ac.want(pppoe.PADT, "whoever asked for the end may forget it; we do not")
				}
				r.ac.wantNothing("no second end")
				u.wantHangup("the AC ended the session")
				if e := r.wantEvent(EventLineDown, "terminated"); e.Reason != ReasonACTerm || e.Message != "idle too long" {
					t.Errorf("event %+v", e)
				}
				r.end()
			})
		})
	}
}

func TestOperatorHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		if err := r.gw.Hangup("virtual/1"); err != nil {
			t.Fatal(err)
		}
		if f := r.ac.wantPPP(10, "the AC is told by PPP"); !isLCP(f, ppp.TerminateRequest) {
			t.Errorf("got % x", f)
		}
		r.ac.want(pppoe.PADT, "and by PPPoE")
		if f := u.want("and so is the user"); !isLCP(f, ppp.TerminateRequest) {
			t.Errorf("got % x", f)
		}
		u.wantHangup("hung up")
		if err := r.gw.Hangup("virtual/1"); err == nil {
			t.Error("a line that is down can be hung up again")
		}
		r.end()
	})
}

func TestStopEndsEverySession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		var users []*user
		for i := range 3 {
			users = append(users, r.open([]string{"virtual/1", "virtual/2", "virtual/3"}[i], uint16(10+i)))
		}
		silent := r.dial("virtual/4")
		r.stop()
		ended := map[uint16]int{}
		for range 6 {
			if got, _ := r.ac.next(); got.code == pppoe.PADT {
				ended[got.sid]++
			}
		}
		if len(ended) != 3 {
			t.Errorf("PADTs for %v", ended)
		}
		for _, u := range append(users, silent) {
			u.wantHangup("the gateway stops")
		}
		r.end()
	})
}

func TestSessionIDReusedByTheAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := r.open("virtual/1", 10)
		second := r.open("virtual/2", 10)
		first.want("last words")
		first.wantHangup("the AC gave its session to another line")
		r.ac.wantNothing("a PADT for the old one would end the new one")
		r.ac.sendPPP(10, ipv4(40, 2))
		second.want("the session is the second line's now")
		r.end()
	})
}

func TestRestartEndsWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	j, left, err := openJournal(dir, func(err error) { t.Error(err) })
	if err != nil || len(left) != 0 {
		t.Fatal(err, left)
	}
	j.opened(journalEntry{Interface: "eth1", VLANs: []uint16{100, 7}, AC: acMAC, Our: gwMAC, SessionID: 77, Line: "virtual/9"})
	j.opened(journalEntry{Interface: "eth1", AC: acMAC, Our: gwMAC, SessionID: 78})
	j.closed(journalEntry{Interface: "eth1", AC: acMAC, Our: gwMAC, SessionID: 78})
	j.opened(journalEntry{Interface: "eth9", AC: acMAC, Our: gwMAC, SessionID: 79})
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.StateDir = dir })
		got := r.ac.want(pppoe.PADT, "the session that a crash left open")
		if got.sid != 77 || got.hdr.VLANs.String() != "100.7" || got.hdr.Src != gwMAC {
			t.Errorf("PADT %+v", got)
		}
		r.ac.wantNothing("what was closed, or is on another interface, gets none")
		r.end()
	})
	_, left, err = openJournal(dir, func(err error) { t.Error(err) })
	if err != nil || len(left) != 1 || left[0].SessionID != 79 {
		t.Errorf("left %+v, %v: only what could not be ended stays", left, err)
	}
}

// A packet socket goes over the MTU by one tag; a second one takes from PPP.
func TestMTUHoldsPPPToWhatFits(t *testing.T) {
	for _, tc := range []struct {
		vlans []uint16
		mtu   int
		mru   []byte
	}{
		{nil, 1500, []byte{0x05, 0xd4}},              // 1492
		{[]uint16{100}, 1500, []byte{0x05, 0xd4}},    // 1492
		{[]uint16{100, 7}, 1500, []byte{0x05, 0xd0}}, // 1488
		{nil, 1400, []byte{0x05, 0x70}},              // 1392
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *config.Config) { c.Uplinks[0].VLANs = tc.vlans })
			r.restart(func() { r.port.SetMTU(tc.mtu) })
			u := r.dial("virtual/1")
			u.send(confReq(1, 1, 0x05, 0xdc)) // MRU 1500, as old stacks ask
			r.ac.grant(9)
			if got := r.ac.wantPPP(9, "held"); !bytes.Equal(got, confReq(1, 1, tc.mru...)) {
				t.Errorf("%v, MTU %d: the AC is asked % x", tc.vlans, tc.mtu, got)
			}
			r.end()
		})
	}
}
