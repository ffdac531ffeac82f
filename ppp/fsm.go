package ppp

import (
	"bytes"
	"time"
)

// layer is what a control protocol adds to the automaton: its options, and
// what it is for. LCP, IPCP and IPV6CP are layers.
type layer interface {
	reset()                                        // a negotiation begins: ask for all the configuration wants
	appendOptions(dst []byte) []byte               // the options of the next Configure-Request
	naked(o Option) Reason                         // the peer would rather have o; a Reason gives the layer up
	rejected(o Option) Reason                      // the peer will not have o; a Reason gives the layer up
	judge(in Packet, v *verdict)                   // what we say to the peer's Configure-Request
	granted()                                      // what judge saw last is acknowledged
	expect(ack bool)                               // whether the peer, with our Ack and request, may open next
	up(now time.Time)                              // This-Layer-Up
	down(now time.Time)                            // This-Layer-Down
	finished(now time.Time)                        // This-Layer-Finished
	codeRejected(c Code)                           // the peer does not know c
	control(now time.Time, in Packet) (known bool) // a packet with a code beyond the first seven
	cause(r Reason, message string)                // why the layer goes down, unless that is known already
	fail(now time.Time, r Reason, message string)  // the layer is given up
}

// fsm runs the automaton for one layer: the restart timer, the identifiers,
// and the seven kinds of packet that all control protocols share.
type fsm struct {
	l     *Link
	layer layer
	proto Protocol

	state    state
	counter  int       // the restart counter
	deadline time.Time // of the Restart timer; zero while it does not run
	lastID   uint8     // the last Identifier we used

	// Our last Configure-Request. answered: there was a valid Ack, Nak or
	// Reject for it, or there is no request.
	requestID uint8
	request   []byte
	answered  bool

	verdict  verdict // on the peer's Configure-Request
	naksSent int     // Configure-Naks without an Ack between
	naksRcvd int     // the same from the peer
	rounds   int     // refusals either way in this negotiation

	reason  Reason // why the layer goes down, once that is known
	message string // the peer's words about it
}

func (f *fsm) init(l *Link, p Protocol, y layer) {
	f.l, f.proto, f.layer, f.answered = l, p, y, true
}

// maxRounds bounds one negotiation, in refusals either way per Max-Failure. The
// RFC leaves it to both ends to give in after Max-Failure Naks; this is for a
// peer that does not.
const maxRounds = 8

// event does one transition of the table. in is the packet that caused it, if one did.
func (f *fsm) event(now time.Time, ev event, in Packet) {
	c := automaton[ev][f.state]
	if c == illegal {
		return
	}
	from := f.state
	f.state = c.next()
	if !f.state.timed() {
		f.deadline = time.Time{}
	}
	if from == stAckSent && f.state != stAckSent && f.state != stOpened {
		f.layer.expect(false)
	}
	for a := tld; a <= tlu; a <<= 1 {
		if c&a != 0 {
			f.act(now, a, c, from, in)
		}
	}
	// RFC 1661 section 4.3, Open: "the implementation issue a Down event,
	// immediately followed by an Up event." An open layer stays as it is, so
	// that Open may be called twice.
	if c&restart != 0 && from != stOpened {
		f.event(now, evDown, Packet{})
		f.event(now, evUp, Packet{})
	}
}

func (f *fsm) act(now time.Time, a, c cell, from state, in Packet) {
	switch a {
	case tlu:
		f.layer.up(now)
	case tld:
		f.layer.down(now)
	case tlf:
		f.layer.finished(now)
	case tls:
		// The carrier is the owner's: it brings it up when it likes.
	case irc:
		f.counter = f.l.cfg.MaxConfigure
		if c&str != 0 {
			f.counter = f.l.cfg.MaxTerminate
		}
	case zrc:
		// RFC 1661 section 4.4: "In addition to zeroing the Restart counter,
		// the implementation MUST set the timeout period to an appropriate
		// value": the peer has the time to be done with us.
		f.counter = 0
		f.deadline = now.Add(f.l.cfg.Restart)
	case scr:
		if !from.negotiating() {
			f.layer.reset()
			f.answered = true // or of no interest any longer
			f.forget()
			f.l.active = true
		}
		f.sendConfigureRequest(now, from == stAckSent)
	case str:
		f.counter--
		f.deadline = now.Add(f.l.cfg.Restart)
		f.send(Packet{TerminateRequest, f.nextID(), []byte(f.reason)})
	case sca:
		f.naksSent = 0
		f.layer.expect(true)
		f.send(Packet{ConfigureAck, in.ID, in.Data})
	case scn:
		if len(f.verdict.rejects) > 0 {
			f.send(Packet{ConfigureReject, in.ID, f.verdict.rejects})
		} else {
			f.naksSent++
			f.send(Packet{ConfigureNak, in.ID, f.verdict.naks})
		}
	case sta:
		f.send(Packet{TerminateAck, in.ID, nil})
	case scj:
		f.l.counters.Rejected++
		f.send(Packet{CodeReject, f.nextID(), f.l.cut(in.Append(nil), HeaderLen)})
	case ser:
		if in.Code == EchoRequest {
			f.l.lcp.sendEchoReply(in)
		}
	}
}

// cause notes why the layer goes down, unless that is known already.
func (f *fsm) cause(r Reason, message string) {
	if f.reason == "" {
		f.reason, f.message = r, message
	}
}

// forget starts the counts of a negotiation anew.
func (f *fsm) forget() { f.naksSent, f.naksRcvd, f.rounds = 0, 0, 0 }

// sendConfigureRequest is scr. RFC 1661 section 5.1: "The Identifier field
// MUST be changed whenever the contents of the Options field changes, and
// whenever a valid reply has been received for a previous request. For
// retransmissions, the Identifier MAY remain unchanged." acked says that the
// peer has our Ack already.
func (f *fsm) sendConfigureRequest(now time.Time, acked bool) {
	last := len(f.request)
	f.request = f.layer.appendOptions(f.request)
	if f.answered || !bytes.Equal(f.request[:last], f.request[last:]) {
		f.requestID = f.nextID()
	}
	f.request = append(f.request[:0], f.request[last:]...)
	f.answered = false
	f.counter--
	f.deadline = now.Add(f.l.cfg.Restart)
	if acked {
		f.layer.expect(true)
	}
	f.send(Packet{ConfigureRequest, f.requestID, f.request})
}

func (f *fsm) nextID() uint8 {
	f.lastID++
	return f.lastID
}

func (f *fsm) send(p Packet) { f.l.send(f.proto, p) }

// tick is TO+ or TO-, if the Restart timer has run out.
func (f *fsm) tick(now time.Time) {
	switch {
	case f.deadline.IsZero() || now.Before(f.deadline):
	case f.counter > 0:
		f.event(now, evTOp, Packet{})
	default:
		f.event(now, evTOm, Packet{})
	}
}

// input takes one packet of the layer's protocol.
func (f *fsm) input(now time.Time, info []byte) {
	in, err := ParsePacket(info)
	switch {
	case err != nil:
		f.l.counters.Malformed++
	case f.state == stInitial || f.state == stStarting:
		f.l.counters.Unexpected++
	case in.Code == ConfigureRequest:
		f.configureRequest(now, in)
	case in.Code == ConfigureAck:
		f.configureAck(now, in)
	case in.Code == ConfigureNak || in.Code == ConfigureReject:
		f.configureNakOrReject(now, in)
	case in.Code == TerminateRequest:
		f.terminated(in)
		f.event(now, evRTR, in)
	case in.Code == TerminateAck:
		f.event(now, evRTA, in)
	case in.Code == CodeReject:
		f.codeReject(now, in)
	case !f.layer.control(now, in):
		f.event(now, evRUC, in)
	}
}

// terminated notes the peer's Terminate-Request as the reason for what it ends.
// While a layer is being negotiated that is nothing (RFC 1661 section 4.1 has
// the negotiation go on); but should LCP then get no further, it says why.
func (f *fsm) terminated(in Packet) {
	switch {
	case f.proto == ProtoLCP && (f.state == stOpened || f.state.negotiating()):
		f.layer.cause(ReasonPeerTerminated, Printable(in.Data))
	case f.state == stOpened:
		f.layer.cause(ReasonNoNetwork, Printable(in.Data))
	}
}

func (f *fsm) configureRequest(now time.Time, in Packet) {
	if !wellFormed(in.Data) {
		// RFC 1661 section 6: "When the Data field is indicated by the Length
		// to extend beyond the end of the Information field, the entire packet
		// is silently discarded without affecting the automaton." A Length of
		// 0 or 1 leaves no way to find the next option either.
		f.l.counters.Malformed++
		return
	}
	if f.state != stStopped && f.state != stOpened && !f.state.negotiating() {
		f.event(now, evRCRp, in) // the answer does not depend on the options
		return
	}
	if !f.state.negotiating() {
		f.forget() // a new negotiation, which this request is already part of
	}
	v := &f.verdict
	v.reset(f.naksSent >= f.l.cfg.MaxFailure)
	f.layer.judge(in, v)
	switch {
	case v.giveUp != "":
		f.layer.fail(now, v.giveUp, "")
	case v.hold:
		// The answer waits for the owner's.
	case v.good():
		f.layer.granted()
		f.event(now, evRCRp, in)
	case f.refused(now):
		f.event(now, evRCRm, in)
	}
}

// configureAck: RFC 1661 section 5.2: "the Identifier field MUST match that of
// the last transmitted Configure-Request. Additionally, the Configuration
// Options in a Configure-Ack MUST exactly match those of the last transmitted
// Configure-Request. Invalid packets are silently discarded."
//
// An answer to a request that has had its answer is no valid one either: it is
// a duplicate that the network made, or a crossed connection. Section 4.3: "the
// correct packet has already been received before reaching the Ack-Rcvd or
// Opened states".
func (f *fsm) configureAck(now time.Time, in Packet) {
	if f.answered || in.ID != f.requestID || !bytes.Equal(in.Data, f.request) {
		f.l.counters.Stale++
		return
	}
	f.answered = true
	f.naksRcvd = 0
	f.event(now, evRCA, in)
}

func (f *fsm) configureNakOrReject(now time.Time, in Packet) {
	if !wellFormed(in.Data) || len(in.Data) == 0 {
		f.l.counters.Malformed++
		return
	}
	if f.answered || in.ID != f.requestID || in.Code == ConfigureReject && !f.asked(in.Data) {
		f.l.counters.Stale++
		return
	}
	f.answered = true
	if f.state == stOpened || f.state.negotiating() {
		if reason := f.refusedOptions(in); reason != "" {
			f.layer.fail(now, reason, "")
			return
		}
		if !f.refused(now) {
			return
		}
	}
	f.event(now, evRCN, in)
}

// refusedOptions tells the layer what a Nak or Reject of the peer says. After
// Max-Failure Naks, a further one is taken as a Reject: the peer should have
// sent that by now (RFC 1661 section 4.6).
func (f *fsm) refusedOptions(in Packet) (reason Reason) {
	nak := in.Code == ConfigureNak
	if nak {
		f.naksRcvd++
		nak = f.naksRcvd <= f.l.cfg.MaxFailure
	}
	for o, rest, ok, _ := NextOption(in.Data); ok; o, rest, ok, _ = NextOption(rest) {
		tell := f.layer.rejected
		if nak {
			tell = f.layer.naked
		}
		if r := tell(o); r != "" {
			reason = r
		}
	}
	return reason
}

// refused counts a refusal, by either end, and gives the layer up when there
// were too many. It reports whether negotiation goes on.
func (f *fsm) refused(now time.Time) bool {
	f.rounds++
	if f.rounds > maxRounds*f.l.cfg.MaxFailure {
		f.layer.fail(now, ReasonNotConverging, "")
		return false
	}
	return true
}

// asked reports whether our last request has each of the options in opts,
// octet for octet. RFC 1661 section 5.4: "the Configuration Options in a
// Configure-Reject MUST be a proper subset of those in the last transmitted
// Configure-Request."
func (f *fsm) asked(opts []byte) bool {
	for o, rest, ok, _ := NextOption(opts); ok; o, rest, ok, _ = NextOption(rest) {
		if !containsOption(f.request, o) {
			return false
		}
	}
	return true
}

func containsOption(opts []byte, want Option) bool {
	for o, rest, ok, _ := NextOption(opts); ok; o, rest, ok, _ = NextOption(rest) {
		if o.Type == want.Type && bytes.Equal(o.Data, want.Data) {
			return true
		}
	}
	return false
}

// codeReject: RFC 1661 section 4.3: RXJ- "arises when the rejected value is
// catastrophic, such as a Code-Reject of Configure-Request".
func (f *fsm) codeReject(now time.Time, in Packet) {
	if len(in.Data) < HeaderLen {
		f.l.counters.Malformed++
		return
	}
	if c := Code(in.Data[0]); c > CodeReject {
		f.layer.codeRejected(c)
		f.event(now, evRXJp, in)
		return
	}
	f.layer.cause(ReasonRejected, "")
	f.event(now, evRXJm, in)
}

// wellFormed reports whether opts is a list of options that ends where the packet does.
func wellFormed(opts []byte) bool {
	for {
		_, rest, ok, err := NextOption(opts)
		if err != nil || !ok {
			return err == nil
		}
		opts = rest
	}
}
