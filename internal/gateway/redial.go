package gateway

import (
	"encoding/binary"
	"fmt"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/ppp"
)

// redial is what a line knows of the session that it lost, and is to have again.
//
// Its user keeps his line and is told nothing. His PPP believes that the link is
// open: what it asks by LCP Echo-Requests is answered here. When there is another
// session, its AC is to him the same peer, which negotiates anew.
type redial struct {
	worked   bool   // the user's network was open: he has something to lose
	lost     ending // why the session was lost; no reason unless the line is held
	magic    uint32 // the Magic-Number of the AC that he believes is there
	wait     time.Duration
	at       time.Time // when it is dialled again
	by       time.Time // when the line is hung up after all
	attempts int
}

// losses are the ends of a session that hold its line, and retries those of the
// attempts after it. Of an ISP that refuses the user he is told in any case.
var (
	losses  = map[Reason]bool{ReasonPADT: true, ReasonACTerm: true, ReasonACSilent: true, ReasonUplinkDown: true}
	retries = map[Reason]bool{ReasonNoAC: true, ReasonRefused: true, ReasonNoLCP: true, ReasonLocalLimits: true}
)

// held reports whether the line waits for another session.
func (r *redial) held() bool { return r.lost.reason != "" }

// holds reports whether a session that ends for this reason is dialled again.
func (s *session) holds(reason Reason) bool {
	r := &s.redial
	if s.group.OnSessionLoss != config.LossRedial || s.sub != nil || s.trunk != nil || s.lineGone || !r.worked || s.g.stopping.Load() {
		return false
	}
	return losses[reason] || r.held() && retries[reason]
}

// lose is what teardown is to a line that is held.
func (s *session) lose(now time.Time, reason Reason, message string) {
	r, cfg := &s.redial, &s.group.Redial
	s.letGo(now, reason, message)
	if !r.held() {
		r.lost, r.wait, r.attempts, r.by = ending{reason: reason, message: message}, 0, 0, now.Add(cfg.Timeout)
	}
	r.wait = min(max(2*r.wait, cfg.Min), cfg.Max)
	// Jitter: an ISP that comes back has lost all lines at once.
	r.at = now.Add(r.wait + time.Duration(s.g.jitter(int64(r.wait)/4+1)))
	s.message = why(reason, message)
	s.g.emit(Event{Time: now, Kind: EventHeld, Line: s.info.Name, Uplink: s.up.cfg.Name, User: s.user(), Reason: reason,
		Message: fmt.Sprintf("dialled again in %v", r.at.Sub(now).Round(time.Millisecond))})
}

// reopen ends the session for another one that is wanted in its place, at once.
func (s *session) reopen(now time.Time, message string) {
	r := &s.redial
	s.letGo(now, ReasonService, message)
	if !r.held() {
		r.lost = ending{reason: ReasonService, message: message}
	}
	r.at, s.message = now, why(ReasonService, message)
	s.g.emit(Event{Time: now, Kind: EventHeld, Line: s.info.Name, Uplink: s.up.cfg.Name, User: s.user(), Reason: ReasonService, Message: message})
}

// letGo ends the session. Nothing is said to the user.
func (s *session) letGo(now time.Time, reason Reason, message string) {
	r, was := &s.redial, s.state
	if s.snoop != nil {
		if m := s.snoop.State().ACMagic; m != 0 {
			r.magic = m
		}
	}
	s.state, s.changed = stateHeld, true
	s.terminator, s.authFailed, s.watch.at = terminator{}, false, time.Time{}
	s.ended = ending{reason: reason, message: message}
	s.parting(s.forward.Swap(nil), reason)
	s.termAcked = false
	s.closeDiscovery(now, message)
	switch was {
	case stateUp:
		s.sessionDown(now)
	case stateDiscovering:
		s.up.discovering.Add(-1)
	}
	s.ended = ending{}
}

// why is a reason and the words that came with it.
func why(reason Reason, message string) string {
	if message == "" {
		return string(reason)
	}
	return string(reason) + ": " + message
}

// redialDeadline is when redialTick has something to do.
func (s *session) redialDeadline() time.Time {
	r := &s.redial
	if s.state == stateHeld && s.disc.client == nil { // else its linger comes first
		return earliest(r.at, r.by)
	}
	return r.by
}

func (s *session) redialTick(now time.Time) {
	r := &s.redial
	switch {
	case due(now, r.by):
		r.by = time.Time{}
		last := r.lost
		last.message = fmt.Sprintf("%s; no session for %v, after %d attempts: %s", why(last.reason, last.message), s.group.Redial.Timeout, r.attempts, s.message)
		r.worked = false // nothing is held any more
		s.teardown(now, last.reason, last.message)
	case s.state == stateHeld && s.disc.client == nil && due(now, r.at):
		r.at = time.Time{}
		r.attempts++
		s.discover(now)
	}
}

func due(now, t time.Time) bool { return !t.IsZero() && !now.Before(t) }

// regained ends the hold: the user's network is open again.
func (s *session) regained() {
	s.redial = redial{worked: true}
}

// fromHeldUser is a control frame from a user whose session is being dialled again.
func (s *session) fromHeldUser(now time.Time, b *frame.Buf) {
	_, info, _ := ppp.Split(b.Bytes())
	p, err := ppp.ParsePacket(info)
	switch {
	case err != nil:
		s.stats.malformed.Add(1)
	case isLCP(b.Bytes(), ppp.ConfigureRequest):
		s.hold(b) // he begins anew himself
		return
	case isLCP(b.Bytes(), ppp.EchoRequest) && len(p.Data) >= magicLen:
		// RFC 1661 section 5.8: "Upon reception of an Echo-Request in the LCP
		// Opened state, an Echo-Reply MUST be transmitted."
		binary.BigEndian.PutUint32(p.Data, s.redial.magic)
		s.toUser(ppp.Packet{Code: ppp.EchoReply, ID: p.ID, Data: p.Data}.AppendFrame(nil, ppp.ProtoLCP))
	case isLCP(b.Bytes(), ppp.TerminateRequest):
		s.toUser(ppp.Packet{Code: ppp.TerminateAck, ID: p.ID}.AppendFrame(nil, ppp.ProtoLCP))
		s.termAcked = true // there is nothing more to be said to him
		s.teardown(now, ReasonUserTerm, ppp.Printable(p.Data))
	default:
		s.stats.notOpen.Add(1)
	}
	b.Put()
}

const magicLen = 4

// terminatedByAC takes an LCP Terminate-Request of the AC's that must not reach a
// user whose line is to be held: it is answered for him. False if the user is to
// have it.
func (s *session) terminatedByAC(now time.Time, f []byte) bool {
	if !isLCP(f, ppp.TerminateRequest) || s.authFailed || !s.holds(ReasonACTerm) {
		return false
	}
	_, info, _ := ppp.Split(f)
	p, err := ppp.ParsePacket(info)
	if err != nil {
		return false
	}
	s.toAC(ppp.Packet{Code: ppp.TerminateAck, ID: p.ID}.AppendFrame(nil, ppp.ProtoLCP))
	s.termAcked = true // nothing more to the AC either, but the PADT
	s.teardown(now, ReasonACTerm, ppp.Printable(p.Data))
	return true
}

// handOver lets the user's PPP go on with the AC of the new session.
func (s *session) handOver(maxMRU int) {
	r := s.rewrite.Handover(maxMRU)
	s.setParams(r)
	if r.ToAC != nil && len(s.held) == 0 { // what he has asked since is newer
		s.snoop.FromUser(r.ToAC)
		s.toAC(r.ToAC)
	}
}
