package gateway

import (
	"encoding/binary"
	"fmt"
	"time"

	"tributary/ppp"
)

// echo finds an AC that has gone without a word. A session on which nothing
// came from the AC for a while is asked, by an LCP Echo-Request of our own;
// as long as anything comes, none is sent.
type echo struct {
	at       time.Time // the next look
	heard    bool      // a control frame came since the last look
	frames   uint64    // data frames from the AC at the last look
	failures int       // requests without an answer, in a row
	id       uint8
	cookie   uint64 // in the request's data; tells our reply from one for the user
}

func (s *session) echoStart(now time.Time) {
	cfg := s.up.cfg.Echo
	if cfg.Interval <= 0 {
		return
	}
	e := &s.echo
	var cookie [8]byte
	s.g.random(cookie[:])
	e.cookie = binary.BigEndian.Uint64(cookie[:])
	e.at, e.failures, e.heard = now.Add(cfg.Interval), 0, false
	e.frames = s.stats.downFrames.Load()
}

func (s *session) echoTick(now time.Time) {
	e, cfg := &s.echo, s.up.cfg.Echo
	frames := s.stats.downFrames.Load()
	if e.heard || frames != e.frames {
		e.heard, e.frames, e.failures = false, frames, 0
		e.at = now.Add(cfg.Interval)
		return
	}
	if e.failures >= cfg.Failures {
		s.teardown(now, ReasonACSilent, fmt.Sprintf("nothing from the AC for %v, and no answer to %d LCP echoes", cfg.Interval*time.Duration(e.failures+1), e.failures))
		return
	}
	e.failures++
	e.id++
	e.at = now.Add(cfg.Interval)
	// RFC 1661 section 5.8: the Magic-Number is that of the sender, and to
	// the AC the sender is the user.
	s.toAC(ppp.AppendEchoRequest(nil, e.id, s.snoop.State().UserMagic, e.cookie))
}

// echoReply reports whether f answers a request of ours; the user asked for
// nothing and is not shown it.
func (s *session) echoReply(f []byte) bool {
	e := &s.echo
	return e.id != 0 && ppp.IsEchoReply(f, e.id, e.cookie)
}
