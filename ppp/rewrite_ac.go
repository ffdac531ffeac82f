package ppp

import (
	"bytes"
	"encoding/binary"
)

// The AC's Configure-Request, and the user's answers to it.

// rewriteOptionSet is a set of the options that may be added to the AC's request.
type rewriteOptionSet uint8

const (
	rewriteMRU rewriteOptionSet = 1 << iota
	rewriteACCMap
	rewritePFC
	rewriteACFC
)

// rewriteSetOf is the set with the one option of type t, or the empty set.
func rewriteSetOf(t uint8) rewriteOptionSet {
	switch t {
	case LCPOptMRU:
		return rewriteMRU
	case LCPOptACCM:
		return rewriteACCMap
	case LCPOptPFC:
		return rewritePFC
	case LCPOptACFC:
		return rewriteACFC
	}
	return 0
}

// acRequest passes the AC's request on with the options of the line added.
func (r *Rewrite) acRequest(p Packet) Relayed {
	a := &r.ac
	r.scratch = rewriteAppendOnly(r.scratch[:0], p.Data, rewriteForbidden)
	if len(r.scratch) > 0 {
		// RFC 2516 section 7: an implementation "MUST reject a request
		// for such an option". The user would accept it.
		a.valid, a.acked = false, false
		r.counters.Rejected++
		return r.toACPacket(ConfigureReject, p.ID, r.scratch)
	}
	repeated := a.repeats(p)
	a.asked = append(a.asked[:0], p.Data...)
	a.id = p.ID
	r.resends = 0
	r.tellUser(repeated)
	return r.toUserPacket(ConfigureRequest, a.sentID, a.sent)
}

// rewriteForbidden reports whether an AC may not ask for opt.
func rewriteForbidden(opt Option) bool {
	return opt.Type == LCPOptFCS || opt.Type == LCPOptACCM || opt.Type == LCPOptACFC
}

// tellUser makes the AC's latest request into what the user is told. The
// identifier stays only if this repeats what he was told last.
//
// RFC 1661 section 5.1: "The Identifier field MUST be changed whenever the
// contents of the Options field changes, and whenever a valid reply has been
// received for a previous request."
func (r *Rewrite) tellUser(repeated bool) {
	a := &r.ac
	r.scratch = r.appendAdded(r.scratch[:0], a.asked)
	same := repeated && bytes.Equal(r.scratch, a.sent)
	a.sent, r.scratch = r.scratch, a.sent
	if !same {
		if a.told && a.id+r.skew == a.sentID {
			r.skew++
		}
		a.sentID = a.id + r.skew
		a.acked = false
	}
	a.told, a.valid = true, true
}

// askAgain sends the AC's latest request to the user once more, as it is to be
// after what he answered, with a fresh identifier. The AC knows nothing of it;
// its own restart timer goes on.
func (r *Rewrite) askAgain() Relayed {
	if r.resends == rewriteMaxResends {
		r.counters.Unanswered++
		return Relayed{}
	}
	r.resends++
	r.counters.Absorbed++
	r.tellUser(false)
	return r.toUserPacket(ConfigureRequest, r.ac.sentID, r.ac.sent)
}

// appendAdded appends to dst the AC's options, its MRU capped, and behind them
// those of ours that it did not ask for itself and the user did not refuse.
func (r *Rewrite) appendAdded(dst, asked []byte) []byte {
	own := rewriteOptionSet(0)
	for b := asked; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		own |= rewriteSetOf(opt.Type)
		dst = r.appendCapped(dst, opt)
		b = rest
	}
	wanted := ^(own | r.refused)
	var added [14]byte
	add := added[:0]
	if wanted&rewriteMRU != 0 {
		// RFC 1661 section 6.1: without the option the user might send
		// 1,500 octets.
		add = rewriteAppendMRU(add, r.mru)
	}
	if wanted&rewriteACCMap != 0 {
		add = append(add, LCPOptACCM, 6)
		add = binary.BigEndian.AppendUint32(add, r.accm)
	}
	if wanted&rewritePFC != 0 {
		add = append(add, LCPOptPFC, 2)
	}
	if wanted&rewriteACFC != 0 {
		add = append(add, LCPOptACFC, 2)
	}
	if HeaderLen+len(dst)+len(add) > rewriteMaxConfigure {
		return dst
	}
	return append(dst, add...)
}

// ours reports whether options of type t in the user's answer concern what was
// added here, not what the AC asked for. An MRU that nobody asked for is the
// AC's affair like any other option.
func (r *Rewrite) ours(t uint8) bool {
	if rewriteHas(r.ac.asked, t) {
		return false
	}
	return rewriteOfLine(t) || t == LCPOptMRU && rewriteHas(r.ac.sent, t)
}

// userAck gives the AC back exactly what it asked for.
func (r *Rewrite) userAck(p Packet) Relayed {
	if !r.acks(p, &r.ac) {
		return Relayed{}
	}
	r.ac.acked = true
	return r.toACPacket(ConfigureAck, r.ac.id, r.ac.asked)
}

// userNak takes the hints about what was added here, and passes on the rest.
// RFC 1661 section 5.3: "If that option is not listed, then that option MAY be
// appended to the list of Nak'd Configuration Options, in order to prompt the
// peer to include that option in its next Configure-Request packet." Of such
// options too, those of the line stay here.
func (r *Rewrite) userNak(p Packet) Relayed {
	if !r.answers(p, &r.ac) {
		return Relayed{}
	}
	r.scratch = r.scratch[:0]
	for b := p.Data; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if r.ours(opt.Type) {
			r.takeHint(opt)
		} else {
			r.scratch = r.appendCapped(r.scratch, opt)
		}
		b = rest
	}
	if len(r.scratch) == 0 && len(p.Data) > 0 {
		return r.askAgain()
	}
	return r.toACPacket(ConfigureNak, r.ac.id, r.scratch)
}

// takeHint changes what is added to the AC's requests after the user's Nak.
func (r *Rewrite) takeHint(opt Option) {
	switch {
	case opt.Type == LCPOptACCM && len(opt.Data) == 4:
		// A map is worth a few rounds, not more; without it the line
		// works too, at the default map.
		accm := binary.BigEndian.Uint32(opt.Data) | r.needs
		r.accmNaks++
		if accm == rewriteACCM(r.ac.sent) || r.accmNaks > 3 {
			r.refused |= rewriteACCMap
		}
		r.accm = accm
	case opt.Type == LCPOptMRU && len(opt.Data) == 2:
		mru := binary.BigEndian.Uint16(opt.Data)
		if mru >= r.mru {
			// He wants to send more than the session carries, or
			// insists. What is too large is dropped at the session.
			r.refused |= rewriteMRU
			return
		}
		r.mru = mru
	default:
		// PFC and ACFC have no value to haggle over.
		r.refused |= rewriteSetOf(opt.Type)
	}
}

// userReject takes out what was added here, for the rest of the link, and
// passes on the rest as the AC had sent it; of that nothing will be added
// either, when the AC has left it out. RFC 1661 section 5.4: "the
// Configuration Options in a Configure-Reject MUST be a proper subset of those
// in the last transmitted Configure-Request. Invalid packets are silently
// discarded."
func (r *Rewrite) userReject(p Packet) Relayed {
	if !r.answers(p, &r.ac) {
		return Relayed{}
	}
	// The AC's options keep their lengths on the way, so ours start here.
	added := r.ac.sent[len(r.ac.asked):]
	r.scratch = r.scratch[:0]
	var refused rewriteOptionSet
	var from int
	for b := p.Data; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		refused |= rewriteSetOf(opt.Type)
		if !rewriteContains(added, opt) {
			var ok bool
			if r.scratch, from, ok = r.appendOriginal(r.scratch, r.ac.asked, from, opt, false); !ok {
				r.counters.Mismatched++
				return Relayed{}
			}
		}
		b = rest
	}
	r.refused |= refused
	if len(r.scratch) == 0 && len(p.Data) > 0 {
		return r.askAgain()
	}
	return r.toACPacket(ConfigureReject, r.ac.id, r.scratch)
}

// rewriteContains reports whether options has opt, octet for octet.
func rewriteContains(options []byte, opt Option) bool {
	for b := options; len(b) > 0; {
		o, rest, _, _ := NextOption(b)
		if o.Type == opt.Type && bytes.Equal(o.Data, opt.Data) {
			return true
		}
		b = rest
	}
	return false
}
