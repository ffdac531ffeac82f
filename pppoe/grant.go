package pppoe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Lengths in octets of a cookie and its parts: a number that makes each cookie
// differ, in the clear, and a truncated HMAC-SHA256.
const (
	cookieSerial = 8
	cookieSum    = 16
	cookieLen    = cookieSerial + cookieSum
)

// cookie makes an AC-Cookie for peer. RFC 2516 section 9: "The Access
// Concentrator SHOULD be able to uniquely regenerate the TAG_VALUE based on the
// PADR SOURCE_ADDR. Using this, the Access Concentrator can ensure that the
// PADI SOURCE_ADDR is indeed reachable and can then limit concurrent sessions
// for that address."
//
// Host-Uniq is not bound in: a host may use one for its PADI and another for
// its PADR.
func (s *Server) cookie(now time.Time, peer MAC) []byte {
	s.issued++
	c := binary.BigEndian.AppendUint64(make([]byte, 0, cookieLen), s.issued)
	sum := s.sum(c, s.slot(now), peer)
	return append(c, sum[:cookieSum]...)
}

// cookieGood reports whether c was made for peer in this slot of time or the
// one before.
func (s *Server) cookieGood(now time.Time, peer MAC, c []byte) bool {
	if len(c) != cookieLen {
		return false
	}
	slot := s.slot(now)
	for _, at := range [...]int64{slot, slot - 1} {
		sum := s.sum(c[:cookieSerial], at, peer)
		if hmac.Equal(sum[:cookieSum], c[cookieSerial:]) {
			return true
		}
	}
	return false
}

// slot numbers the stretches of CookieLife.
func (s *Server) slot(now time.Time) int64 { return now.UnixNano() / int64(s.cfg.CookieLife) }

func (s *Server) sum(serial []byte, slot int64, peer MAC) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, s.cfg.CookieKey[:])
	h.Write(serial)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(slot)))
	h.Write(peer[:])
	h.Write(s.cfg.MAC[:])
	h.Sum(sum[:0])
	return sum
}

// inputPADR grants a session, repeats a grant, or refuses.
//
// Without a good cookie it stays silent. An answer would go to whoever the
// source address belongs to, which is what the cookie was to prove; and a host
// whose cookie has expired goes back to its PADI the sooner for it, where an
// error tag would make it give up this AC.
func (s *Server) inputPADR(now time.Time, src MAC, p Packet) {
	if p.SessionID != 0 {
		s.counters.Malformed++
		return
	}
	s.counters.PADR++
	cookie, _ := p.Find(TagACCookie)
	if !s.cookieGood(now, src, cookie) {
		s.counters.BadCookie++
		return
	}
	hostUniq, _ := p.Find(TagHostUniq)
	s.turn(s.slot(now))
	key := keyOf(cookie, hostUniq)
	if s.late(key) {
		s.counters.Late++
		return
	}
	if sid, ok := s.fresh[key]; ok {
		s.counters.Repeated++
		s.confirm(src, sid, p)
		return
	}
	service, _ := p.Find(TagServiceName)
	switch {
	case p.count(TagServiceName) != 1:
		s.refuse(src, p, service, StringTag(TagServiceNameError, "exactly one Service-Name is needed"))
	case !s.serves(string(service)):
		s.refuse(src, p, service, StringTag(TagServiceNameError, "no such service here"))
	case len(s.sessions) >= s.cfg.MaxSessions:
		s.refuse(src, p, service, StringTag(TagACSystemError, "no more sessions here"))
	case !s.room(src):
		s.refuse(src, p, service, StringTag(TagACSystemError, "no more sessions for this address"))
	default:
		s.grant(src, p, string(service), key)
	}
}

// grantKey tells PADRs apart. A host may send several on one offer, with a
// Host-Uniq for each of its processes; a cookie is good for one host alone.
type grantKey [16]byte

func keyOf(cookie, hostUniq []byte) (k grantKey) {
	h := sha256.New()
	h.Write(cookie) // its length is always the same
	h.Write(hostUniq)
	copy(k[:], h.Sum(nil))
	return k
}

// spend notes that key's session was used or is over.
func (s *Server) spend(key grantKey) {
	if s.spent[0] == nil {
		s.spent[0] = map[grantKey]struct{}{}
	}
	if len(s.spent[0]) < maxSpent {
		s.spent[0][key] = struct{}{}
	}
}

// late reports whether key was spent.
func (s *Server) late(key grantKey) bool {
	for _, spent := range s.spent {
		if _, ok := spent[key]; ok {
			return true
		}
	}
	return false
}

// turn lets go of what was spent so long ago that its cookie has expired: a
// cookie that was good in one slot is good in the next at most.
func (s *Server) turn(slot int64) {
	switch slot {
	case s.slotNow:
		return
	case s.slotNow + 1:
		s.spent[1] = s.spent[0]
	default:
		s.spent[1] = nil
	}
	s.spent[0], s.slotNow = nil, slot
}

// refuse answers a PADR with an error tag. RFC 2516 section 5.4: "If the Access
// Concentrator does not like the Service-Name in the PADR, then it MUST reply
// with a PADS containing a TAG of TAG_TYPE Service-Name-Error (and any number
// of other TAG types). In this case the SESSION_ID MUST be set to 0x0000."
func (s *Server) refuse(src MAC, p Packet, service []byte, why Tag) {
	s.counters.Refused++
	b := packetBuilder{Packet: Packet{Code: PADS}}
	b.must(Tag{Type: TagServiceName, Data: service})
	b.must(why)
	s.sendPADS(src, p, &b)
}

// grant opens a session.
func (s *Server) grant(src MAC, p Packet, service string, key grantKey) {
	sid := s.newID()
	ss := &serverSession{
		peer: src, padr: key, fresh: true, service: service,
		payload: agreePayload(s.cfg.MaxPayload, p.maxPayload()),
	}
	if relay := p.relayID(); relay != nil {
		ss.relay = append([]byte{}, relay...)
	}
	s.sessions[sid] = ss
	s.perMAC[src]++
	s.fresh[key] = sid
	if !s.confirm(src, sid, p) {
		s.forget(sid)
		s.counters.Malformed++
		return
	}
	opened := ServerOpened{Peer: src, SessionID: sid, ServiceName: PrintableText([]byte(service)), MaxPayload: ss.payload}
	if hostUniq, ok := p.Find(TagHostUniq); ok {
		opened.HostUniq = append([]byte{}, hostUniq...)
	}
	for _, t := range p.Tags {
		if t.IsAccessLine() {
			opened.AccessLine, _ = ParseAccessLine(t) // what was well-formed of it
			break
		}
	}
	s.out.push(opened)
}

// confirm sends the PADS of session sid; false if it cannot be sent. RFC 2516
// section 5.4: "The PADS packet contains exactly one TAG of TAG_TYPE
// Service-Name, indicating the service under which Access Concentrator has
// accepted the PPPoE session".
func (s *Server) confirm(src MAC, sid uint16, p Packet) bool {
	b := packetBuilder{Packet: Packet{Code: PADS, SessionID: sid}}
	b.must(StringTag(TagServiceName, s.sessions[sid].service))
	return s.sendPADS(src, p, &b)
}

func (s *Server) sendPADS(src MAC, p Packet, b *packetBuilder) bool {
	s.answer(b, p)
	if b.Len() > maxEthernet {
		return false
	}
	s.counters.PADS++
	s.out.push(Send{Dst: src, Code: PADS, Packet: b.Append(nil)})
	return true
}

// newID is a session id that is not in use. They are taken in turn, so that one
// that was given back comes again only after all others: frames of a session
// that has just ended may still be under way. There is one, since inputPADR has
// seen that fewer than maxSessions are open.
func (s *Server) newID() uint16 {
	if s.cfg.LowestID {
		s.nextID = 1
	}
	for {
		id := s.nextID
		if s.nextID++; !usableID(s.nextID) {
			s.nextID = 1
		}
		if usableID(id) && s.sessions[id] == nil {
			return id
		}
	}
}
