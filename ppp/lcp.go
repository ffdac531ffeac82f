package ppp

import (
	"encoding/binary"
	"slices"
	"time"
)

// Bounds of an MRU: below the least hardly a control packet fits, and the
// option cannot say more than the most.
const (
	minMRU = 128
	maxMRU = 0xffff
)

// lcp is the Link Control Protocol (RFC 1661 sections 5 and 6): the layer below
// all others.
type lcp struct {
	fsm

	want lcpOptions // what our Configure-Request asks for
	auth int        // index in LinkConfig.Auth of the method we ask for
	seen lcpOptions // what the peer's last Configure-Request asked for
	peer lcpOptions // what of that is in force
	// loops counts Configure-Requests in a row that have our own magic number.
	loops int

	echoAt     time.Time // of the next Echo-Request; zero if there is none
	echoesLost int       // Echo-Requests since the last Echo-Reply
	noEcho     bool      // the peer does not know Echo-Request
}

// lcpOptions are one end's options. Those that are zero are not asked for.
type lcpOptions struct {
	mru       int
	accm      uint32
	askACCM   bool
	auth      AuthMethod
	magic     uint32
	pfc, acfc bool
}

// reset asks for all that the configuration wants. RFC 1661 section 6: "It is
// not necessary to send the default values for the options".
func (y *lcp) reset() {
	c := &y.l.cfg
	y.auth, y.noEcho, y.loops = 0, false, 0
	y.want = lcpOptions{magic: y.newMagic()}
	if len(c.Auth) > 0 {
		y.want.auth = c.Auth[0]
	}
	if c.MRU != DefaultMRU || !c.Async {
		// Over PPPoE it is always said, as some take an MRU that is not for 1492.
		y.want.mru = c.MRU
	}
	if c.Async {
		y.want.accm, y.want.askACCM = c.ACCM, c.ACCM != defaultACCM
		y.want.pfc, y.want.acfc = c.PFC, c.ACFC
	}
}

// newMagic is an unpredictable number. RFC 1661 section 6.4: "A Magic-Number of
// zero is illegal and MUST always be Nak'd".
func (y *lcp) newMagic() uint32 {
	var b [4]byte
	y.l.cfg.Random(b[:])
	if m := binary.BigEndian.Uint32(b[:]); m != 0 {
		return m
	}
	return 1
}

func (y *lcp) appendOptions(dst []byte) []byte {
	w := &y.want
	if w.mru != 0 {
		dst = append(dst, LCPOptMRU, 4)
		dst = binary.BigEndian.AppendUint16(dst, uint16(w.mru))
	}
	if w.askACCM {
		dst = append(dst, LCPOptACCM, 6)
		dst = binary.BigEndian.AppendUint32(dst, w.accm)
	}
	dst = w.auth.appendOption(dst)
	if w.magic != 0 {
		dst = append(dst, LCPOptMagic, 6)
		dst = binary.BigEndian.AppendUint32(dst, w.magic)
	}
	if w.pfc {
		dst = append(dst, LCPOptPFC, 2)
	}
	if w.acfc {
		dst = append(dst, LCPOptACFC, 2)
	}
	return dst
}

// naked takes the peer's wish for one of our options. One that we did not ask
// for may be a wish, too; only MRU is one that we grant.
func (y *lcp) naked(o Option) Reason {
	w := &y.want
	switch {
	case o.Type == LCPOptMRU && len(o.Data) == 2:
		if mru := int(binary.BigEndian.Uint16(o.Data)); mru >= minMRU && mru <= y.l.cfg.MRU {
			w.mru = mru
		}
	case o.Type == LCPOptACCM && len(o.Data) == 4 && w.askACCM:
		// What either end wants escaped must be.
		w.accm |= binary.BigEndian.Uint32(o.Data)
	case o.Type == LCPOptAuth && w.auth != AuthNone:
		return y.fallBack(parseAuthOption(o.Data))
	case o.Type == LCPOptMagic && w.magic != 0:
		w.magic = y.newMagic()
	}
	return ""
}

// fallBack offers the peer another method: the one it would rather have, if
// that is ours too, else our next.
func (y *lcp) fallBack(hint AuthMethod) Reason {
	methods := y.l.cfg.Auth
	next := y.auth + 1
	if i := slices.Index(methods, hint); i >= 0 && i != y.auth {
		next = i
	}
	if next >= len(methods) {
		return ReasonAuthRefused
	}
	y.auth, y.want.auth = next, methods[next]
	return ""
}

func (y *lcp) rejected(o Option) Reason {
	w := &y.want
	switch o.Type {
	case LCPOptMRU:
		w.mru = 0
	case LCPOptACCM:
		w.askACCM = false
	case LCPOptAuth:
		if w.auth != AuthNone {
			return ReasonAuthRefused
		}
	case LCPOptMagic:
		w.magic = 0
	case LCPOptPFC:
		w.pfc = false
	case LCPOptACFC:
		w.acfc = false
	}
	return ""
}

func (y *lcp) judge(in Packet, v *verdict) {
	y.seen = lcpOptions{}
	for o, rest, ok, _ := NextOption(in.Data); ok; o, rest, ok, _ = NextOption(rest) {
		y.judgeOption(o, v)
	}
	if y.seen.magic != y.want.magic {
		y.loops = 0
	}
}

// judgeOption judges one option. RFC 1661 section 6: one "with an invalid or
// unrecognized Length" is Nak'd with a good one; section 5.3: "Options which have
// no value fields (boolean options) MUST use the Configure-Reject reply instead."
func (y *lcp) judgeOption(o Option, v *verdict) {
	s, async := &y.seen, y.l.cfg.Async
	switch {
	case o.Type == LCPOptMRU:
		y.judgeMRU(o, v)
	case o.Type == LCPOptAuth:
		y.judgeAuth(o, v)
	case o.Type == LCPOptMagic:
		y.judgeMagic(o, v)
	case o.Type == LCPOptACCM && async:
		if len(o.Data) != 4 {
			v.nak(o, binary.BigEndian.AppendUint32(nil, y.l.cfg.ACCM)...)
			break
		}
		s.accm, s.askACCM = binary.BigEndian.Uint32(o.Data), true
	case o.Type == LCPOptPFC && async && len(o.Data) == 0:
		s.pfc = true
	case o.Type == LCPOptACFC && async && len(o.Data) == 0:
		s.acfc = true
	default:
		// RFC 2516 section 7: "An implementation MUST NOT request any of the
		// following options, and MUST reject a request for such an option":
		// FCS alternatives, ACFC, ACCM. PFC is not recommended there, and not
		// granted here. What we do not know ends here too.
		v.reject(o)
	}
}

// judgeMRU: RFC 2516 section 7: "The Maximum-Receive-Unit (MRU) option MUST
// NOT be negotiated to a larger size than 1492."
func (y *lcp) judgeMRU(o Option, v *verdict) {
	most := y.l.cfg.MaxMRU
	mru := DefaultMRU
	if len(o.Data) == 2 {
		mru = int(binary.BigEndian.Uint16(o.Data))
	}
	fit := max(minMRU, min(mru, most))
	if len(o.Data) != 2 || fit != mru {
		v.nak(o, binary.BigEndian.AppendUint16(nil, uint16(fit))...)
		return
	}
	y.seen.mru = mru
}

func (y *lcp) judgeAuth(o Option, v *verdict) {
	accept := y.l.cfg.Accept
	m := parseAuthOption(o.Data)
	switch {
	case m != AuthNone && slices.Contains(accept, m):
		y.seen.auth = m
	case len(accept) == 0:
		v.reject(o)
	default:
		v.nak(o, accept[0].appendOption(nil)[2:]...)
	}
}

// judgeMagic: RFC 1661 section 6.4: equal numbers are a looped-back link, or
// two ends that chose alike; a Nak with another number tells which it is.
func (y *lcp) judgeMagic(o Option, v *verdict) {
	if len(o.Data) == 4 {
		y.seen.magic = binary.BigEndian.Uint32(o.Data)
		if y.seen.magic != 0 && y.seen.magic != y.want.magic {
			return
		}
		if y.seen.magic != 0 {
			y.loops++
			if y.loops >= y.l.cfg.MaxFailure {
				v.giveUp = ReasonLoopback
			}
		}
	}
	v.nak(o, binary.BigEndian.AppendUint32(nil, y.newMagic())...)
}

func (y *lcp) granted() { y.peer = y.seen }

// expect has the line ready for what the peer may send, or back at its defaults.
//
// A peer that has our Ack opens with its own Ack of our request, and what it
// sends right behind that, under the options we asked for, may be read together
// with it. So the half for receiving holds from our Ack on, and is said before
// the frame by which the peer may open. Until then the peer sends LCP with every
// control character escaped, which is received alike under any map.
func (y *lcp) expect(ack bool) {
	p := y.l.paramsDown()
	if ack {
		p.Line.RecvACCM, p.RecvMRU = y.received()
	}
	if y.l.cfg.Async && p.Line != y.l.line {
		y.l.say(p)
	}
}

// codeRejected: RFC 1661 section 5.6 asks that the link goes on without what
// is not vital; we can do without echoes.
func (y *lcp) codeRejected(c Code) {
	if c == EchoRequest {
		y.noEcho, y.echoAt = true, time.Time{}
	}
}

// control takes the codes that only LCP has (RFC 1661 sections 5.7 to 5.9, RFC 1570).
func (y *lcp) control(now time.Time, in Packet) bool {
	switch in.Code {
	case ProtocolReject:
		y.protocolRejected(now, in)
	case EchoRequest, EchoReply, DiscardRequest:
		y.echo(now, in)
	case Identification, TimeRemaining:
		y.event(now, evRXR, in)
	default:
		return false
	}
	return true
}

// echo takes a packet that begins with the sender's magic number. RFC 1661
// section 6.4: a number that is our own means that the link is looped back. Not
// so in an Echo-Reply: there are peers that send back all that they were sent,
// and on a loop our Echo-Request would have come back as well.
func (y *lcp) echo(now time.Time, in Packet) {
	if len(in.Data) < 4 {
		y.l.counters.Malformed++
		return
	}
	magic := binary.BigEndian.Uint32(in.Data)
	switch {
	case y.state != stOpened:
		y.l.counters.Unexpected++
	case magic != 0 && magic == y.want.magic && in.Code != EchoReply:
		y.l.fail(now, ReasonLoopback, "")
		return
	case in.Code == EchoReply:
		y.echoesLost = 0
	}
	y.event(now, evRXR, in)
}

// sendEchoReply is ser. RFC 1661 section 5.8: the Data is copied, as far as
// the peer's MRU allows; the magic number is the sender's own, 0 without one.
func (y *lcp) sendEchoReply(in Packet) {
	data := slices.Clone(y.l.cut(in.Data, HeaderLen))
	binary.BigEndian.PutUint32(data, y.want.magic)
	y.send(Packet{EchoReply, in.ID, data})
}

// protocolRejected: RFC 1661 section 5.7: "Upon reception of a
// Protocol-Reject, the implementation MUST stop sending packets of the
// indicated protocol at the earliest opportunity."
func (y *lcp) protocolRejected(now time.Time, in Packet) {
	if len(in.Data) < 2 {
		y.l.counters.Malformed++
		return
	}
	if y.state != stOpened {
		y.l.counters.Unexpected++
		return
	}
	p := Protocol(binary.BigEndian.Uint16(in.Data))
	switch n := y.l.ncp(p); {
	case p == ProtoLCP:
		y.cause(ReasonRejected, "")
		y.event(now, evRXJm, in)
	case n != nil && y.l.network:
		n.protocolRejected(now)
	case y.l.authenticating(p):
		y.fail(now, ReasonAuthRefused, "")
	default:
		y.event(now, evRXJp, in)
	}
}

func (y *lcp) up(now time.Time)       { y.l.lcpUp(now) }
func (y *lcp) down(now time.Time)     { y.l.lcpDown(now) }
func (y *lcp) finished(now time.Time) { y.l.lcpFinished(now) }

func (y *lcp) fail(now time.Time, r Reason, message string) { y.l.fail(now, r, message) }

// startEcho arms the first Echo-Request.
func (y *lcp) startEcho(now time.Time) {
	y.echoesLost = 0
	if y.l.cfg.EchoInterval > 0 && !y.noEcho {
		y.echoAt = now.Add(y.l.cfg.EchoInterval)
	}
}

func (y *lcp) tickEcho(now time.Time) {
	if y.echoAt.IsZero() || now.Before(y.echoAt) {
		return
	}
	if y.echoesLost >= y.l.cfg.EchoFailures {
		y.l.fail(now, ReasonEchoTimeout, "")
		return
	}
	y.echoesLost++
	y.echoAt = now.Add(y.l.cfg.EchoInterval)
	y.send(Packet{EchoRequest, y.nextID(), binary.BigEndian.AppendUint32(nil, y.want.magic)})
}

// params is what the negotiation means for the line.
func (y *lcp) params() Params {
	p := Params{Line: defaultLineParams(), SendMRU: y.l.sendMRU()}
	p.Line.RecvACCM, p.RecvMRU = y.received()
	if y.peer.askACCM {
		p.Line.SendACCM = y.peer.accm
	}
	p.Line.SendPFC, p.Line.SendACFC = y.peer.pfc, y.peer.acfc
	return p
}

// received is the half of the options that says how the peer sends.
func (y *lcp) received() (accm uint32, mru int) {
	accm, mru = defaultACCM, DefaultMRU
	if y.want.askACCM {
		accm = y.want.accm
	}
	if y.want.mru != 0 {
		mru = y.want.mru
	}
	return accm, mru
}
