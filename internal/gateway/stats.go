package gateway

import (
	"sync/atomic"

	"tributary/internal/frame"
)

// sessionStats counts what crossed for one line. Its two directions are written
// by different goroutines: the line's reader and the port's reader.
type sessionStats struct {
	upFrames, upOctets     atomic.Uint64
	downFrames, downOctets atomic.Uint64
	notOpen, downNotOpen   atomic.Uint64
	tooBig                 atomic.Uint64
	malformed              atomic.Uint64
	inboxFull              atomic.Uint64
	superseded             atomic.Uint64
	portDropped            atomic.Uint64
	noBuffer               atomic.Uint64
}

// sentUp sends frames that are ready and counts them, all in one call.
func (st *sessionStats) sentUp(fwd *forward, out []*frame.Buf) {
	n, _ := fwd.port.WriteBatch(out)
	var octets uint64
	for _, b := range out[:n] {
		octets += uint64(len(b.Bytes()) - fwd.overhead)
	}
	st.upFrames.Add(uint64(n))
	st.upOctets.Add(octets)
	if fwd.users != nil {
		fwd.users.add(st, uint64(n), octets)
	}
	if n < len(out) {
		st.portDropped.Add(uint64(len(out) - n))
	}
}

// carried counts what travels up on a session that users share. Each line's reader
// adds to it, so it is nowhere near what the port's reader counts in.
type carried struct {
	_              [64]byte
	of             *sessionStats // of the session's own line, which counts for itself
	frames, octets atomic.Uint64
	_              [64]byte
}

func (c *carried) add(from *sessionStats, frames, octets uint64) {
	if from != c.of {
		c.frames.Add(frames)
		c.octets.Add(octets)
	}
}

// carries is where users of s are counted; nil for a line of relay.
func (s *session) carries() *carried {
	ln, ok := s.line.(*trunkLine)
	if !ok {
		return nil
	}
	ln.users.of = &s.stats
	return &ln.users
}

func (s *session) statistics() SessionStats {
	full, codel, late := s.out.drops()
	st := &s.stats
	upFrames, upOctets := st.upFrames.Load(), st.upOctets.Load()
	if ln, ok := s.line.(*trunkLine); ok {
		upFrames += ln.users.frames.Load()
		upOctets += ln.users.octets.Load()
	}
	return SessionStats{
		UpFrames: upFrames, UpOctets: upOctets,
		DownFrames: st.downFrames.Load(), DownOctets: st.downOctets.Load(),
		QueueFull: full, QueueCoDel: codel,
		NotOpen: st.notOpen.Load(), DownNotOpen: st.downNotOpen.Load() + late,
		TooBig: st.tooBig.Load(), Malformed: st.malformed.Load(), InboxFull: st.inboxFull.Load(), Superseded: st.superseded.Load(),
		PortDropped: st.portDropped.Load(), NoBuffer: st.noBuffer.Load(),
	}
}

// portDrops counts downstream frames that belong to no session, by why.
type portDrops struct {
	notEthernet    atomic.Uint64 // too short, or more tags than we know
	malformed      atomic.Uint64 // PPPoE header or length wrong
	unknownSession atomic.Uint64 // no session with this whole key
	foreignPADT    atomic.Uint64 // a PADT that matches no session of ours
	unasked        atomic.Uint64 // PADO, PADS that answer nothing of ours
	otherHosts     atomic.Uint64 // PADI, PADR: somebody else's discovery
	strangeOffers  atomic.Uint64 // PADOs of ACs that do not come into question, more than a search can look at
	noBuffer       atomic.Uint64
}

func (d *portDrops) values() map[string]uint64 {
	return map[string]uint64{
		"not_ethernet": d.notEthernet.Load(), "malformed": d.malformed.Load(),
		"unknown_session": d.unknownSession.Load(), "foreign_padt": d.foreignPADT.Load(),
		"unasked": d.unasked.Load(), "other_hosts": d.otherHosts.Load(), "strange_offers": d.strangeOffers.Load(), "no_buffer": d.noBuffer.Load(),
	}
}
