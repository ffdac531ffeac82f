package ppp

// Handover says that from now on another AC, or another session of the same one,
// is at the other end, while the user is still there and knows nothing of it. To him
// it is one peer that begins to negotiate anew, which it may at any time (RFC 1661
// section 4.1: in Opened, RCR+ is "tld,scr,sca"). maxMRU is RewriteConfig's.
//
// ToAC of the result is the user's latest Configure-Request, nil if there is none: an
// AC that waits for its peer to speak first is spoken to, since the user will not
// do so unasked. What the AC answers to it stays here. Then its own Configure-Request
// reaches the user, he sends a new one of his, and all is as at any beginning.
func (r *Rewrite) Handover(maxMRU int) Relayed {
	fresh := NewRewrite(RewriteConfig{MaxMRU: maxMRU, ACCM: r.needs})
	if r.maxMRU == 0 {
		*r = *fresh
		return Relayed{Params: r.params}
	}
	r.maxMRU, r.mru = fresh.maxMRU, fresh.mru
	r.resends, r.accmNaks = 0, 0
	// What was told to the user stays known, so that tellUser gives him another
	// Identifier: this AC's first request may be the last one's, octet for octet.
	r.user.acked, r.ac.valid, r.ac.acked = false, false, false
	if !r.user.valid {
		return r.settle(Relayed{})
	}
	// The cap is this session's: what he may receive was asked for under another's.
	a := &r.user
	a.sent = a.sent[:0]
	for b := a.asked; len(b) > 0; {
		opt, rest, _, _ := NextOption(b)
		if !rewriteOfLine(opt.Type) {
			a.sent = r.appendCapped(a.sent, opt)
		}
		b = rest
	}
	a.handed = true
	return r.settle(r.toACPacket(ConfigureRequest, a.sentID, a.sent))
}
