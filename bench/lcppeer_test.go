//go:build linux

package main

import (
	"bytes"
	"testing"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// lcpFrame is what a user's LCP packet looks like when it reaches the AC.
func lcpFrame(sid uint16, p ppp.Packet) []byte {
	h := ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession}
	body := p.AppendFrame(nil, ppp.ProtoLCP)
	var head [pppoe.HeaderLen]byte
	pppoe.PutHeader(head[:], pppoe.SessionStage, sid, len(body))
	return append(append(h.Append(nil), head[:]...), body...)
}

func TestLCPPeerOpensAnswersAndForgets(t *testing.T) {
	const sid = 7
	magic := []byte("user")
	p := newLCPPeer(new(board))
	say := func(why string, code ppp.Code, data []byte, wantBack ppp.Code) []byte {
		t.Helper()
		f := lcpFrame(sid, ppp.Packet{Code: code, ID: 3, Data: data})
		back := p.input(f)
		if back != (wantBack != 0) {
			t.Fatalf("%s: answered %v", why, back)
		}
		if back && ppp.Code(f[codeAt]) != wantBack {
			t.Fatalf("%s: answered by %v, want %v", why, ppp.Code(f[codeAt]), wantBack)
		}
		return f
	}
	say("there is no session yet", ppp.ConfigureRequest, magic, 0)

	p.opened(sid)
	options := ppp.Option{Type: ppp.LCPOptMagic, Data: magic}.Append(nil)
	f := say("whatever is asked for is granted", ppp.ConfigureRequest, options, ppp.ConfigureAck)
	if !bytes.Equal(f[magicAt:], options) {
		t.Errorf("acknowledged % x, want what was asked for, % x", f[magicAt:], options)
	}
	if len(p.asking) != 1 || p.asking[0] != sid {
		t.Errorf("%v are to be asked, want %d: LCP opens in both directions", p.asking, sid)
	}
	say("the user agrees: LCP is open", ppp.ConfigureAck, options, 0)
	say("and agrees again, which changes nothing", ppp.ConfigureAck, options, 0)
	f = say("an Echo-Request has its reply", ppp.EchoRequest, magic, ppp.EchoReply)
	if !bytes.Equal(f[magicAt:], lcpMagic) {
		t.Errorf("the reply has magic % x, want the AC's own, % x", f[magicAt:], lcpMagic)
	}
	say("an Echo-Reply is counted", ppp.EchoReply, magic, 0)
	say("a Terminate-Request has its Ack", ppp.TerminateRequest, nil, ppp.TerminateAck)

	p.closed(sid)
	say("the session is over", ppp.EchoRequest, magic, 0)
	b := p.board
	for name, c := range map[string]struct{ got, want uint64 }{
		"opened": {b.opened.Load(), 1}, "closed": {b.closed.Load(), 1}, "LCP open": {b.lcpOpen.Load(), 1},
		"asked": {b.asked.Load(), 1}, "answered": {b.answered.Load(), 1}, "terminated": {b.terminated.Load(), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s %d, want %d", name, c.got, c.want)
		}
	}
}

func TestLCPPeerSendsDataBack(t *testing.T) {
	p := newLCPPeer(new(board))
	p.opened(1)
	f := lcpFrame(1, ppp.Packet{Code: 1})
	f[protoAt], f[protoAt+1] = 0x00, 0x21
	if !p.input(f) {
		t.Error("an IPv4 packet does not come back: only LCP has an end here")
	}
	if p.input(f[:codeAt]) != true {
		t.Error("a frame too short for LCP is not LCP")
	}
}

func TestLCPPeerAsksEverySessionOnceAPeriod(t *testing.T) {
	const sessions, period = 40, 20 * time.Second
	p := newLCPPeer(new(board))
	for sid := uint16(1); sid <= sessions; sid++ { // as they are given: one after the other
		p.opened(sid)
		p.input(lcpFrame(sid, ppp.Packet{Code: ppp.ConfigureAck}))
	}
	p.opened(5000) // LCP is not open there
	began := time.Unix(0, 0)
	if n := p.due(began, period); n != 0 {
		t.Fatalf("%d at the very beginning", n)
	}
	asked := make(map[uint16]int)
	for s := range 3 * period / time.Second {
		n := p.due(began.Add((s+1)*time.Second), period)
		if n != 2 {
			t.Fatalf("%d are due in second %d: 40 in 20 s are 2 a second, whichever ids they have", n, s+1)
		}
		for range n {
			asked[p.next()]++
		}
	}
	for sid := uint16(1); sid <= sessions; sid++ {
		if asked[sid] != 3 {
			t.Errorf("session %d was asked %d times in three periods", sid, asked[sid])
		}
	}
	if len(asked) != sessions {
		t.Errorf("%d sessions were asked, %d are open", len(asked), sessions)
	}
	for sid := uint16(1); sid <= sessions; sid++ {
		p.closed(sid)
	}
	if n := p.due(began.Add(time.Hour), period); n != 0 || p.open != 0 {
		t.Errorf("%d are due with no session open (%d)", n, p.open)
	}
}
