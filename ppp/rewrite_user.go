package ppp

import "bytes"

// The user's Configure-Request, and the AC's answers to it.

// userRequest passes the user's request on without the options of the line.
func (r *Rewrite) userRequest(p Packet) Relayed {
	r.scratch = rewriteAppendOnly(r.scratch[:0], p.Data, rewriteUnacceptable)
	if len(r.scratch) > 0 {
		// RFC 1661 section 5.4: "The Options field is filled with only
		// the unacceptable Configuration Options from the
		// Configure-Request." The user asks again without them; the AC
		// never saw this request, so whatever it still says to an
		// earlier one is stale.
		r.user.valid, r.user.acked = false, false
		r.counters.Rejected++
		return r.toUserPacket(ConfigureReject, p.ID, r.scratch)
	}
	a := &r.user
	if !a.repeats(p) || a.handed {
		a.acked = false
	}
	a.handed = false
	a.told, a.valid, a.id, a.sentID = true, true, p.ID, p.ID
	a.asked = append(a.asked[:0], p.Data...)
	a.sent = a.sent[:0]
	for b := p.Data; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if !rewriteOfLine(opt.Type) {
			a.sent = r.appendCapped(a.sent, opt)
		}
		b = rest
	}
	return r.toACPacket(ConfigureRequest, a.sentID, a.sent)
}

// rewriteUnacceptable reports whether opt, which belongs to the line, cannot be
// granted to a user: an FCS that is not spoken here, or a length that says
// nothing. RFC 1661 section 6 would have a Nak with a good length; but who sends
// such an option may not heed that, and on this line can do without it.
func rewriteUnacceptable(opt Option) bool {
	switch opt.Type {
	case LCPOptFCS:
		return true
	case LCPOptACCM:
		return len(opt.Data) != 4
	case LCPOptPFC, LCPOptACFC:
		return len(opt.Data) != 0
	}
	return false
}

// acAck gives the user back exactly what he asked for.
func (r *Rewrite) acAck(p Packet) Relayed {
	if !r.acks(p, &r.user) {
		return Relayed{}
	}
	r.user.acked = true
	if r.user.handed {
		return Relayed{} // he has had his Ack, from the AC before
	}
	return r.toUserPacket(ConfigureAck, r.user.id, r.user.asked)
}

// acNak passes the AC's hints on. Only an MRU beyond what the session carries
// is brought down; options that the AC appends, of whatever type, are hints for
// the user, and should he follow them userRequest sees to the rest.
func (r *Rewrite) acNak(p Packet) Relayed {
	if !r.answers(p, &r.user) || r.user.handed {
		return Relayed{}
	}
	r.scratch = r.scratch[:0]
	for b := p.Data; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		r.scratch = r.appendCapped(r.scratch, opt)
		b = rest
	}
	return r.toUserPacket(ConfigureNak, r.user.id, r.scratch)
}

// acReject names the rejected options as the user had sent them.
func (r *Rewrite) acReject(p Packet) Relayed {
	if !r.answers(p, &r.user) || r.user.handed {
		return Relayed{}
	}
	r.scratch = r.scratch[:0]
	var from int
	for b := p.Data; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		var ok bool
		if r.scratch, from, ok = r.appendOriginal(r.scratch, r.user.asked, from, opt, true); !ok {
			r.counters.Mismatched++
			return Relayed{}
		}
		b = rest
	}
	return r.toUserPacket(ConfigureReject, r.user.id, r.scratch)
}

// rewriteOfLine reports whether LCP options of type t belong to the async line
// and not to the PPPoE session: RFC 1662's ACCM, RFC 1661's PFC and ACFC, and
// RFC 1570's FCS-Alternatives.
func rewriteOfLine(t uint8) bool {
	return t == LCPOptACCM || t == LCPOptPFC || t == LCPOptACFC || t == LCPOptFCS
}

// appendCapped appends opt to dst, an MRU brought down to what PPPoE carries.
// RFC 2516 section 7: "The Maximum-Receive-Unit (MRU) option MUST NOT be
// negotiated to a larger size than 1492."
func (r *Rewrite) appendCapped(dst []byte, opt Option) []byte {
	if opt.Type == LCPOptMRU && len(opt.Data) == 2 {
		if mru := uint16(opt.Data[0])<<8 | uint16(opt.Data[1]); mru > r.maxMRU {
			return rewriteAppendMRU(dst, r.maxMRU)
		}
	}
	return opt.Append(dst)
}

// appendOriginal appends to dst the option of asked that was passed on as opt,
// as it was before it was capped. The search starts at offset from and goes
// around, since a Reject keeps the order of its Request and a type may occur
// twice. stripped says that the options of the line were not passed on. It
// returns the offset behind the option found.
func (r *Rewrite) appendOriginal(dst, asked []byte, from int, opt Option, stripped bool) (_ []byte, next int, ok bool) {
	if stripped && rewriteOfLine(opt.Type) {
		return dst, from, false
	}
	for _, part := range [2][2]int{{from, len(asked)}, {0, from}} {
		for at := part[0]; at < part[1]; {
			was, _, _, _ := NextOption(asked[at:])
			n := 2 + len(was.Data)
			if was.Type == opt.Type && r.cappedEqual(was, opt) {
				return was.Append(dst), at + n, true
			}
			at += n
		}
	}
	return dst, from, false
}

// cappedEqual reports whether was, once capped, has the octets of opt.
func (r *Rewrite) cappedEqual(was, opt Option) bool {
	var buf [4]byte
	if was.Type == LCPOptMRU && len(was.Data) == 2 {
		return bytes.Equal(r.appendCapped(buf[:0], was)[2:], opt.Data)
	}
	return bytes.Equal(was.Data, opt.Data)
}

// rewriteAppendOnly appends to dst those of options that which names.
func rewriteAppendOnly(dst, options []byte, which func(Option) bool) []byte {
	for b := options; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if which(opt) {
			dst = opt.Append(dst)
		}
		b = rest
	}
	return dst
}

func rewriteAppendMRU(dst []byte, mru uint16) []byte {
	return append(dst, LCPOptMRU, 4, byte(mru>>8), byte(mru))
}
