package gateway

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/frame"
	"tributary/ppp"
)

// Echoes go straight across, and nothing else that is not data does.
func TestEchoesCross(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 7)
		ask, answer := lcp(ppp.EchoRequest, 1, []byte("user")), lcp(ppp.EchoReply, 1, []byte("isp!"))
		u.send(ask)
		if got := r.ac.wantPPP(7, "the user asks"); !bytes.Equal(got, ask) {
			t.Errorf("the AC got % x", got)
		}
		r.ac.sendPPP(7, answer)
		if got := u.want("the AC answers"); !bytes.Equal(got, answer) {
			t.Errorf("the user got % x", got)
		}
		r.ac.sendPPP(7, lcp(ppp.EchoRequest, 9, []byte("isp!")))
		u.want("the AC asks")

		s := r.gw.snapshot()[0]
		malformed := [][]byte{
			{0xc0, 0x21, 9},                                   // ends within its header
			{0xc0, 0x21, 9, 1, 0, 3},                          // shorter than its header
			{0xc0, 0x21, 9, 1, 0xff, 0xff, 1, 2, 3, 4},        // longer than it is
			{0xc0, 0x21, 10, 1, 0, 0},                         // nothing at all
			append([]byte{0xc0, 0x21}, lcp(1, 1, nil)[2:]...), // no echo
		}
		for _, f := range malformed {
			if isEcho(f) {
				t.Errorf("% x would go straight across", f)
			}
		}
		for _, f := range malformed[:4] {
			u.send(f)
			r.ac.wantNothing("a malformed LCP packet goes nowhere")
			r.ac.sendPPP(7, f)
			u.wantNothing("in neither direction")
		}
		if s.state != stateUp {
			t.Error("the session is not up any more")
		}
		r.end()
	})
}

// What comes in one read leaves in its order, whoever carries it.
func TestEchoesKeepTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 7)
		var batch []*frame.Buf
		want := [][]byte{
			ipv4(100, 1),
			lcp(ppp.EchoReply, 3, []byte("user")),
			lcp(ppp.ProtocolReject, 4, []byte{0x80, 0x57}),
			lcp(ppp.EchoRequest, 5, []byte("user")),
			lcp(ppp.TerminateRequest, 6, nil),
		}
		for _, f := range want {
			b := r.pool.Get()
			b.SetBytes(f)
			batch = append(batch, b)
		}
		if err := u.line.Write(batch); err != nil {
			t.Fatal(err)
		}
		for _, b := range batch {
			b.Put()
		}
		synctest.Wait()
		for i, f := range want {
			if got := r.ac.wantPPP(7, "what the user sent"); !bytes.Equal(got, f) {
				t.Errorf("frame %d: the AC got % x, wanted % x", i, got, f)
			}
		}
		r.end()
	})
}

// The gateway's own Echo-Requests are its own affair, and come as often as they
// are configured to, on a timer that is always a little late.
func TestWatchKeepsItsInterval(t *testing.T) {
	g := &Gateway{born: time.Now()}
	s := &session{g: g, up: &uplink{}}
	const every = time.Second
	at := g.onTick(g.born.Add(every))
	s.watch.at = at
	for range 5 {
		s.watchNext(s.watch.at.Add(50*time.Microsecond), every)
		if d := s.watch.at.Sub(at); d != every {
			t.Fatalf("looks are %v apart, configured %v", d, every)
		}
		at = s.watch.at
	}
	late := at.Add(time.Minute)
	if s.watchNext(late, every); !s.watch.at.After(late) || s.watch.at.Sub(late) > watchGrid {
		t.Errorf("after a standstill the next look is at %v", s.watch.at.Sub(late))
	}
}
