package ppp

// verdict is what becomes of a Configure-Request from the peer: an Ack if
// nothing is put in, a Reject if anything is rejected, else a Nak.
type verdict struct {
	rejects, naks []byte
	naked         [256]bool // each type is suggested once, however often a flood repeats it
	noNaks        bool      // Max-Failure is reached
	hold          bool      // no answer yet
	giveUp        Reason    // no answer at all: the layer is given up
}

func (v *verdict) reset(noNaks bool) {
	*v = verdict{rejects: v.rejects[:0], naks: v.naks[:0], noNaks: noNaks}
}

func (v *verdict) good() bool { return len(v.rejects) == 0 && len(v.naks) == 0 }

// reject turns o down as it is.
func (v *verdict) reject(o Option) { v.rejects = o.Append(v.rejects) }

// nak asks for o with other Data. RFC 1661 section 4.6: after Max-Failure
// "any further Configure-Nak packets for peer requested options are converted
// to Configure-Reject packets, and locally desired options are no longer appended."
func (v *verdict) nak(o Option, data ...byte) {
	if v.noNaks {
		v.reject(o)
		return
	}
	v.suggest(o.Type, data...)
}

// suggest asks for an option that the peer left out.
func (v *verdict) suggest(typ uint8, data ...byte) {
	if v.noNaks || v.naked[typ] {
		return
	}
	v.naked[typ] = true
	v.naks = Option{typ, data}.Append(v.naks)
}
