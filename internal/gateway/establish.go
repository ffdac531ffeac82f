package gateway

import (
	"time"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// opened is the PADS: the table entry, the snapshot for the readers, the note
// in the journal, and then everything the user has said meanwhile.
func (s *session) opened(now time.Time, sess pppoe.Session) {
	d := &s.disc
	if s.state != stateDiscovering {
		return
	}
	s.up.discovering.Add(-1)
	s.up.gate.done(s)
	s.up.port.pending.settle(d.uniq)
	d.key = key{vlans: s.up.vlans, ac: sess.AC, our: d.our, sid: sess.SessionID}
	if old := s.up.port.table.claim(d.key, s); old != nil {
		// The AC gave the id of a session that we believed open: for the AC
		// that one is long gone, and a PADT for it now would end the new one.
		// Not in this turn: old may be in our own inbox's care, and it may be full.
		go old.owner.post(event{s: old, kind: evReused})
	}
	d.keyed, d.unsent = true, false
	s.message = "" // an AC that refused before is not why this one will end
	s.state, s.session, s.setUp, s.changed = stateUp, sess, now.Sub(s.began), true
	if s.trunk != nil {
		s.trunk.status.opened(now)
	}
	s.g.journal.opened(s.journalEntry())
	s.up.sent.opened.Add(1)
	s.up.sessions.Add(1)
	s.granted(now)
	s.forward.Store(&forward{
		port:     s.up.port.ether(),
		hdr:      s.up.header(d.our, sess.AC, ether.TypeSession),
		overhead: ether.HeaderLen + ether.VLANTagLen*s.up.vlans.Len() + pppoe.HeaderLen,
		sid:      sess.SessionID,
		users:    s.carries(),
		maxFrame: s.up.carries(sess.MaxPayload) + 2, // and the Protocol field
	})
	s.g.emit(Event{Time: now, Kind: EventSessionUp, Line: s.info.Name, Uplink: s.up.cfg.Name, SID: sess.SessionID, MAC: sess.AC.String(), Message: sess.ACName})
	s.relayOpen(now)
}

// sessionDown undoes opened, in teardown.
func (s *session) sessionDown(now time.Time) {
	d := &s.disc
	if d.keyed {
		d.keyed = false
		s.up.port.table.remove(d.key, s)
		if d.unsent {
			// The AC does not know. It will be told when the port works again,
			// or at the next start.
			s.up.port.keepOrphan(s.journalEntry())
		} else {
			s.g.journal.closed(s.journalEntry())
		}
	}
	s.up.sessions.Add(-1)
	s.ungranted(now)
	s.g.emit(Event{Time: now, Kind: EventSessionDown, Line: s.info.Name, Uplink: s.up.cfg.Name, SID: s.session.SessionID,
		MAC: s.session.AC.String(), User: s.user(), Reason: s.ended.reason, Message: s.ended.message})
}

func (s *session) journalEntry() journalEntry {
	k := s.disc.key
	return journalEntry{Interface: s.up.cfg.Interface, VLANs: k.vlans.Slice(), AC: k.ac, Our: k.our, SessionID: k.sid, Line: s.info.Name}
}

// reused is the AC's word, by giving this session's id to another line, that it
// has forgotten this session. A PADT would end the other one.
func (s *session) reused(now time.Time) {
	if s.state != stateUp {
		return
	}
	s.disc.keyed = false
	s.disc.heard = true // it has forgotten one session, and serves others
	s.discoveryDone()
	s.teardown(now, ReasonPADT, "the AC gave the session's id to another line")
}

// expect makes a session that a PADS names findable before the owner has seen
// the PADS, and reports whether it did. The port's reader calls it, and only for
// a session that has asked that AC and is not open.
//
// Another session that has the id is over, as in opened; and here already, because
// what the AC sends behind the PADS is not for its user. He would negotiate anew with
// it, on the session of the other.
func (s *session) expect(p *port, k key) bool {
	if s.expected.Load() != nil || p.table.lookup(&k) == s {
		return false
	}
	if old := p.table.claim(k, s); old != nil {
		go old.owner.post(event{s: old, kind: evReused}) // the port's reader does not wait
	}
	s.expected.Store(&k)
	return true
}

// unexpect takes that entry out again unless the client accepted the session.
func (s *session) unexpect() {
	if k := s.expected.Swap(nil); k != nil && !(s.disc.keyed && s.disc.key == *k) {
		s.up.port.table.remove(*k, s)
	}
}

// unexpected takes it out because the owner will never see the PADS. The port's
// reader calls it.
func (s *session) unexpected() {
	if k := s.expected.Swap(nil); k != nil {
		s.up.port.table.remove(*k, s)
	}
}
