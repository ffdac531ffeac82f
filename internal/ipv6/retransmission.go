package ipv6

import "time"

// retransmission is how a message is repeated until it is answered (RFC 8415
// section 15, which RFC 7559 uses for Router Solicitations too). The names there
// are IRT, MRT, MRC and MRD.
type retransmission struct {
	initial time.Duration // IRT
	max     time.Duration // MRT; 0: no bound
	count   int           // MRC, how often it is sent; 0: no bound
	end     time.Time     // MRD, as a moment; zero: never
	// positive: the first wait is not shorter than initial. RFC 8415 section
	// 18.2.1 of Solicits: "the first RT MUST be selected to be strictly greater
	// than IRT by choosing RAND to be strictly greater than 0".
	positive bool

	last time.Duration // RT of the transmission before
	sent int
}

// next is how long to wait for an answer to a message that is sent now, as
// section 15 computes RT from IRT, MRT and "RAND [...] chosen with a uniform
// distribution between -0.1 and +0.1". Without a source of chance RAND is 0.
func (r *retransmission) next(chance random) time.Duration {
	r.sent++
	switch {
	case r.last != 0:
		r.last = 2*r.last + spread(r.last, chance)
	case r.positive:
		r.last = r.initial + 1 + chance.upTo(r.initial/10-1)
	default:
		r.last = r.initial + spread(r.initial, chance)
	}
	if r.max != 0 && r.last > r.max {
		r.last = r.max + spread(r.max, chance)
	}
	return r.last
}

// exhausted reports whether the answer to the last transmission, whose time is
// over, was the last one to be waited for.
func (r *retransmission) exhausted(now time.Time) bool {
	return r.count != 0 && r.sent >= r.count || !r.end.IsZero() && !now.Before(r.end)
}

// spread is RAND*d.
func spread(d time.Duration, chance random) time.Duration {
	if chance == nil {
		return 0
	}
	return chance.upTo(2*(d/10)) - d/10
}
