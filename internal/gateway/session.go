package gateway

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// state is how far a session has come.
type state uint8

const (
	stateWaiting     state = iota // the line is up and has not yet said what opens a session
	stateDiscovering              // PPPoE discovery runs
	stateHeld                     // the session is lost, the line is not: it is dialled again
	stateUp                       // the session is open at the AC
	stateEnding                   // torn down; the line is being closed, a late PADS watched for
)

var stateNames = [...]string{"waiting", "discovering", "held", "up", "closing"}

func (s state) String() string { return stateNames[s] }

// Bounds of one session.
const (
	maxUnheard    = 8               // control frames of one line on their way to the owner
	maxFromPort   = 32              // the same from the port: PADOs of many ACs may come at once
	maxHeld       = 4               // frames kept during discovery
	terminateWait = 3 * time.Second // RFC 1661: one Restart time after a Terminate-Ack
	lastWordsWait = 2 * time.Second // for the line to take what waits, before it is cut
)

// session is one subscriber's life on a line. Its owner goroutine alone touches
// the second half of its fields; the first half is for any goroutine.
type session struct {
	g     *Gateway
	owner *owner
	up    *uplink     // nil in mode shared
	sub   *subscriber // mode shared: PPP ends here
	trunk *trunk      // the line of a session that users share
	group *config.Lines
	line  line.Line
	info  line.Info

	forward           atomic.Pointer[forward] // nil while no network data may pass
	out               outbox
	stats             sessionStats
	unheard, fromPort atomic.Int32 // control frames on their way to the owner, from the line and the port
	asked             atomic.Bool  // the gateway has sent an Echo-Request of its own
	expected          atomic.Pointer[key]
	pass              pass // of the uplink's gate, under its lock
	view              atomic.Pointer[view]

	// The owner's.
	state      state
	since      time.Time
	began      time.Time // of discovery
	setUp      time.Duration
	disc       discovery
	rewrite    *ppp.Rewrite
	snoop      *ppp.Snoop
	held       []*frame.Buf
	session    pppoe.Session
	ended      ending
	message    string // the AC's last words
	lineGone   bool
	lineErr    error
	terminator terminator
	termAcked  bool // an LCP Terminate-Request has had its Ack
	authFailed bool
	watch      watch
	redial     redial
	service    service
	changed    bool // what API and CLI see is not what is
	shownPhase ppp.Phase
	shownUser  string

	firstFrameBy time.Time // a line that has said nothing by then is closed
	cutAt        time.Time // the line is cut, whatever still waits
	wakeAt       time.Time // what the timer heap sorts by
	timerIndex   int
}

// handle is one event in the owner's turn.
func (s *session) handle(now time.Time, ev event) {
	switch ev.kind {
	case evLineUp:
		s.lineUp(now)
	case evFromUser:
		if s.sub == nil {
			s.fromUser(now, ev.buf)
		} else {
			s.fromSubscriber(now, ev.buf)
		}
		s.unheard.Add(-1)
	case evFromAC:
		s.fromAC(now, ev.buf)
		s.fromPort.Add(-1)
	case evDiscovery:
		s.fromPort.Add(-1)
		s.discoveryInput(now, ev)
	case evLineDown:
		s.lineGone = true
		s.lineErr, _ = ev.aux.(error)
		reason, message := ReasonHangup, ""
		if s.lineErr != nil {
			reason, message = ReasonLineError, s.lineErr.Error()
		}
		s.teardown(now, reason, message)
		s.lineDown(now)
	case evAdmitted:
		s.admitted(now)
	case evMember:
		s.joined(now, ev)
	case evReused:
		s.reused(now)
	case evEnd:
		e, _ := ev.aux.(ending)
		s.teardown(now, e.reason, e.message)
	case evReplaced:
		s.replaced(now, ev)
	case evAnswer, evTrunkUp, evTrunkDown, evIPv6, evPrefixFree:
		s.subscriberEvent(now, ev)
	}
	s.publish()
}

// tick is the owner's turn when a deadline has come.
func (s *session) tick(now time.Time) {
	if due(now, s.firstFrameBy) {
		s.teardown(now, ReasonFirstFrame, "")
	}
	if due(now, s.cutAt) {
		s.cutAt = time.Time{}
		s.out.kill()
	}
	s.discoveryTick(now)
	if due(now, s.terminator.by) {
		s.terminator.by = time.Time{}
		s.teardown(now, s.terminator.reason, s.terminator.message)
	}
	if due(now, s.watch.at) {
		s.watchTick(now)
	}
	s.redialTick(now)
	if s.sub != nil && s.state == stateUp {
		s.sub.tick(now)
	}
	s.publish()
}

// deadline is the earliest time at which tick has something to do; zero is never.
func (s *session) deadline() time.Time {
	var at time.Time
	for _, t := range [...]time.Time{s.firstFrameBy, s.cutAt, s.discoveryDeadline(), s.terminator.by, s.watch.at, s.redialDeadline()} {
		at = earliest(at, t)
	}
	if s.sub != nil && s.state == stateUp {
		at = earliest(at, s.sub.deadline())
	}
	return at
}

// earliest is the earlier of two times, of which zero is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (s *session) lineUp(now time.Time) {
	s.since, s.changed = now, true
	if s.state != stateWaiting {
		return // ended before it began
	}
	s.g.emit(Event{Time: now, Kind: EventLineUp, Line: s.info.Name, Message: s.info.Remote})
	if s.sub != nil {
		s.state = stateUp
		s.sub.lineUp(now)
		return
	}
	if s.group.FirstFrameTimeout > 0 {
		s.firstFrameBy = now.Add(s.group.FirstFrameTimeout)
	}
	if s.group.Open == config.OpenConnect {
		s.discover(now)
	}
}

// teardown is the one way down, from whichever side it comes: withdraw the
// snapshot and the table entry, tell the other side, and close the line; unless the
// line is to be held for another session, see lose.
func (s *session) teardown(now time.Time, reason Reason, message string) {
	if s.state == stateEnding {
		return
	}
	if d := &s.disc; d.keyed && s.up.port.table.lookup(&d.key) != s {
		// The AC has given the id to another line, and that has not been heard
		// here yet: what is said on it now would be said to the other.
		d.keyed = false
		s.discoveryDone()
	}
	reason, message = s.clientEnd(reason, message)
	if message == "" {
		message = s.message
	}
	if s.authFailed && ownWay[reason] {
		// However it then came down, this is why, and in these words.
		reason = ReasonAuthFailed
		if s.message != "" {
			message = s.message
		}
	}
	if s.holds(reason) {
		s.lose(now, reason, message)
		return
	}
	was := s.state
	s.state, s.changed = stateEnding, true
	s.ended = ending{reason: reason, message: message}
	s.firstFrameBy, s.terminator.by, s.watch.at = time.Time{}, time.Time{}, time.Time{}
	held := s.redial.held()
	s.redial = redial{}

	if s.sub != nil {
		s.sub.close(now, reason)
	}
	fwd := s.forward.Swap(nil)
	s.dropHeld()
	s.parting(fwd, reason)
	s.closeDiscovery(now, message)
	switch was {
	case stateUp:
		if s.sub == nil {
			s.sessionDown(now)
		}
	case stateDiscovering:
		s.up.discovering.Add(-1)
	}

	if s.lineGone {
		s.out.kill()
		return
	}
	if s.sub == nil {
		s.lastWords(reason, message, held)
	}
	s.out.finish()
	s.cutAt = now.Add(lastWordsWait)
}

// ownWay are the ends that PPP peers bring about themselves.
var ownWay = map[Reason]bool{ReasonHangup: true, ReasonUserTerm: true, ReasonACTerm: true, ReasonPADT: true}

// lineDown ends the line's part once its reader has returned. The session may
// live on a little without its line, to answer a late PADS.
func (s *session) lineDown(now time.Time) {
	s.cutAt = time.Time{}
	s.out.kill()
	s.g.forget(s)
	s.g.count(s.ended.reason)
	if s.trunk != nil {
		s.trunk.status.ended(now, s.ended)
	}
	s.g.emit(Event{Time: now, Kind: EventLineDown, Line: s.info.Name, Uplink: s.uplinkName(),
		User: s.user(), Reason: s.ended.reason, Message: s.ended.message})
	s.rewrite, s.snoop = nil, nil
	s.g.gone(s)
}

// lineError is what became of a line, or nil if its user just hung up.
func lineError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, line.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// user is the name the user gave to the ISP, as seen in passing.
func (s *session) user() string {
	if s.sub != nil {
		return s.sub.shownName()
	}
	if s.snoop == nil {
		return ""
	}
	return s.snoop.State().User
}

// uplinkName is the uplink, or in mode shared the session, that carries the line.
func (s *session) uplinkName() string {
	switch {
	case s.sub == nil:
		return s.up.cfg.Name
	case s.sub.trunk != nil:
		return s.sub.trunk.cfg.Name
	}
	return ""
}

// readLine carries what the user sends: control frames to the owner, data
// straight to the AC. It holds no protocol state.
func (s *session) readLine() {
	in := new(batch) // it would escape from the stack, by the line's Read
	for {
		n, err := s.line.Read(in[:])
		if s.sub == nil {
			s.readRelay(in[:n])
		} else {
			s.readShared(in[:n])
		}
		if err != nil {
			s.owner.post(event{s: s, kind: evLineDown, aux: lineError(err)})
			return
		}
	}
}

// readRelay carries what one read gave.
func (s *session) readRelay(in []*frame.Buf) {
	k := 0
	fwd := s.forward.Load()
	for _, b := range in {
		if k > 0 && !s.passesUp(fwd, b) {
			s.sendUp(fwd, in[:k]) // what came before it goes before it
			k = 0
		}
		if s.upstream(fwd, b) {
			in[k] = b
			k++
		}
	}
	s.sendUp(fwd, in[:k])
}

// sendUp sends frames that upstream made ready, and puts them back.
func (s *session) sendUp(fwd *forward, frames []*frame.Buf) {
	if len(frames) == 0 {
		return
	}
	s.stats.sentUp(fwd, frames)
	for _, b := range frames {
		b.Put()
	}
}

// passesUp reports whether frame b from the user is nothing to the owner.
func (s *session) passesUp(fwd *forward, b *frame.Buf) bool {
	return !isControl(b) || fwd != nil && s.unheard.Load() == 0 && isEcho(b.Bytes())
}

// upstream decides about one frame from the user: true if it is now ready for
// the port; otherwise it has been taken over or dropped and counted.
func (s *session) upstream(fwd *forward, b *frame.Buf) bool {
	p, packet, ok := ppp.Split(b.Bytes())
	switch {
	case !ok:
		s.stats.malformed.Add(1)
	case !s.passesUp(fwd, b):
		s.toOwner(b)
		return false
	case fwd == nil:
		s.stats.notOpen.Add(1)
	default:
		if fwd.clamp > 0 {
			clampMSS(p, packet, fwd.clamp)
		}
		if fwd.upstream(b) {
			return true
		}
		s.stats.tooBig.Add(1)
	}
	b.Put()
	return false
}

// toOwner hands the owner a control frame from the user. One line may have only so
// many under way, so that its flood fills no one else's inbox.
func (s *session) toOwner(b *frame.Buf) {
	if s.unheard.Add(1) <= maxUnheard && s.owner.post(event{s: s, kind: evFromUser, buf: b}) {
		return
	}
	s.unheard.Add(-1)
	s.stats.inboxFull.Add(1)
	b.Put()
}

// isEcho reports whether frame is an LCP Echo-Request or Echo-Reply. They change
// nothing in what the owner knows, and on an idle line there is nothing else: so
// they go straight across as data does, and the owners of 50,000 lines sleep. They
// overtake nothing: a control frame that the owner still has is waited behind.
func isEcho(pppFrame []byte) bool {
	p, info, ok := ppp.Split(pppFrame)
	if !ok || p != ppp.ProtoLCP {
		return false
	}
	// One whose Length is impossible is the owner's, who counts it.
	packet, err := ppp.ParsePacket(info)
	return err == nil && (packet.Code == ppp.EchoRequest || packet.Code == ppp.EchoReply)
}

// passesDown reports whether control frame b from the AC is nothing to the owner.
// An Echo-Reply may be the answer to an Echo-Request of the gateway's own.
func (s *session) passesDown(b *frame.Buf) bool {
	return isEcho(b.Bytes()) && s.fromPort.Load() == 0 && s.forward.Load() != nil &&
		!(s.asked.Load() && isLCP(b.Bytes(), ppp.EchoReply))
}

// downstream carries one frame from the AC, which starts at its Protocol field.
// It is called by the port's reader and never waits. If it gives an outbox the
// caller has become the writer of that line and must flush it, soon.
func (s *session) downstream(now time.Duration, b *frame.Buf) *outbox {
	p, packet, ok := ppp.Split(b.Bytes())
	fwd := s.forward.Load()
	switch {
	case !ok:
		s.stats.malformed.Add(1)
		b.Put()
	case !p.IsData() && !s.passesDown(b):
		s.notify(event{s: s, kind: evFromAC, buf: b})
	case fwd == nil:
		s.stats.downNotOpen.Add(1)
		b.Put()
	case s.trunk != nil && p.IsData():
		s.stats.downFrames.Add(1)
		s.stats.downOctets.Add(uint64(b.Len()))
		return s.trunk.downstream(now, b)
	default:
		if fwd.clamp > 0 {
			clampMSS(p, packet, fwd.clamp)
		}
		n := b.Len()
		ok, mine := s.out.push(now, b)
		if ok {
			s.stats.downFrames.Add(1)
			s.stats.downOctets.Add(uint64(n))
		}
		if mine {
			return &s.out
		}
	}
	return nil
}

// notify tells the owner of something from the port, without waiting, and
// reports whether it could. What the owner cannot take, or what one session has
// too much of, is dropped and counted: discovery and PPP repeat what matters.
func (s *session) notify(ev event) bool {
	if s.fromPort.Add(1) <= maxFromPort && s.owner.tryPost(ev) {
		return true
	}
	s.fromPort.Add(-1)
	s.stats.inboxFull.Add(1)
	ev.buf.Put()
	return false
}
