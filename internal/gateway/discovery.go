package gateway

import (
	"time"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// discovery is a session's PPPoE side: the client machine, and what it needs
// of the world. It outlives the line for as long as a late PADS could come.
type discovery struct {
	client *pppoe.Client
	uniq   hostUniq
	our    pppoe.MAC
	key    key  // of the open session
	keyed  bool // key is in the table and in the journal

	// PADIs wait for the uplink's allowance.
	admitted bool      // the first PADI has leave to go
	startAt  time.Time // when it will have
	padi     []byte    // a repetition that waits
	padiAt   time.Time
}

// discover opens the search for an AC.
func (s *session) discover(now time.Time) {
	s.state, s.began = stateDiscovering, now
	s.firstFrameBy = time.Time{}
	s.up.discovering.Add(1)
	if s.up.port.down.Load() {
		s.teardown(now, ReasonUplinkDown, "the interface "+s.up.port.name+" is down")
		return
	}
	d, cfg := &s.disc, s.up.cfg
	d.our = s.up.sourceMAC(s.info)
	if err := s.up.port.addMAC(d.our); err != nil {
		s.teardown(now, ReasonLocalLimits, err.Error())
		return
	}
	d.uniq = newHostUniq(s.g.nextIndex(), s.g.random)
	d.client = pppoe.NewClient(pppoe.ClientConfig{
		ServiceName: cfg.ServiceName,
		HostUniq:    d.uniq[:],
		Extra:       s.accessLineTags(),
		MaxPayload:  s.up.maxPayload,
		Prefer:      s.up.prefer,
		OfferWait:   cfg.OfferWait,
		Timeout:     cfg.Discovery.Timeout,
		Random:      s.g.jitter,
	})
	s.g.searches.Add(1)
	s.up.port.pending.add(waiting{uniq: d.uniq, s: s, our: d.our, vlans: s.up.vlans})
	s.g.emit(Event{Time: now, Kind: EventDiscovering, Line: s.info.Name, Uplink: cfg.Name})
	if wait := s.up.admit(now); wait > 0 {
		d.startAt = now.Add(wait)
		return
	}
	s.startDiscovery(now)
}

func (s *session) startDiscovery(now time.Time) {
	s.disc.startAt, s.disc.admitted = time.Time{}, true
	s.disc.client.Start(now)
	s.drainDiscovery(now)
}

// accessLineTags tells the AC which line this is (TR-101), where it is asked to.
func (s *session) accessLineTags() []pppoe.Tag {
	cfg := s.up.cfg
	if cfg.CircuitID == "" && cfg.RemoteID == "" {
		return nil
	}
	id := pppoe.AccessLine{
		CircuitID: expandID(cfg.CircuitID, s.g.hostname, s.info),
		RemoteID:  expandID(cfg.RemoteID, s.g.hostname, s.info),
		// TR-101: the session comes from another kind of line, through an
		// interworking function.
		IWF: true,
	}
	tag, err := id.Tag()
	if err != nil {
		s.g.log.Warn("no access line identification is sent", "line", s.info.Name, "err", err)
		return nil
	}
	return []pppoe.Tag{tag}
}

func (s *session) discoveryDeadline() time.Time {
	d := &s.disc
	if d.client == nil {
		return time.Time{}
	}
	if !d.startAt.IsZero() {
		return d.startAt
	}
	at := d.client.Deadline()
	if !d.padiAt.IsZero() && (at.IsZero() || d.padiAt.Before(at)) {
		at = d.padiAt
	}
	return at
}

func (s *session) discoveryTick(now time.Time) {
	d := &s.disc
	if d.client == nil {
		return
	}
	if !d.startAt.IsZero() {
		if now.Before(d.startAt) {
			return
		}
		s.startDiscovery(now)
	}
	if !d.padiAt.IsZero() && !now.Before(d.padiAt) {
		d.padiAt = time.Time{}
		if d.client.State() == pppoe.ClientSoliciting {
			s.sendDiscovery(pppoe.Send{Dst: pppoe.Broadcast, Code: pppoe.PADI, Packet: d.padi})
		}
		d.padi = nil
	}
	if at := d.client.Deadline(); !at.IsZero() && !now.Before(at) {
		d.client.Tick(now)
	}
	s.drainDiscovery(now)
}

// discoveryInput is a PADO, PADS or PADT that the port's reader found to be ours.
func (s *session) discoveryInput(now time.Time, ev event) {
	defer ev.buf.Put()
	d := &s.disc
	if d.client == nil {
		return
	}
	packet := ev.buf.Bytes()
	if h, _, err := pppoe.ParseHeader(packet); err == nil {
		switch h.Code {
		case pppoe.PADO:
			s.up.sent.pado.Add(1)
		case pppoe.PADS:
			s.up.sent.pads.Add(1)
			if s.state == stateEnding {
				s.up.sent.late.Add(1)
			}
		case pppoe.PADT:
			s.up.sent.padtReceived.Add(1)
		}
	}
	d.client.Input(now, ev.src, packet)
	s.drainDiscovery(now)
	s.unexpect()
}

// closeDiscovery ends what is open at the AC, with the client's PADT.
func (s *session) closeDiscovery(now time.Time, message string) {
	d := &s.disc
	if d.client == nil {
		return
	}
	d.startAt, d.padiAt, d.padi = time.Time{}, time.Time{}, nil
	d.client.Close(now, message)
	s.drainDiscovery(now)
}

// drainDiscovery does what the client machine asks for.
func (s *session) drainDiscovery(now time.Time) {
	d := &s.disc
	for d.client != nil {
		out, ok := d.client.Next()
		if !ok {
			return
		}
		switch out := out.(type) {
		case pppoe.Send:
			s.sendClient(now, out)
		case pppoe.ClientOffer:
			s.offered(now, out.Offer)
		case pppoe.ClientRefused:
			s.refused(now, out)
		case pppoe.ClientOpened:
			s.opened(now, out.Session)
		case pppoe.ClientFailed:
			s.discoveryFailed(now, out)
		case pppoe.ClientClosed:
			s.closedByAC(now, out)
		case pppoe.ClientDone:
			s.discoveryDone()
		case pppoe.TagDropped:
			s.g.log.Warn("a tag did not fit and was left out", "line", s.info.Name, "packet", out.Code, "tag", out.Type)
		}
	}
}

// sendClient sends a packet of the client's; each PADI only as the uplink's
// allowance permits. One that must wait is replaced by the next.
func (s *session) sendClient(now time.Time, out pppoe.Send) {
	d := &s.disc
	if out.Code != pppoe.PADI || d.admitted {
		d.admitted = d.admitted && out.Code != pppoe.PADI
		s.sendDiscovery(out)
		return
	}
	waits := d.padi != nil
	d.padi = out.Packet
	if waits {
		return
	}
	if wait := s.up.admit(now); wait > 0 {
		d.padiAt = now.Add(wait)
		return
	}
	d.padi = nil
	s.sendDiscovery(out)
}

func (s *session) sendDiscovery(out pppoe.Send) {
	d := &s.disc
	hdr := s.up.header(d.our, out.Dst, ether.TypeDiscovery)
	s.up.port.send(&hdr, out.Packet)
	c := &s.up.sent
	switch out.Code {
	case pppoe.PADI:
		c.padi.Add(1)
		s.up.port.pending.asks(d.uniq, pppoe.MAC{})
	case pppoe.PADR:
		c.padr.Add(1)
		s.up.port.pending.asks(d.uniq, out.Dst)
	case pppoe.PADT:
		c.padtSent.Add(1)
	}
}

// opened is the PADS: the table entry, the snapshot for the readers, the note
// in the journal, and then everything the user has said meanwhile.
func (s *session) opened(now time.Time, sess pppoe.Session) {
	d := &s.disc
	if s.state != stateDiscovering {
		return
	}
	s.up.discovering.Add(-1)
	s.up.port.pending.settle(d.uniq)
	d.key = key{vlans: s.up.vlans, ac: sess.AC, our: d.our, sid: sess.SessionID}
	if old := s.up.port.table.claim(d.key, s); old != nil {
		// The AC gave the id of a session that we believed open: for the AC
		// that one is long gone, and a PADT for it now would end the new one.
		go old.owner.post(event{s: old, kind: evEnd, aux: ending{reason: ReasonPADT, message: "the AC gave its session id to another line", reused: true}})
	}
	d.keyed = true
	s.state, s.session, s.setUp = stateUp, sess, now.Sub(s.began)
	s.g.journal.opened(s.journalEntry())
	s.up.sent.opened.Add(1)
	s.up.sessions.Add(1)
	s.up.noteAC(now, sess.AC, func(ac *ACInfo) {
		ac.Name = sess.ACName
		ac.Sessions++
	})
	s.forward.Store(&forward{
		port:     s.up.port.ether(),
		hdr:      s.up.header(d.our, sess.AC, ether.TypeSession),
		overhead: ether.HeaderLen + ether.VLANTagLen*s.up.vlans.Len() + pppoe.HeaderLen,
		sid:      sess.SessionID,
		maxFrame: sess.MaxPayload + 2, // and the Protocol field
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
		s.g.journal.closed(s.journalEntry())
	}
	s.up.sessions.Add(-1)
	s.up.noteAC(now, s.session.AC, func(ac *ACInfo) { ac.Sessions-- })
	s.g.emit(Event{Time: now, Kind: EventSessionDown, Line: s.info.Name, Uplink: s.up.cfg.Name, SID: s.session.SessionID,
		MAC: s.session.AC.String(), User: s.user(), Reason: s.ended.reason, Message: s.ended.message})
}

func (s *session) journalEntry() journalEntry {
	k := s.disc.key
	return journalEntry{Interface: s.up.cfg.Interface, VLANs: k.vlans.Slice(), AC: k.ac, Our: k.our, SessionID: k.sid, Line: s.info.Name}
}

// expect makes a session that a PADS names findable before the owner has seen
// the PADS. The port's reader calls it.
func (s *session) expect(p *port, k key) {
	if s.expected.Load() == nil && p.table.insert(k, s) {
		s.expected.Store(&k)
	}
}

// unexpect takes that entry out again unless the client accepted the session.
func (s *session) unexpect() {
	if k := s.expected.Swap(nil); k != nil && !(s.disc.keyed && s.disc.key == *k) {
		s.up.port.table.remove(*k, s)
	}
}

func (s *session) offered(now time.Time, o pppoe.Offer) {
	s.up.noteAC(now, o.AC, func(ac *ACInfo) {
		ac.Name, ac.Services = o.ACName, o.Services
		ac.Offers++
	})
}

func (s *session) refused(now time.Time, r pppoe.ClientRefused) {
	s.message = r.Message
	s.up.sent.refused.Add(1)
	s.up.noteAC(now, r.AC, func(ac *ACInfo) {
		ac.Refusals++
		ac.Message = r.Message
	})
	s.g.log.Warn("the AC refuses", "line", s.info.Name, "uplink", s.up.cfg.Name, "ac", r.ACName, "mac", r.AC, "packet", r.Code, "message", r.Message)
}

func (s *session) discoveryFailed(now time.Time, f pppoe.ClientFailed) {
	reason := ReasonNoAC
	if f.Reason == pppoe.FailRefused || f.Reason == pppoe.FailNotAcceptable {
		reason = ReasonRefused
	}
	if reason == ReasonNoAC {
		s.up.sent.timedOut.Add(1)
	}
	message := f.Message
	if message == "" {
		message = failWords[f.Reason]
	}
	s.teardown(now, reason, message)
}

// closedByAC is the AC's PADT. If PPP had agreed on an end before, that is why.
func (s *session) closedByAC(now time.Time, c pppoe.ClientClosed) {
	if s.terminator.reason != "" {
		s.teardown(now, s.terminator.reason, s.terminator.message)
		return
	}
	s.teardown(now, ReasonPADT, c.Message)
}

// failWords is what the operator is told when no AC said anything itself.
var failWords = map[pppoe.FailReason]string{
	pppoe.FailNoOffer:       "no access concentrator answered a PADI; check the interface, its VLANs and the cable",
	pppoe.FailNotAcceptable: "access concentrators answered, but none that the configuration asks for (service_name, access_concentrators)",
	pppoe.FailNoSession:     "an access concentrator offered, and then did not answer the PADR",
	pppoe.FailConfig:        "service_name is too long for a PADI",
}

// discoveryDone lets go of everything the search held.
func (s *session) discoveryDone() {
	d := &s.disc
	s.up.port.pending.remove(d.uniq)
	s.up.port.delMAC(d.our)
	d.client = nil
	s.g.searches.Add(-1)
}
