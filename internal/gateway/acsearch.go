package gateway

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"tributary/pppoe"
)

// What one search has in common with all others of its uplink: it goes by what they
// have seen of the ACs (actable.go), and adds what it sees itself.

// rank is the uplink's judgement of an offer.
func (s *session) rank(now time.Time, o pppoe.Offer, place int) pppoe.Rank {
	d := &s.disc
	if slices.Contains(d.refused, o.AC) {
		// It has refused this search, and the client does not ask it again: that it
		// makes offers all the same is what ends the search.
		return pppoe.Rank{Order: math.MaxInt}
	}
	busy := d.client.State() == pppoe.ClientRequesting && d.asked != o.AC
	r := s.up.acs.rank(now, d.who, o, place, busy)
	if r.Leave && !slices.Contains(d.left, o.AC) && len(d.left) < maxLeftNamed {
		d.left = append(d.left, o.AC)
	}
	return r
}

// maxLeftNamed is how many ACs a message names.
const maxLeftNamed = 4

// noteSent keeps what answers are measured from.
func (s *session) noteSent(out pppoe.Send) {
	d := &s.disc
	switch out.Code {
	case pppoe.PADI:
		d.padiAt = time.Now()
	case pppoe.PADR:
		if d.asked != out.Dst || d.askedAt.Before(d.padiAt) {
			d.asked, d.askedAt = out.Dst, time.Now()
			s.up.acs.asked(d.who, out.Dst)
		}
	}
}

func (s *session) offered(now time.Time, o pppoe.Offer) {
	s.up.acs.offered(now, o, now.Sub(s.disc.padiAt))
}

// namesService reports whether a PADS refuses the service that was asked for. RFC 2516
// appendix A, of Service-Name-Error: "for one reason or another, the requested
// Service-Name request could not be honored."
func namesService(packet []byte) bool {
	p, err := pppoe.ParsePacket(packet)
	if err != nil {
		return false
	}
	_, there := p.Find(pppoe.TagServiceNameError)
	return there
}

func (s *session) refused(now time.Time, r pppoe.ClientRefused) {
	d := &s.disc
	s.message, s.changed = r.Message, true
	d.refusedBy = r.ACName
	if d.refusedBy == "" {
		d.refusedBy = r.AC.String()
	}
	if !slices.Contains(d.refused, r.AC) {
		d.refused = append(d.refused, r.AC)
	}
	s.up.sent.refused.Add(1)
	s.g.log.Warn("the AC refuses", "line", s.info.Name, "uplink", s.up.cfg.Name, "ac", r.ACName, "mac", r.AC, "packet", r.Code, "message", r.Message)
	// A service that only this line asks for, which the user may have named, is
	// nothing to the others.
	lineOnly := d.service && s.serviceName() != s.up.cfg.ServiceName
	if s.up.acs.refused(now, d.who, r, lineOnly) {
		s.acLeft(now, r.AC)
	}
}

func (s *session) unanswered(now time.Time, u pppoe.ClientUnanswered) {
	s.up.sent.unanswered.Add(1)
	if s.up.acs.missed(now, s.disc.who, u.AC) {
		s.acLeft(now, u.AC)
	}
}

// granted is the session that the search has come to.
func (s *session) granted(now time.Time) {
	s.disc.granted = true
	took := now.Sub(s.disc.askedAt)
	if s.disc.asked != s.session.AC {
		took = s.setUp // it was given up as silent, and then answered
	}
	if s.up.acs.granted(now, s.disc.who, s.session, took, s.setUp) {
		s.acBack(now)
	}
}

// proved is LCP that is open: the AC does more than grant sessions.
func (s *session) proved(now time.Time) {
	if s.up.acs.proved(s.session.AC) {
		s.acBack(now)
	}
}

// ungranted is the end of that session.
func (s *session) ungranted(now time.Time) {
	dead := s.deadAtBirth()
	if dead {
		s.up.sent.lost.Add(1)
	}
	if s.up.acs.closed(now, s.disc.who, s.session.AC, dead) {
		s.acLeft(now, s.session.AC)
	}
	s.disc.granted = false
	s.up.acs.over(s.disc.who)
}

// deadAtBirth reports whether the AC granted the session and never said a word on it,
// though it was spoken to: a user who is mute is not the AC's fault.
func (s *session) deadAtBirth() bool {
	return (s.ended.reason == ReasonACSilent || s.ended.reason == ReasonPADT) && !s.disc.heard && s.disc.spoken
}

func (s *session) acLeft(now time.Time, mac pppoe.MAC) {
	why, _ := s.up.acs.why(now, mac)
	s.g.log.Warn("the AC is left alone for a while", "uplink", s.up.cfg.Name, "mac", mac, "why", why)
	s.g.emit(Event{Time: now, Kind: EventACLeft, Line: s.info.Name, Uplink: s.up.cfg.Name, MAC: mac.String(), Message: why})
}

func (s *session) acBack(now time.Time) {
	s.g.emit(Event{Time: now, Kind: EventACBack, Line: s.info.Name, Uplink: s.up.cfg.Name, MAC: s.session.AC.String(), Message: s.session.ACName})
}

func (s *session) discoveryFailed(now time.Time, f pppoe.ClientFailed) {
	s.up.sent.fail(f.Reason)
	reason, message := ReasonNoAC, failWords[f.Reason]
	switch f.Reason {
	case pppoe.FailRefused:
		reason, message = ReasonRefused, f.Message
		if by := s.disc.refusedBy; by != "" {
			message = fmt.Sprintf("%s refuses: %s", by, f.Message)
		}
	case pppoe.FailNotAcceptable:
		reason = ReasonRefused
	case pppoe.FailLeftAlone:
		s.up.sent.leftAlone.Add(1)
		words, refused := s.up.leftAloneWords(now, s.disc.left)
		if refused {
			reason = ReasonRefused
		}
		message = strings.TrimSuffix(message+": "+words, ": ")
	}
	if reason == ReasonNoAC {
		s.up.sent.timedOut.Add(1)
	}
	s.teardown(now, reason, message)
}

// failWords is what the operator is told when no AC said anything itself.
var failWords = map[pppoe.FailReason]string{
	pppoe.FailNoOffer:       "no access concentrator answered a PADI; check the interface, its VLANs and the cable",
	pppoe.FailNotAcceptable: "access concentrators answered, but none that the configuration asks for (service_name, access_concentrators)",
	pppoe.FailNoSession:     "an access concentrator offered, and then did not answer the PADR",
	pppoe.FailLeftAlone:     "no access concentrator is asked now",
	pppoe.FailConfig:        "service_name is too long for a PADI",
}
