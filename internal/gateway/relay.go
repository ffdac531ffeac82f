package gateway

import (
	"time"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// terminator is an end that PPP has agreed on, and that we carry out if the
// one who asked for it does not.
type terminator struct {
	reason  Reason
	message string
	by      time.Time
}

// fromUser is a control frame from the user, in the owner's turn.
func (s *session) fromUser(now time.Time, b *frame.Buf) {
	if !s.firstFrameBy.IsZero() && isLCP(b.Bytes(), ppp.ConfigureRequest) {
		s.firstFrameBy = time.Time{}
	}
	switch s.state {
	case stateWaiting:
		// RFC 1661 section 5.1: "An implementation wishing to open a
		// connection MUST transmit a Configure-Request." Anything else on a
		// line without a session is a leftover of an earlier one.
		if isLCP(b.Bytes(), ppp.ConfigureRequest) {
			s.hold(b)
			s.discover(now)
			return
		}
		s.stats.notOpen.Add(1)
	case stateDiscovering, stateHeld:
		if s.redial.held() {
			s.fromHeldUser(now, b)
		} else {
			s.hold(b)
		}
		return
	case stateUp:
		s.relayUser(now, b.Bytes())
	case stateEnding:
		s.stats.notOpen.Add(1)
	}
	b.Put()
}

// hold keeps a frame until there is a session to carry it. Of Configure-Requests
// the newest wins: it is the one whose answer the user waits for.
func (s *session) hold(b *frame.Buf) {
	if isLCP(b.Bytes(), ppp.ConfigureRequest) {
		for i, old := range s.held {
			if isLCP(old.Bytes(), ppp.ConfigureRequest) {
				s.stats.superseded.Add(1)
				old.Put()
				s.held[i] = b
				return
			}
		}
	}
	if len(s.held) >= maxHeld {
		s.stats.notOpen.Add(1)
		b.Put()
		return
	}
	s.held = append(s.held, b)
}

func (s *session) dropHeld() {
	s.stats.notOpen.Add(uint64(len(s.held)))
	for _, b := range s.held {
		b.Put()
	}
	s.held = nil
}

// relayOpen begins to relay: what was held goes first.
func (s *session) relayOpen(now time.Time) {
	s.snoop = new(ppp.Snoop)
	if maxMRU := s.up.carries(s.session.MaxPayload); s.rewrite == nil {
		s.rewrite = ppp.NewRewrite(ppp.RewriteConfig{MaxMRU: maxMRU, ACCM: s.info.ACCM})
	} else {
		s.handOver(maxMRU)
	}
	s.clampTo(s.linkMTU())
	s.watchLCP(now)
	held := s.held
	s.held = nil
	for _, b := range held {
		if s.state == stateUp {
			s.relayUser(now, b.Bytes())
		}
		b.Put()
	}
}

// relayUser carries one control frame from the user to the AC. The Snoop
// watches the AC's side of the Rewrite.
func (s *session) relayUser(now time.Time, f []byte) {
	r := s.rewrite.FromUser(f)
	s.setParams(r)
	var ev ppp.SnoopEvents
	if r.ToAC != nil {
		ev = s.snoop.FromUser(r.ToAC)
		if s.otherService(now) {
			return
		}
		s.toAC(r.ToAC)
	}
	if r.ToUser != nil {
		s.toUser(r.ToUser)
	}
	s.seen(now, ev)
}

// fromAC is a control frame from the AC, in the owner's turn.
func (s *session) fromAC(now time.Time, b *frame.Buf) {
	defer b.Put()
	if s.state != stateUp {
		s.stats.downNotOpen.Add(1)
		return
	}
	s.watch.heard, s.disc.heard = true, true
	f := b.Bytes()
	if s.echoReply(f) || s.terminatedByAC(now, f) {
		return
	}
	ev := s.snoop.FromAC(f)
	r := s.rewrite.FromAC(f)
	s.setParams(r)
	if r.ToUser != nil && s.toUser(r.ToUser) {
		s.stats.downFrames.Add(1)
		s.stats.downOctets.Add(uint64(len(r.ToUser)))
	}
	if r.ToAC != nil {
		s.toAC(r.ToAC)
	}
	s.seen(now, ev)
}

// seen acts on what a frame that passed brought about.
func (s *session) seen(now time.Time, ev ppp.SnoopEvents) {
	if ev&^(ppp.SnoopEchoReplyFromAC|ppp.SnoopEchoReplyByUser) == 0 {
		return
	}
	s.changed = true
	st := s.snoop.State()
	if ev.Has(ppp.SnoopLCPOpened) {
		s.terminator, s.termAcked = terminator{}, false
		s.watchOpen(now)
		s.clampTo(s.linkMTU())
	}
	if ev.Has(ppp.SnoopLCPClosed) {
		s.watchLCP(now)
	}
	if ev.Has(ppp.SnoopAuthenticated) {
		s.authFailed, s.message = false, ""
	}
	if ev.Has(ppp.SnoopAuthFailed) {
		s.authFailed, s.message = true, st.Message
		s.g.emit(Event{Time: now, Kind: EventAuthFailed, Line: s.info.Name, Uplink: s.up.cfg.Name, SID: s.session.SessionID,
			User: st.User, Message: st.Message})
	}
	if ev&(ppp.SnoopNetworkOpened|ppp.SnoopIPv6Opened) != 0 {
		s.regained()
	}
	if ev.Has(ppp.SnoopNetworkOpened) {
		s.authFailed = false // whatever failed before, the user is in
		s.g.emit(Event{Time: now, Kind: EventNetworkUp, Line: s.info.Name, Uplink: s.up.cfg.Name, SID: s.session.SessionID,
			User: st.User, Message: st.Address.String()})
	}
	// A Terminate-Request has its answer awaited; then the session ends, also
	// if whoever asked for the end does not see to it himself.
	if ev.Has(ppp.SnoopTerminateByUser) {
		s.terminator = terminator{ReasonUserTerm, st.TerminateText, now.Add(terminateWait)}
	}
	if ev.Has(ppp.SnoopTerminateByAC) {
		s.terminator = terminator{ReasonACTerm, st.TerminateText, now.Add(terminateWait)}
		if !s.authFailed || s.message == "" { // what it said to the password says more
			s.message = st.TerminateText
		}
	}
	if ev.Has(ppp.SnoopTerminateAcked) {
		s.termAcked = true
		if s.terminator.reason == ReasonUserTerm {
			s.teardown(now, ReasonUserTerm, s.terminator.message)
		}
		// RFC 1661 section 3.7: "The receiver of a Terminate-Request SHOULD
		// wait for the peer to disconnect". The AC does so with a PADT.
	}
}

// setParams gives the line its framing before it sends what brought it about.
func (s *session) setParams(r ppp.Relayed) {
	if !r.ParamsChanged {
		return
	}
	p := r.Params
	s.line.SetParams(hdlc.Params{ACCM: p.SendACCM, PFC: p.SendPFC, ACFC: p.SendACFC}, p.RecvACCM)
}

// toAC sends one PPP frame of the owner's on the open session.
func (s *session) toAC(f []byte) {
	fwd := s.forward.Load()
	if fwd == nil {
		s.stats.notOpen.Add(1)
		return
	}
	b := s.g.pool.Get()
	if b == nil {
		s.stats.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if !b.SetBytes(f) || !fwd.upstream(b) {
		s.stats.tooBig.Add(1)
		return
	}
	s.disc.spoken = true
	s.stats.sentUp(fwd, []*frame.Buf{b})
}

// toUser puts one PPP frame of the owner's in the line's queue, if it has room.
func (s *session) toUser(f []byte) bool {
	b := s.g.pool.Get()
	if b == nil {
		s.stats.noBuffer.Add(1)
		return false
	}
	b.SetBytes(f)
	return s.out.put(clock(), b)
}

// parting tells the AC in PPP's own words that the user is gone, before the
// PADT does: RFC 2516 section 5.5 allows no PPP after it.
func (s *session) parting(fwd *forward, reason Reason) {
	// The client knows whether the AC has ended the session: it is then no
	// longer open.
	if fwd == nil || s.disc.client == nil || s.disc.client.State() != pppoe.ClientOpen || s.termAcked {
		return
	}
	if st := s.snoop.State(); st.Phase == ppp.PhaseDead || st.TerminateByAC {
		return
	}
	b := s.g.pool.Get()
	if b == nil {
		return
	}
	defer b.Put()
	b.SetBytes(ppp.AppendTerminateRequest(nil, lastWordsID, string(reason)))
	fwd.upstream(b)
	s.stats.sentUp(fwd, []*frame.Buf{b})
}

// lastWordsID is the identifier of a Terminate-Request of ours. RFC 1661
// section 5.5 asks only that it differ from that of the one before.
const lastWordsID = 0xfe

// lastWords tells the user's PPP why its line goes down. PPP of one whose line was
// held is open, whatever the AC of the day knows of it.
func (s *session) lastWords(reason Reason, message string, held bool) {
	if s.began.IsZero() || s.termAcked {
		return // no PPP has been heard, or PPP has said it all
	}
	if s.snoop != nil && !held {
		if st := s.snoop.State(); st.Phase == ppp.PhaseDead || st.TerminateByAC || st.TerminateByUser {
			return
		}
	}
	text := userWords[reason]
	if text == "" {
		return
	}
	if message != "" {
		text += ": " + message
	}
	s.toUser(ppp.AppendTerminateRequest(nil, lastWordsID, text))
}
