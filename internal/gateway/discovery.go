package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/pppoe"
)

// discovery is a session's PPPoE side: the client machine, and what it needs
// of the world. It outlives the line for as long as a late PADS could come.
type discovery struct {
	client *pppoe.Client
	uniq   hostUniq
	our    pppoe.MAC
	member bool // the port receives for our on this session's behalf
	key    key  // of the open session
	keyed  bool // key is in the table and in the journal
	unsent bool // its PADT could not be sent

	// PADIs wait for the uplink's allowance.
	admitted bool   // the next PADI has leave to go
	padi     []byte // a repetition that has none yet
}

// discover opens the search for an AC.
func (s *session) discover(now time.Time) {
	s.state, s.began, s.changed = stateDiscovering, now, true
	s.up.discovering.Add(1)
	if s.up.port.down.Load() {
		s.teardown(now, ReasonUplinkDown, "the interface "+s.up.port.name+" is down")
		return
	}
	d, cfg := &s.disc, s.up.cfg
	d.our = s.up.sourceMAC(s.info)
	if cfg.MAC == config.MACPerLine {
		if err := s.up.port.addMAC(d.our); err != nil {
			s.teardown(now, ReasonLocalLimits, err.Error())
			return
		}
		d.member = true
	}
	d.uniq = newHostUniq(s.g.uniqs.Add(1), s.g.random)
	d.client = pppoe.NewClient(pppoe.ClientConfig{
		ServiceName: s.serviceName(),
		HostUniq:    d.uniq[:],
		Extra:       s.accessLineTags(),
		MaxPayload:  s.up.maxPayload,
		Prefer:      s.up.prefer,
		OfferWait:   cfg.OfferWait,
		Timeout:     cfg.Discovery.Timeout,
		Random:      s.g.jitter,
	})
	s.g.searches.Add(1)
	s.up.port.pending.add(d.uniq, s, d.our, s.up.vlans)
	s.g.emit(Event{Time: now, Kind: EventDiscovering, Line: s.info.Name, Uplink: cfg.Name})
	if s.up.gate.enter(now, s) {
		s.admitted(now)
	}
}

// admitted is the uplink's leave to send one PADI.
func (s *session) admitted(now time.Time) {
	d := &s.disc
	if d.client == nil {
		return
	}
	switch d.client.State() {
	case pppoe.ClientIdle:
		d.admitted = true
		d.client.Start(now)
		s.drainDiscovery(now)
	case pppoe.ClientSoliciting:
		if d.padi != nil {
			s.sendDiscovery(pppoe.Send{Dst: pppoe.Broadcast, Code: pppoe.PADI, Packet: d.padi})
		}
	}
	d.padi = nil
}

func (s *session) discoveryDeadline() time.Time {
	if s.disc.client == nil {
		return time.Time{}
	}
	return s.disc.client.Deadline()
}

func (s *session) discoveryTick(now time.Time) {
	if at := s.discoveryDeadline(); !at.IsZero() && !now.Before(at) {
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
}

// closeDiscovery ends what is open at the AC, with the client's PADT.
func (s *session) closeDiscovery(now time.Time, message string) {
	d := &s.disc
	if d.client == nil {
		return
	}
	s.up.gate.leave(s)
	d.padi = nil
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
	if out.Code == pppoe.PADI && !d.admitted && !s.up.gate.enter(now, s) {
		d.padi = out.Packet
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

func (s *session) offered(now time.Time, o pppoe.Offer) {
	s.up.noteAC(now, o.AC, func(ac *ACInfo) {
		ac.Name, ac.Services = o.ACName, o.Services
		ac.Offers++
	})
}

func (s *session) refused(now time.Time, r pppoe.ClientRefused) {
	s.message, s.changed = r.Message, true
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
	if d.client == nil {
		return
	}
	d.client = nil
	s.unexpect()
	s.up.gate.leave(s)
	s.up.port.pending.remove(d.uniq)
	if d.member {
		d.member = false
		s.up.port.delMAC(d.our)
	}
	s.g.searches.Add(-1)
}
