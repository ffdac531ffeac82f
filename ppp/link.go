package ppp

import (
	"time"
)

// Link is one end of a PPP link: LCP, authentication, IPCP and IPV6CP in one
// machine.
// It does no I/O, starts no goroutine and reads no clock; it is not safe for
// use by more than one goroutine at a time.
//
// The owner gives it what happens, each with the time it happens at:
//
//   - Up and Down: the carrier is there, the carrier is gone.
//   - Open and Close: the link is wanted, the link is not wanted.
//   - Input: a frame arrived from the peer.
//   - Tick: the time that Deadline named has come. Early and late calls do no harm.
//   - AuthResult and Address: the answers to AuthRequest and AddressRequest,
//     whenever they are known.
//
// After each of these, the owner calls Next until it yields nothing more, does
// what the Outs say, and reads Deadline again for its timer. Open and Up may
// come in either order.
//
// Data frames pass beside the Link: the owner carries IPv4 between NetworkUp
// and NetworkDown, and IPv6 between IPv6Up and IPv6Down, itself. It may give
// them to Input too; they are dropped there.
//
// Of two network layers that the configuration has, one may fail or be rejected
// while the other comes up. The link ends when none is left.
type Link struct {
	cfg    LinkConfig
	lcp    lcp
	ipcp   ipcp
	ipv6cp ipv6cp

	// Authentication. demand has the peer prove itself, proof proves us;
	// nil where LCP settled on none.
	demand               authenticator
	proof                authRole
	peerProved, weProved bool
	peerName             string
	authLimit            time.Time  // AuthTimeout from its start; zero if nothing is to be proved
	authPending          uint32     // ID of the AuthRequest without an answer; 0 is none
	lastRequest          uint32     // ID of the last AuthRequest or AddressRequest
	network              bool       // the network phase was reached
	active               bool       // since Open or the first Configure-Request, until Finished
	line                 LineParams // what the last Params said
	heard                bool       // the peer has sent LCP, since the carrier came up

	queue    queue
	counters LinkCounters
}

// LinkCounters counts the frames that a Link did not act upon, and why.
type LinkCounters struct {
	Malformed  uint64 // the frame, packet or an option is ill-formed
	TooLong    uint64 // longer than any peer may send
	Unexpected uint64 // the protocol or packet has no place in this phase
	Stale      uint64 // an answer to nothing we asked, or to what we asked before
	Rejected   uint64 // answered with a Code-Reject or Protocol-Reject
	Overflow   uint64 // frames not sent because Next was not called
}

// NewLink returns a Link that is closed and whose carrier is down.
func NewLink(c LinkConfig) *Link {
	l := &Link{cfg: c.withDefaults(), line: defaultLineParams()}
	l.lcp.init(l, ProtoLCP, &l.lcp)
	l.ipcp.init(l, ProtoIPCP, &l.ipcp)
	l.ipv6cp.init(l, ProtoIPV6CP, &l.ipv6cp)
	return l
}

// Up says that the carrier is there. If the link is open, negotiation begins.
func (l *Link) Up(now time.Time) {
	l.queue.begin()
	l.heard = false
	l.lcp.event(now, evUp, Packet{})
}

// Down says that the carrier is gone. What was up comes down, without a word
// to the peer, and Finished follows with ReasonLowerDown.
func (l *Link) Down(now time.Time) {
	l.queue.begin()
	l.lcp.cause(ReasonLowerDown, "")
	l.lcp.event(now, evDown, Packet{})
	l.lcpFinished(now)
}

// Open says that the link is wanted. Open on an open link does nothing, on a
// finished one it starts anew.
func (l *Link) Open(now time.Time) {
	l.queue.begin()
	if l.lcp.state != stOpened {
		l.lcp.reason, l.lcp.message = "", ""
	}
	l.lcp.event(now, evOpen, Packet{})
	if l.lcp.state == stStarting {
		l.active = true // there is no Configure-Request yet, but somebody who waits
	}
}

// Close says that the link is not wanted any longer. The peer is told; Finished
// follows when it has acknowledged that, or has not for long enough; at once if
// there is no carrier; and not at all if it came already, or Open never did.
func (l *Link) Close(now time.Time) {
	l.queue.begin()
	l.lcp.cause(ReasonClosed, "")
	l.lcp.event(now, evClose, Packet{})
}

// Input takes a frame from the peer, starting at its Protocol field, which may
// be compressed. The Link keeps no reference to it. What is malformed or comes
// at the wrong time is dropped and counted.
func (l *Link) Input(now time.Time, frame []byte) {
	l.queue.begin()
	p, info, ok := Split(frame)
	switch n := l.ncp(p); {
	case !ok:
		l.counters.Malformed++
	case n != nil && p.IsData():
		// The owner's, once it may flow. RFC 1661 section 3.6: "Any supported
		// network-layer protocol packets received when the corresponding NCP
		// is not in the Opened state MUST be silently discarded."
		if !n.open {
			l.counters.Unexpected++
		}
	case len(info) > max(DefaultMRU, l.cfg.MRU):
		l.counters.TooLong++
	case p == ProtoLCP:
		l.heard = true
		l.lcp.input(now, info)
	case l.lcp.state != stOpened:
		// RFC 1661 section 3.4: "Any non-LCP packets received during this
		// phase MUST be silently discarded."
		l.counters.Unexpected++
	case p == ProtoPAP || p == ProtoCHAP:
		l.authInput(now, p, info)
	case !l.network:
		// RFC 1661 section 3.5: "All other packets received during this phase
		// MUST be silently discarded."
		l.counters.Unexpected++
	case n != nil:
		n.input(now, info)
	default:
		l.rejectProtocol(p, info)
	}
}

// rejectProtocol: RFC 1661 section 5.7: "The Rejected-Information MUST be
// truncated to comply with the peer's established MRU."
func (l *Link) rejectProtocol(p Protocol, info []byte) {
	l.counters.Rejected++
	data := AppendProtocol(make([]byte, 0, 2+len(info)), p)
	data = append(data, info...)
	l.send(ProtoLCP, Packet{ProtocolReject, l.lcp.nextID(), l.cut(data, HeaderLen)})
}

// Tick lets happen what Deadline was for.
func (l *Link) Tick(now time.Time) {
	l.queue.begin()
	l.lcp.tick(now)
	l.lcp.tickEcho(now)
	l.tickAuth(now)
	l.ipcp.tick(now)
	l.ipv6cp.tick(now)
}

// Deadline is when Tick is to be called next; zero if nothing waits for time.
func (l *Link) Deadline() time.Time {
	d := earlier(l.lcp.deadline, l.lcp.echoAt)
	d = earlier(d, l.ipcp.deadline)
	d = earlier(d, l.ipv6cp.deadline)
	d = earlier(d, l.authLimit)
	if l.demand != nil {
		d = earlier(d, l.demand.deadline())
	}
	if l.proof != nil {
		d = earlier(d, l.proof.deadline())
	}
	return d
}

// earlier is the earlier of two deadlines, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Next yields the next Out, false if there is none.
func (l *Link) Next() (Out, bool) { return l.queue.next() }

// Phase is where the link stands (RFC 1661 section 3.2).
func (l *Link) Phase() Phase {
	switch s := l.lcp.state; {
	case s == stOpened && l.network:
		return PhaseNetwork
	case s == stOpened:
		return PhaseAuthenticate
	case s.negotiating():
		return PhaseEstablish
	case s == stClosing || s == stStopping:
		return PhaseTerminate
	}
	return PhaseDead
}

// IPv4Open reports whether IPv4 may flow: it is true from NetworkUp to NetworkDown.
func (l *Link) IPv4Open() bool { return l.ipcp.open }

// IPv6Open reports whether IPv6 may flow: it is true from IPv6Up to IPv6Down.
func (l *Link) IPv6Open() bool { return l.ipv6cp.open }

// Counters says what was dropped, since NewLink.
func (l *Link) Counters() LinkCounters { return l.counters }

// lcpUp is LCP's This-Layer-Up.
func (l *Link) lcpUp(now time.Time) {
	l.lcp.reason, l.lcp.message = "", "" // a Terminate-Request during negotiation is history
	l.say(l.lcp.params())
	l.emit(LCPUp{PeerAuth: l.lcp.want.auth, LocalAuth: l.lcp.peer.auth})
	l.lcp.startEcho(now)
	l.startAuth(now)
	l.proceed(now)
}

// proceed goes on to the network phase when nothing is left to be proved. RFC
// 1661 section 3.5: "Advancement from the Authentication phase to the
// Network-Layer Protocol phase MUST NOT occur until authentication has completed."
func (l *Link) proceed(now time.Time) {
	if l.network || l.demand != nil && !l.peerProved || l.proof != nil && !l.weProved {
		return
	}
	l.network = true
	l.authLimit = time.Time{}
	if l.cfg.IPv4 != nil {
		l.ipcp.begin(now)
	}
	if l.cfg.IPv6 != nil {
		l.ipv6cp.begin(now)
	}
}

// lcpDown is LCP's This-Layer-Down: all that came up since its Up goes down.
func (l *Link) lcpDown(now time.Time) {
	l.ipcp.event(now, evDown, Packet{})
	l.ipcp.forget()
	l.ipv6cp.event(now, evDown, Packet{})
	l.ipv6cp.forget()
	l.stopAuth()
	l.network = false
	l.lcp.echoAt = time.Time{}
	l.say(l.paramsDown())
	reason := l.lcp.reason
	if reason == "" {
		reason = ReasonRenegotiated
	}
	l.emit(LCPDown{Reason: reason, Message: l.lcp.message})
}

// paramsDown is what holds while LCP is down.
func (l *Link) paramsDown() Params {
	return Params{Line: defaultLineParams(), SendMRU: min(DefaultMRU, l.cfg.MaxMRU), RecvMRU: DefaultMRU}
}

// say emits p and keeps what it says of the line.
func (l *Link) say(p Params) {
	l.line = p.Line
	l.emit(p)
}

// lcpFinished is LCP's This-Layer-Finished.
func (l *Link) lcpFinished(time.Time) {
	if l.active {
		if l.heard {
			l.lcp.cause(ReasonNotConverging, "")
		}
		l.lcp.cause(ReasonNoAnswer, "")
		l.emit(Finished{Reason: l.lcp.reason, Message: l.lcp.message})
	}
	l.active, l.lcp.reason, l.lcp.message = false, "", ""
}

// fail gives the link up, for a reason of its own.
func (l *Link) fail(now time.Time, r Reason, message string) {
	l.lcp.reason, l.lcp.message = r, message
	l.lcp.event(now, evClose, Packet{})
}

// sendMRU is the most information that the peer takes in one frame.
func (l *Link) sendMRU() int {
	mru := DefaultMRU
	if l.lcp.peer.mru != 0 && l.lcp.state == stOpened {
		mru = l.lcp.peer.mru
	}
	return min(mru, l.cfg.MaxMRU)
}

// cut truncates data to what fits the peer's MRU behind header octets.
func (l *Link) cut(data []byte, header int) []byte {
	return data[:min(len(data), l.sendMRU()-header)]
}

func (l *Link) send(proto Protocol, p Packet) {
	if !l.queue.send(proto, p) {
		l.counters.Overflow++
	}
}

func (l *Link) emit(o Out) { l.queue.outs = append(l.queue.outs, o) }

// maxQueuedFrames bounds what an owner that does not call Next lets pile up.
const maxQueuedFrames = 64

// maxIdleArena is what a Link keeps of its arena from one input to the next, in
// octets: there may be thousands of Links, and most of them are silent.
const maxIdleArena = 1024

// queue holds the Outs until Next. The frames are in one arena, used again
// once the owner has taken them all.
type queue struct {
	outs  []Out
	head  int
	arena []byte
}

// begin starts an input: frames that Next gave are not valid any longer.
func (q *queue) begin() {
	if q.head < len(q.outs) {
		return
	}
	clear(q.outs)
	q.outs, q.head, q.arena = q.outs[:0], 0, q.arena[:0]
	if cap(q.arena) > maxIdleArena {
		q.arena = nil
	}
}

func (q *queue) send(proto Protocol, p Packet) bool {
	if len(q.outs)-q.head >= maxQueuedFrames {
		return false
	}
	n := len(q.arena)
	q.arena = p.AppendFrame(q.arena, proto)
	q.outs = append(q.outs, SendFrame{q.arena[n:len(q.arena):len(q.arena)]})
	return true
}

func (q *queue) next() (Out, bool) {
	if q.head == len(q.outs) {
		return nil, false
	}
	o := q.outs[q.head]
	q.head++
	return o, true
}
