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
	member bool // the port receives for our on this session's behalf, or is about to
	joins  bool // it is about to
	key    key  // of the open session
	keyed  bool // key is in the table and in the journal
	unsent bool // its PADT could not be sent

	// What becomes of it is what the uplink knows of ACs.
	who       searcher
	padiAt    time.Time   // the last PADI
	asked     pppoe.MAC   // the AC of the last PADR
	askedAt   time.Time   // its first PADR
	refusedBy string      // the AC that refused last, by name
	refused   []pppoe.MAC // all that have
	service   bool        // that was for the service that is asked for
	left      []pppoe.MAC // ACs that are left alone, and offered
	granted   bool        // it has come to a session
	spoken    bool        // a frame has gone out on that
	heard     bool        // and one has come in

	// PADIs wait for the uplink's leave.
	admitted bool   // the next one has it
	padi     []byte // a repetition that has not
}

// discover opens the search for an AC.
func (s *session) discover(now time.Time) {
	s.state, s.began, s.changed = stateDiscovering, now, true
	s.up.discovering.Add(1)
	if s.up.port.down.Load() {
		s.teardown(now, ReasonUplinkDown, "the interface "+s.up.port.name+" is down")
		return
	}
	s.g.emit(Event{Time: now, Kind: EventDiscovering, Line: s.info.Name, Uplink: s.up.cfg.Name})
	d := &s.disc
	d.our, d.member = s.up.sourceMAC(s.info)
	if d.member && !s.up.port.members.join(d.our, s) {
		d.joins = true
		return
	}
	s.search(now)
}

// joined says that the port receives for our address now, or why it cannot.
func (s *session) joined(now time.Time, ev event) {
	if !s.disc.joins {
		return
	}
	s.disc.joins = false
	if err, _ := ev.aux.(error); err != nil {
		s.teardown(now, ReasonLocalLimits, err.Error())
		return
	}
	s.search(now)
}

// search asks for leave to send the first PADI. The client begins with it, and so
// does the time that it has.
func (s *session) search(now time.Time) {
	d, cfg := &s.disc, s.up.cfg
	d.uniq = newHostUniq(s.g.uniqs.Add(1), s.g.random)
	d.who = s.up.acs.begin(s.info.Name)
	d.asked, d.refusedBy, d.service, d.left, d.refused = pppoe.MAC{}, "", false, nil, nil
	d.granted, d.spoken, d.heard = false, false, false
	d.client = pppoe.NewClient(pppoe.ClientConfig{
		ServiceName: s.serviceName(),
		HostUniq:    d.uniq[:],
		Extra:       s.accessLineTags(),
		MaxPayload:  s.up.maxPayload,
		Prefer:      s.up.acs.prefer,
		Rank:        s.rank,
		OfferWait:   cfg.OfferWait,
		Timeout:     cfg.Discovery.Timeout,
		Random:      s.g.jitter,
	})
	s.g.searches.Add(1)
	s.up.port.pending.add(d.uniq, s, d.our, s.up.vlans)
	if s.up.gate.enter(now, s, d.our) {
		s.admitted(now)
	}
}

// admitted is the uplink's leave to send one PADI.
func (s *session) admitted(now time.Time) {
	d := &s.disc
	if d.client == nil || !s.up.gate.admits(s) {
		return // it came too late
	}
	switch {
	case d.client.State() == pppoe.ClientIdle:
		d.admitted = true
		d.client.Start(now)
		s.drainDiscovery(now)
	case d.padi != nil:
		d.client.Release(now)
		s.sendDiscovery(pppoe.Send{Dst: pppoe.Broadcast, Code: pppoe.PADI, Packet: d.padi})
		d.padi = nil
	}
	s.up.gate.leave(s) // unless it was sent
}

func (s *session) discoveryDeadline() time.Time {
	if s.disc.client == nil {
		return time.Time{}
	}
	return s.disc.client.Deadline()
}

func (s *session) discoveryTick(now time.Time) {
	if due(now, s.discoveryDeadline()) {
		s.disc.client.Tick(now)
		s.drainDiscovery(now)
	}
}

// discoveryInput is a PADO, PADS or PADT that the port's reader found to be ours.
func (s *session) discoveryInput(now time.Time, ev event) {
	defer ev.buf.Put()
	if ev.expected {
		defer s.unexpect()
	}
	d := &s.disc
	if d.client == nil {
		return
	}
	packet := ev.buf.Bytes()
	d.service = false
	if h, _, err := pppoe.ParseHeader(packet); err == nil {
		switch h.Code {
		case pppoe.PADO:
			s.up.sent.pado.Add(1)
		case pppoe.PADS:
			s.up.sent.pads.Add(1)
			d.service = namesService(packet)
			if s.state == stateEnding {
				s.up.sent.late.Add(1)
			}
		case pppoe.PADT:
			s.up.sent.padtReceived.Add(1)
		}
	}
	d.client.Input(now, ev.src, packet)
	s.drainDiscovery(now)
}

// closeDiscovery ends what is open at the AC, with the client's PADT.
func (s *session) closeDiscovery(now time.Time, message string) {
	if s.up == nil {
		return // a user of mode shared
	}
	d := &s.disc
	s.up.gate.done(s)
	d.padi = nil
	if d.client == nil {
		s.leavePort()
		return
	}
	if !d.granted {
		s.up.acs.over(d.who)
	}
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
		case pppoe.ClientUnanswered:
			s.unanswered(now, out)
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
// leave permits. While one waits, the client's clock stands still.
func (s *session) sendClient(now time.Time, out pppoe.Send) {
	d := &s.disc
	if out.Code == pppoe.PADI && !d.admitted && !s.up.gate.enter(now, s, d.our) {
		d.padi = out.Packet
		d.client.Hold(now)
		return
	}
	if out.Code == pppoe.PADI {
		d.admitted = false
	}
	s.sendDiscovery(out)
}

func (s *session) sendDiscovery(out pppoe.Send) {
	d := &s.disc
	hdr := s.up.header(d.our, out.Dst, ether.TypeDiscovery)
	s.noteSent(out)
	// Before it is out: the answer may be there, and the AC's first frame behind it,
	// before this returns.
	switch out.Code {
	case pppoe.PADI:
		s.up.port.pending.asks(d.uniq, pppoe.MAC{})
	case pppoe.PADR:
		s.up.port.pending.asks(d.uniq, out.Dst)
	}
	sent := s.up.port.send(&hdr, out.Packet)
	c := &s.up.sent
	switch {
	case out.Code == pppoe.PADI:
		s.up.gate.sent(time.Now(), s)
		c.padi.Add(1)
	case out.Code == pppoe.PADR:
		s.up.gate.leave(s) // the offers it wanted have come
		d.padi = nil
		c.padr.Add(1)
	case out.Code == pppoe.PADT && sent:
		c.padtSent.Add(1)
	case out.Code == pppoe.PADT && d.keyed && out.Dst == d.key.ac:
		if h, _, err := pppoe.ParseHeader(out.Packet); err == nil && h.SessionID == d.key.sid {
			d.unsent = true
		}
	}
}

// closedByAC is the AC's PADT. If PPP had agreed on an end before, that is why.
func (s *session) closedByAC(now time.Time, c pppoe.ClientClosed) {
	if s.terminator.reason != "" {
		s.teardown(now, s.terminator.reason, s.terminator.message)
		return
	}
	s.teardown(now, ReasonPADT, c.Message)
}

// discoveryDone lets go of everything the search held.
func (s *session) discoveryDone() {
	d := &s.disc
	if d.client == nil {
		return
	}
	d.client = nil
	s.unexpect()
	s.up.gate.done(s)
	s.up.port.pending.remove(d.uniq)
	s.leavePort()
	s.g.searches.Add(-1)
}

// leavePort gives back the address of a session that is over.
func (s *session) leavePort() {
	d := &s.disc
	if d.member {
		d.member, d.joins = false, false
		s.up.port.members.leave(d.our, s)
	}
}
