package nat

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// shard has all state of some of the users. Everything in it is under its lock.
type shard struct {
	mu     sync.Mutex
	nat    *NAT
	number uint32
	rand   *rand.ChaCha8

	users    map[uint32]*user // those that have joined
	mappings map[mappingKey]uint32
	sessions map[sessionKey]uint32
	// senders counts the TCP sessions of a mapping with one outside address, which
	// address-dependent filtering lets in from any port.
	senders map[sender]uint32

	mapping slab[mapping]
	session slab[session]
	wheel   wheel
}

// user is a User, and what he has.
type user struct {
	User
	subscriber *subscriber
	blocks     []uint32 // in the order in which they were assigned
	sessions   int
	first      uint32 // of the user's sessions
}

// mappingKey is an inside endpoint.
type mappingKey struct {
	user, inside uint32
	port         uint16
	space        uint16
}

// mapping ties an inside endpoint to an external port. It lasts as long as it has
// sessions.
type mapping struct {
	key      mappingKey
	external uint16
	sessions uint32
}

// sessionKey is an inside endpoint and whom it talks to. The outside port is 0
// where filtering does not look at it; of TCP it is always there, as each
// connection has a state.
type sessionKey struct {
	user, inside, outside uint32
	port, outsidePort     uint16
	space                 uint32
}

type session struct {
	key     sessionKey
	mapping uint32
	state   tcpState
	slot    uint16 // of the wheel
	links   [lists]links
	expires time.Duration
}

// sender is an outside address as a mapping knows it.
type sender struct{ mapping, outside uint32 }

func (s *shard) init(n *NAT, number uint32, seed uint64) {
	s.nat, s.number = n, number
	var full [32]byte
	for i := range 4 {
		put32(full[8*i:], uint32(seed>>32))
		put32(full[8*i+4:], uint32(seed)+uint32(i))
	}
	s.rand = rand.NewChaCha8(full)
	s.users = make(map[uint32]*user)
	s.mappings = make(map[mappingKey]uint32)
	s.sessions = make(map[sessionKey]uint32)
	s.senders = make(map[sender]uint32)
	s.wheel.now = math.MinInt64 / 2 // below any clock, with room for a turn
}

// key is the session of an inside endpoint with an outside one.
func (n *NAT) key(m mappingKey, outside uint32, port uint16) sessionKey {
	k := sessionKey{m.user, m.inside, outside, m.port, 0, uint32(m.space)}
	switch {
	case m.space == uint16(tcp) || m.space == uint16(udp) && n.cfg.Filtering == AddressAndPortDependent:
		k.outsidePort = port
	case n.cfg.Filtering == EndpointIndependent:
		k.outside = 0
	}
	return k
}

// open finds the session of an inside endpoint with an outside one, or makes it.
func (s *shard) open(now time.Duration, inside mappingKey, outside uint32, port uint16, t *transport) (uint32, Verdict) {
	k := s.nat.key(inside, outside, port)
	if i, ok := s.sessions[k]; ok {
		return i, Forward
	}
	if t.space == tcp && t.flags&rstFlag != 0 {
		return 0, NoSession
	}
	n := s.nat
	u := s.users[k.user]
	if u == nil {
		return 0, NoUser
	}
	if u.sessions >= n.cfg.SessionsPerUser {
		return 0, UserSessions
	}
	if n.sessions.Add(1) > int64(n.cfg.Sessions) {
		n.sessions.Add(-1)
		return 0, Sessions
	}
	m, ok := s.mappings[inside]
	if !ok {
		var v Verdict
		if m, v = s.newMapping(now, inside, u); v != Forward {
			n.sessions.Add(-1)
			return 0, v
		}
	}
	i := s.session.take()
	x := s.session.at(i)
	*x = session{key: k, mapping: m}
	s.sessions[k] = i
	s.mapping.at(m).sessions++
	u.sessions++
	s.push(&u.first, i, ofUser)
	if k.space == uint32(tcp) && n.cfg.Filtering == AddressDependent {
		s.senders[sender{m, outside}]++
	}
	x.expires = now + n.timeout(x)
	s.schedule(i)
	return i, Forward
}

// newMapping gives an inside endpoint an external port out of its user's blocks,
// and the user a block if it has none left.
func (s *shard) newMapping(now time.Duration, inside mappingKey, u *user) (uint32, Verdict) {
	n := s.nat
	in := space(inside.space)
	number, found := uint32(0), false
	for _, b := range u.blocks {
		if n.blocks[b].used[in] < n.cfg.BlockSize {
			number, found = b, true
			break
		}
	}
	if !found {
		if len(u.blocks) >= n.cfg.BlocksPerUser {
			return 0, NoPort
		}
		if number, found = n.assign(now, s, u); !found {
			return 0, NoBlock
		}
	}
	b := &n.blocks[number]
	// RFC 6056: a port that cannot be guessed. Somewhere behind a random place is a
	// free one.
	mask := n.cfg.BlockSize - 1
	port := int(s.rand.Uint64()) & mask
	for b.ports[in][port] != 0 {
		port = (port + 1) & mask
	}
	m := s.mapping.take()
	*s.mapping.at(m) = mapping{key: inside, external: uint16(number<<n.shift) + uint16(port)}
	b.ports[in][port] = m
	b.used[in]++
	s.mappings[inside] = m
	n.mappings[in].Add(1)
	return m, Forward
}

// close forgets a session, and with the last one of a mapping its port, and with
// the last port of a block the block; but a user keeps one block until it leaves,
// or else who sends a packet now and then would fill the log.
func (s *shard) close(now time.Duration, i uint32) {
	n, x := s.nat, s.session.at(i)
	m := s.mapping.at(x.mapping)
	number := uint32(m.external) >> n.shift
	b := &n.blocks[number]
	u := b.user

	s.remove(&s.wheel.slots[x.slot], i, ofWheel)
	s.remove(&u.first, i, ofUser)
	u.sessions--
	delete(s.sessions, x.key)
	n.sessions.Add(-1)
	if x.key.space == uint32(tcp) && n.cfg.Filtering == AddressDependent {
		from := sender{x.mapping, x.key.outside}
		if s.senders[from]--; s.senders[from] == 0 {
			delete(s.senders, from)
		}
	}
	if m.sessions--; m.sessions == 0 {
		in := space(m.key.space)
		b.ports[in][int(m.external)&(n.cfg.BlockSize-1)] = 0
		b.used[in]--
		delete(s.mappings, m.key)
		s.mapping.give(x.mapping)
		n.mappings[in].Add(-1)
		if b.used == [spaces]int{} && len(u.blocks) > 1 {
			n.release(now, number)
		}
	}
	s.session.give(i)
}
