package pppoe

import (
	"crypto/rand"
	"time"
)

// DefaultCookieLife is CookieLife where none is given.
const DefaultCookieLife = 30 * time.Second

// maxDelayed bounds how many PADOs wait for PADODelay to pass.
const maxDelayed = 256

// maxSessions is how many ids there are: RFC 2516 keeps 0 for discovery and
// 0xffff for the future.
const maxSessions = 0xfffe

// maxSpent bounds how many PADRs are remembered in each slot of time after their
// session was used. Beyond it one that is late opens a session that nobody uses,
// which only costs its id for a while.
const maxSpent = 1 << 14

// ServerConfig says what an access concentrator offers, and to how many.
type ServerConfig struct {
	// ACName is the server's name in a PADO. Empty is "tributary".
	ACName string
	// Services that are offered by name; a host that asks for none is served
	// too. Empty: any name is served.
	Services []string
	// MAC is the server's own address; cookies are bound to it.
	MAC MAC
	// CookieKey makes cookies unforgeable. Zero, as it should be but for tests
	// and for servers that share their cookies: one that nobody knows, from
	// crypto/rand.
	CookieKey [32]byte
	// CookieLife is the least time for which a cookie is good; the most is
	// twice that. 0 is DefaultCookieLife.
	CookieLife time.Duration
	// MaxSessions and MaxPerMAC bound how many sessions are open, of all peers
	// and of one. 0 is as many as there are ids, 65,534.
	MaxSessions, MaxPerMAC int
	// PADODelay holds each PADO back, so that hosts choose another AC where
	// there is one.
	PADODelay time.Duration
	// MaxPayload is the largest PPP payload that can be carried, in octets.
	// Over 1492, peers that ask for more are granted it (RFC 4638).
	MaxPayload int
	// LowestID gives out the lowest id that is free, so that one that was given back
	// comes again at once, as it does with some ACs. For tests of hosts: frames of a
	// session that has just ended may still be under way.
	LowestID bool
	// Random returns a number in [0, n). The first session id is chosen with
	// it, so that a restarted server does not give away ids that its peers
	// still believe to be theirs. Nil begins at 1.
	Random func(n int64) int64
}

// ServerCounters counts packets since the server was made.
type ServerCounters struct {
	PADI, PADR, PADT uint64 // received, well-formed
	PADO, PADS       uint64 // sent, refusals included
	Malformed        uint64 // received, dropped
	Unserved         uint64 // PADIs not answered: no such service, no room, or PADOs waiting at their bound
	BadCookie        uint64 // PADRs not answered: no cookie, forged or expired
	Refused          uint64 // PADRs answered with an error tag
	Repeated         uint64 // PADRs answered with the session they had opened before
	Late             uint64 // PADRs not answered: the session they had opened was used by then, or over
	ForeignPADT      uint64 // of a session that is not the sender's
}

// serverSession is what the server remembers of one session.
type serverSession struct {
	peer    MAC
	relay   []byte
	padr    grantKey // the PADR that opened it
	fresh   bool     // nothing has come in on it: padr is in Server.fresh
	payload int
	service string
}

// delayedPADO is one PADO that waits for PADODelay.
type delayedPADO struct {
	at   time.Time
	send Send
}

// Server is the access concentrator's end of the Discovery stage, for any
// number of peers on one port and VLAN. A PADI leaves nothing behind in it, and
// a PADR only if its cookie shows that the sender receives what is sent to its
// address.
type Server struct {
	cfg      ServerConfig
	out      queue[ServerOut]
	counters ServerCounters

	sessions map[uint16]*serverSession
	perMAC   map[MAC]int
	nextID   uint16
	// fresh finds sessions on which nothing has come in yet by the PADR that
	// opened them, in case their PADS was lost.
	fresh map[grantKey]uint16
	// spent are the PADRs whose session was used or has ended, so that one
	// that was still under way opens no other. They are kept while their
	// cookie may be good: those of this slot of time, and of the one before.
	spent   [2]map[grantKey]struct{}
	slotNow int64  // the slot of spent[0]
	issued  uint64 // cookies
	delayed []delayedPADO
}

// NewServer makes a server without sessions.
func NewServer(cfg ServerConfig) *Server {
	if cfg.ACName == "" {
		cfg.ACName = "tributary"
	}
	if cfg.CookieKey == [32]byte{} {
		// Read never fails: it ends the process before it returns an error.
		_, _ = rand.Read(cfg.CookieKey[:])
	}
	if cfg.CookieLife <= 0 {
		cfg.CookieLife = DefaultCookieLife
	}
	if cfg.MaxSessions <= 0 || cfg.MaxSessions > maxSessions {
		cfg.MaxSessions = maxSessions
	}
	if cfg.MaxPerMAC <= 0 {
		cfg.MaxPerMAC = maxSessions
	}
	s := &Server{
		cfg: cfg, nextID: 1,
		sessions: map[uint16]*serverSession{}, perMAC: map[MAC]int{}, fresh: map[grantKey]uint16{},
	}
	if cfg.Random != nil && !cfg.LowestID {
		s.nextID += uint16(cfg.Random(maxSessions))
	}
	return s
}

// Next takes the oldest packet or event; ok is false when there are no more.
func (s *Server) Next() (out ServerOut, ok bool) { return s.out.next() }

// Deadline is when Tick wants to be called; zero if nothing waits.
func (s *Server) Deadline() time.Time {
	if len(s.delayed) == 0 {
		return time.Time{}
	}
	return s.delayed[0].at
}

// Tick sends the PADOs that have waited long enough.
func (s *Server) Tick(now time.Time) {
	for len(s.delayed) > 0 && !now.Before(s.delayed[0].at) {
		s.out.push(s.delayed[0].send)
		s.counters.PADO++
		s.delayed[0] = delayedPADO{}
		s.delayed = s.delayed[1:]
	}
	if len(s.delayed) == 0 {
		s.delayed = nil
	}
}

// Counters is a copy of the counters.
func (s *Server) Counters() ServerCounters { return s.counters }

// Sessions is how many sessions are open.
func (s *Server) Sessions() int { return len(s.sessions) }

// Input takes one discovery packet that came from src, to the server's own
// address or to all. The owner has checked that, and the VLANs.
func (s *Server) Input(now time.Time, src MAC, pkt []byte) {
	if src.IsMulticast() || src == s.cfg.MAC {
		s.counters.Malformed++
		return
	}
	p, err := parseInput(pkt)
	if err != nil {
		s.counters.Malformed++
		return
	}
	switch p.Code {
	case PADI:
		s.inputPADI(now, src, p)
	case PADR:
		s.inputPADR(now, src, p)
	case PADT:
		s.inputPADT(src, p)
	}
}

// inputPADI offers, or stays silent. RFC 2516 section 5.2: "If the Access
// Concentrator can not serve the PADI it MUST NOT respond with a PADO."
func (s *Server) inputPADI(now time.Time, src MAC, p Packet) {
	service, _ := p.Find(TagServiceName)
	if p.SessionID != 0 || p.count(TagServiceName) != 1 {
		s.counters.Malformed++
		return
	}
	s.counters.PADI++
	if !s.serves(string(service)) || !s.room(src) {
		s.counters.Unserved++
		return
	}
	b := packetBuilder{Packet: Packet{Code: PADO}}
	// RFC 2516 section 5.2: "The PADO packet MUST contain one AC-Name TAG
	// containing the Access Concentrator's name, a Service-Name TAG identical
	// to the one in the PADI, and any number of other Service-Name TAGs
	// indicating other services that the Access Concentrator offers."
	b.must(StringTag(TagACName, s.cfg.ACName))
	b.must(Tag{Type: TagServiceName, Data: service})
	b.must(Tag{Type: TagACCookie, Data: s.cookie(now, src)})
	s.answer(&b, p)
	if b.Len() > maxEthernet {
		s.counters.Unserved++
		return
	}
	for _, other := range s.cfg.Services {
		if other != string(service) {
			b.may(StringTag(TagServiceName, other))
		}
	}
	send := Send{Dst: src, Code: PADO, Packet: b.Append(nil)}
	switch {
	case s.cfg.PADODelay <= 0:
		s.out.push(send)
		s.counters.PADO++
	case len(s.delayed) < maxDelayed:
		s.delayed = append(s.delayed, delayedPADO{at: now.Add(s.cfg.PADODelay), send: send})
	default:
		s.counters.Unserved++
	}
}

// answer adds what every answer to p repeats of it. RFC 2516 appendix A: an AC
// that receives a Host-Uniq "MUST include the TAG unmodified in the associated
// PADO or PADS response", and a Relay-Session-Id "unmodified in any discovery
// packet they send as a response".
func (s *Server) answer(b *packetBuilder, p Packet) {
	for _, t := range [...]TagType{TagHostUniq, TagRelaySessionID} {
		if data, ok := p.Find(t); ok {
			b.must(Tag{Type: t, Data: data})
		}
	}
	// RFC 4638: both say how much they can take, and only if it is more than
	// 1492. Ours is the host's value, or less where we cannot take as much.
	if n := agreePayload(s.cfg.MaxPayload, p.maxPayload()); n > DefaultMaxPayload {
		b.may(maxPayloadTag(n))
	}
}

// serves reports whether a host that asks for service is served.
func (s *Server) serves(service string) bool {
	if service == "" || len(s.cfg.Services) == 0 {
		return true
	}
	for _, ours := range s.cfg.Services {
		if ours == service {
			return true
		}
	}
	return false
}

// room reports whether peer may have one more session.
func (s *Server) room(peer MAC) bool {
	return len(s.sessions) < s.cfg.MaxSessions && s.perMAC[peer] < s.cfg.MaxPerMAC
}

// inputPADT ends a session of src's. One with another's id, or of another's
// session, ends nothing.
func (s *Server) inputPADT(src MAC, p Packet) {
	s.counters.PADT++
	if ss := s.sessions[p.SessionID]; ss == nil || ss.peer != src {
		s.counters.ForeignPADT++
		return
	}
	s.forget(p.SessionID)
	text, _ := p.ErrorText()
	s.out.push(ServerClosed{Peer: src, SessionID: p.SessionID, Message: text})
}

// Received says that something has come in on a session: the peer knows its id,
// so that the same PADR, should it come once more, was only late and is not
// answered. The first frame of each session is enough. What is unknown is ignored.
func (s *Server) Received(peer MAC, sid uint16) {
	if ss := s.sessions[sid]; ss != nil && ss.peer == peer {
		s.settle(ss)
	}
}

// settle has the PADR of a session answered no more.
func (s *Server) settle(ss *serverSession) {
	if ss.fresh {
		ss.fresh = false
		delete(s.fresh, ss.padr)
		s.spend(ss.padr)
	}
}

// CloseSession ends a session by PADT, with text, which may be empty, as the
// reason. It reports whether there was one; ServerClosed does not follow.
func (s *Server) CloseSession(_ time.Time, peer MAC, sid uint16, text string) bool {
	ss := s.sessions[sid]
	if ss == nil || ss.peer != peer {
		return false
	}
	s.forget(sid)
	s.out.push(terminate(peer, sid, ss.relay, text))
	return true
}

func (s *Server) forget(sid uint16) {
	ss := s.sessions[sid]
	delete(s.sessions, sid)
	s.settle(ss)
	if s.perMAC[ss.peer]--; s.perMAC[ss.peer] <= 0 {
		delete(s.perMAC, ss.peer)
	}
}
