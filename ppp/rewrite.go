package ppp

import (
	"bytes"
	"encoding/binary"
)

// RewriteConfig is what a Rewrite has to know.
type RewriteConfig struct {
	// MaxMRU is the largest MRU, in octets, that may be negotiated through
	// the PPPoE session: PPPoEMRU (1492), or up to 1500 where RFC 4638 was
	// agreed. Zero means PPPoEMRU; others are brought within 128 and 65,535.
	MaxMRU int
	// ACCM names the control characters that the line may add or take for
	// itself, XON and XOFF with software flow control: the user is asked to
	// escape them. 0, the best for a clean line, asks him to escape none.
	ACCM uint32
}

// RewriteCounters counts the LCP packets that a Rewrite did not pass on, by
// reason, since it was made.
type RewriteCounters struct {
	Malformed  uint64 // ill-formed Length or options: either end would discard it too
	TooLong    uint64 // a Configure packet of more than 1,500 octets
	Stale      uint64 // an answer to a Configure-Request that is not the latest
	Mismatched uint64 // an Ack that does not repeat its Request, a Reject of what was not in it
	Rejected   uint64 // Configure-Requests for what PPPoE forbids, or of the line and ill-formed, rejected here
	Absorbed   uint64 // Naks and Rejects of nothing but what had been added here
	Unanswered uint64 // as Absorbed, but the user had been asked again too often
}

// Relayed is what becomes of one frame. ToAC and ToUser are nil when nothing
// goes that way. Both start at a two-octet Protocol field and are valid until
// the next call: they may be the frame that went in, or the Rewrite's own
// buffer.
type Relayed struct {
	ToAC   []byte
	ToUser []byte

	// Params is how the user's line is to be framed from now on.
	// ParamsChanged is true when it differs from what the call before said;
	// the line must know before it sends ToUser, since what opens the link
	// for the user is ToUser's arrival.
	Params        LineParams
	ParamsChanged bool
}

// Rewrite stands between a user on an async line and an access concentrator
// behind PPPoE, who negotiate LCP with each other, and takes care of the
// options that belong to the line. RFC 2516 section 7: "An implementation MUST
// NOT request any of the following options, and MUST reject a request for such
// an option: Field Check Sequence (FCS) Alternatives,
// Address-and-Control-Field-Compression (ACFC),
// Asynchronous-Control-Character-Map (ACCM)".
//
//   - The user's Configure-Request loses ACCM, PFC and ACFC on its way, and
//     its MRU is capped; the AC's Ack and Reject of it get them back.
//   - The AC's Configure-Request gains ACCM 0, PFC, ACFC and an MRU, as far as
//     the user has not rejected them; the user's Ack, Nak and Reject of it
//     lose them again. When nothing remains of a Nak or Reject, the user is
//     asked again from here and the AC never hears of it.
//   - FCS-Alternatives is rejected from here, in both directions: the line is
//     framed with the 16-bit FCS. So are a user's ACCM, PFC and ACFC of a wrong
//     length, which no Ack could make any sense of, and ACCM and ACFC if the AC asks for them
//     itself; PFC, which RFC 2516 merely does not recommend, then passes.
//   - Everything else passes byte for byte, Quality-Protocol too. What a user and
//     an AC then count by it (RFC 1333) is the octets of their own ends, which
//     framing and rewriting make different: such a link looks worse than it is.
//
// An Ack is passed on only if it repeats the latest Request of the side it
// goes to; every other Ack, Nak or Reject would be discarded by its receiver
// (RFC 1661 sections 5.2 to 5.4) and is discarded here. So there are no timers
// here: whatever is lost or dropped, the two ends send their requests again.
//
// A Rewrite belongs to one goroutine. Its memory is bounded: it keeps the
// latest request of each side. The zero Rewrite is as NewRewrite makes it of
// the zero RewriteConfig.
type Rewrite struct {
	maxMRU uint16
	needs  uint32 // control characters the user must escape, RewriteConfig.ACCM

	user rewriteAsk // the user's latest Configure-Request: how we may send to him
	ac   rewriteAsk // the AC's latest Configure-Request: how he may send to us

	// What is added to the AC's requests.
	refused  rewriteOptionSet // by the user, and left out from then on
	accm     uint32
	mru      uint16
	accmNaks uint8

	skew    uint8 // how far identifiers towards the user are ahead of the AC's
	resends uint8 // requests sent to the user from here since the AC's last

	params   LineParams
	counters RewriteCounters

	toAC, toUser, scratch []byte
}

// rewriteAsk is one side's latest Configure-Request in its two forms: as this
// side sent it, and as the other side was told.
type rewriteAsk struct {
	told       bool // a request has been passed on: sentID has been used
	valid      bool // it was the latest: answers to it count
	acked      bool // and the other side's Ack has been passed back
	handed     bool // it is the user's to an AC before: what this one answers does not concern him
	id, sentID uint8
	asked      []byte // options as received
	sent       []byte // options as passed on
}

// rewriteMaxConfigure bounds Configure packets, in octets: what every
// implementation can receive. RFC 1661 section 6.1: "an implementation MUST
// still be able to receive the full 1500 octet information field in case link
// synchronization is lost."
const rewriteMaxConfigure = DefaultMRU

// rewriteMaxResends bounds how often the user is asked again from here for one
// request of the AC. A user who follows RFC 1661 ends sooner: Max-Failure is 5.
const rewriteMaxResends = 8

// NewRewrite makes a Rewrite for a link on which nothing has been negotiated.
func NewRewrite(c RewriteConfig) *Rewrite {
	mru := c.MaxMRU
	if mru <= 0 {
		mru = PPPoEMRU
	}
	mru = max(minMRU, min(mru, maxMRU))
	return &Rewrite{maxMRU: uint16(mru), mru: uint16(mru), needs: c.ACCM, accm: c.ACCM, params: defaultLineParams()}
}

// Params is how the user's line is to be framed now: what the last Relayed said.
func (r *Rewrite) Params() LineParams {
	if r.maxMRU == 0 {
		return defaultLineParams() // nothing was said yet
	}
	return r.params
}

// Counters is what was not passed on so far.
func (r *Rewrite) Counters() RewriteCounters { return r.counters }

// FromUser takes a frame that came from the user's line. frame starts at its
// two-octet Protocol field.
func (r *Rewrite) FromUser(frame []byte) Relayed {
	return r.relay(frame, Relayed{ToAC: frame}, (*Rewrite).userConfigure)
}

// FromAC takes a frame that came from the AC. frame starts at its two-octet
// Protocol field.
func (r *Rewrite) FromAC(frame []byte) Relayed {
	return r.relay(frame, Relayed{ToUser: frame}, (*Rewrite).acConfigure)
}

// relay passes frame on as pass says, unless it is a Configure packet of LCP,
// which configure answers for, or one that is dropped.
func (r *Rewrite) relay(frame []byte, pass Relayed, configure func(*Rewrite, Packet) Relayed) Relayed {
	if r.maxMRU == 0 {
		*r = *NewRewrite(RewriteConfig{})
	}
	proto, info, ok := Split(frame)
	if !ok || proto != ProtoLCP {
		pass.Params = r.params
		return pass
	}
	p, ok := r.parse(info)
	switch {
	case !ok:
		return Relayed{Params: r.params}
	case proto.isConfigure(p.Code):
		return r.settle(configure(r, p))
	case p.Code == TerminateRequest:
		r.user.acked, r.ac.acked = false, false
	}
	return r.settle(pass)
}

func (r *Rewrite) userConfigure(p Packet) Relayed {
	switch p.Code {
	case ConfigureRequest:
		return r.userRequest(p)
	case ConfigureAck:
		return r.userAck(p)
	case ConfigureNak:
		return r.userNak(p)
	}
	return r.userReject(p)
}

func (r *Rewrite) acConfigure(p Packet) Relayed {
	switch p.Code {
	case ConfigureRequest:
		return r.acRequest(p)
	case ConfigureAck:
		return r.acAck(p)
	case ConfigureNak:
		return r.acNak(p)
	}
	return r.acReject(p)
}

// parse reads an LCP packet and, of a Configure packet, checks all options.
// What does not parse is dropped rather than passed: it cannot be rewritten,
// and to pass it could carry an option across that must not cross. RFC 1661
// section 5: "When a packet is received with an invalid Length field, the
// packet is silently discarded without affecting the automaton."
func (r *Rewrite) parse(info []byte) (Packet, bool) {
	p, err := ParsePacket(info)
	if err != nil {
		r.counters.Malformed++
		return p, false
	}
	if !ProtoLCP.isConfigure(p.Code) {
		return p, true
	}
	if HeaderLen+len(p.Data) > rewriteMaxConfigure {
		r.counters.TooLong++
		return p, false
	}
	if !wellFormed(p.Data) {
		r.counters.Malformed++
		return p, false
	}
	return p, true
}

// settle works out how the line is framed after this frame, and says so in out.
//
// What the user asked for holds once LCP is open, that is, both requests are
// acked: until then, and again from the first request of a renegotiation, we
// send as if nothing had been negotiated.
//
// What he may send to us holds from a moment earlier. When the AC has acked
// his request, it is his own Ack that opens the link for him, and what he
// sends right behind it (a PAP request, say) may be decoded in the same read.
// So the map to receive by is that of the request he is about to acknowledge.
// Until he does, he sends LCP with every control character escaped, which
// is received alike with either map.
func (r *Rewrite) settle(out Relayed) Relayed {
	p := defaultLineParams()
	if r.user.acked {
		if r.ac.valid {
			p.RecvACCM = rewriteACCM(r.ac.sent)
		}
		if r.ac.acked {
			p.SendACCM = rewriteACCM(r.user.asked)
			p.SendPFC = rewriteContains(r.user.asked, Option{Type: LCPOptPFC})
			p.SendACFC = rewriteContains(r.user.asked, Option{Type: LCPOptACFC})
		}
	}
	out.Params, out.ParamsChanged = p, p != r.params
	r.params = p
	return out
}

// toACPacket builds an LCP frame for the AC in the buffer of that direction.
func (r *Rewrite) toACPacket(c Code, id uint8, options []byte) Relayed {
	r.toAC = Packet{Code: c, ID: id, Data: options}.AppendFrame(r.toAC[:0], ProtoLCP)
	return Relayed{ToAC: r.toAC}
}

// toUserPacket builds an LCP frame for the user in the buffer of that direction.
func (r *Rewrite) toUserPacket(c Code, id uint8, options []byte) Relayed {
	r.toUser = Packet{Code: c, ID: id, Data: options}.AppendFrame(r.toUser[:0], ProtoLCP)
	return Relayed{ToUser: r.toUser}
}

// answers reports whether p answers the latest request in a; if not, it is
// counted. RFC 1661 section 5.2: "On reception of a Configure-Ack, the
// Identifier field MUST match that of the last transmitted Configure-Request."
// Sections 5.3 and 5.4 say the same of Nak and Reject.
func (r *Rewrite) answers(p Packet, a *rewriteAsk) bool {
	if a.valid && p.ID == a.sentID {
		return true
	}
	r.counters.Stale++
	return false
}

// acks reports whether p, an Ack, repeats the latest request in a. RFC 1661
// section 5.2: "the Configuration Options in a Configure-Ack MUST exactly match
// those of the last transmitted Configure-Request. Invalid packets are silently
// discarded."
func (r *Rewrite) acks(p Packet, a *rewriteAsk) bool {
	if !r.answers(p, a) {
		return false
	}
	if !bytes.Equal(p.Data, a.sent) {
		r.counters.Mismatched++
		return false
	}
	return true
}

// repeats reports whether p is the request that a already holds, octet for
// octet: a retransmission, or a duplicate. It asks for nothing new, so what
// was acked stays acked. So it does when a Nak or Reject comes behind its Ack:
// the receiver may discard that, and if not, asks for something new.
func (a *rewriteAsk) repeats(p Packet) bool {
	return a.valid && p.ID == a.id && bytes.Equal(p.Data, a.asked)
}

// rewriteACCM is the last ACCM in options, or RFC 1662's default. Here and in the
// functions like it, options have been through parse: none is ill-formed.
func rewriteACCM(options []byte) (accm uint32) {
	accm = defaultACCM
	for b := options; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if opt.Type == LCPOptACCM && len(opt.Data) == 4 {
			accm = binary.BigEndian.Uint32(opt.Data)
		}
		b = rest
	}
	return accm
}

// rewriteHas reports whether options has one of type t, of whatever length.
func rewriteHas(options []byte, t uint8) bool {
	for b := options; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if opt.Type == t {
			return true
		}
		b = rest
	}
	return false
}
