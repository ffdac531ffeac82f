package config

import (
	"net/netip"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// sessionAt, poolAt and sharedAt are entries with the places of their values,
// for what can be checked only when all of them are known.
type sessionAt struct {
	*Session
	n    ast.Node
	keys given
}

type poolAt struct {
	*Pool
	n    ast.Node
	keys given
}

type sharedAt struct {
	*Lines
	keys given
}

func (s *seen) session(session *Session, n ast.Node, keys given) {
	s.name(kindSession, session.Name, keys["name"])
	s.refer(kindUplink, session.Uplink, keys["uplink"])
	copied := *session
	s.sessions = append(s.sessions, sessionAt{&copied, n, keys})
}

func (s *seen) pool(pool *Pool, n ast.Node, keys given) {
	s.name(kindPool, pool.Name, keys["name"])
	s.refer(kindSession, pool.DelegatedBy, keys["delegated_by"])
	copied := *pool
	s.pools = append(s.pools, poolAt{&copied, n, keys})
}

func (s *seen) useShared(l *Lines, keys given, sessionsAt []ast.Node) {
	for i, name := range l.Shared.Sessions {
		s.refer(kindSession, name, sessionsAt[i])
	}
	s.refer(kindPool, l.Shared.Pool, keys["pool"])
	copied := *l
	s.shared = append(s.shared, sharedAt{&copied, keys})
}

// between is the checks between sessions, pools and groups in mode shared. Of
// two things that do not go together, the later one hears of the first only: a
// file of a thousand equal pools has a thousand mistakes, not half a million.
func (s *seen) between(cfg *Config) {
	for i, p := range s.pools {
		for _, before := range s.pools[:i] {
			if s.twoPools(before, p) {
				break
			}
		}
		s.delegation(p)
	}
	for i, l := range s.shared {
		for _, before := range s.shared[:i] {
			if s.twoGroups(before, l) {
				break
			}
		}
		s.sharedIPv6(l)
		s.behindNAT(l)
		s.moves(l)
	}
	for _, u := range s.uplinks {
		s.turns(u, cfg)
	}
	for _, session := range s.sessions {
		s.fits(session, cfg)
		s.unused(session)
	}
}

// moves checks what users have of it that they are moved to another session.
func (s *seen) moves(l sharedAt) {
	if l.Shared.OnSessionLoss != LossMove {
		return
	}
	if len(l.Shared.Sessions) == 1 {
		s.d.warnf(l.keys["on_session_loss"], "on_session_loss: there is no other session to move to: users will be hung up")
		return
	}
	if slices.ContainsFunc(l.Shared.DNS, netip.Addr.Is4) {
		return
	}
	first := s.sessionOf(l.Shared.Sessions[0])
	for _, name := range l.Shared.Sessions[1:] {
		if other := s.sessionOf(name); first != nil && other != nil && other.Uplink != first.Uplink {
			s.d.warnf(l.keys["on_session_loss"], "on_session_loss: users who move from session %q to %q keep the DNS servers of its ISP: set dns to some that answer from both",
				first.Name, other.Name)
			return
		}
	}
}

// twoPools finds two pools that would give away one address, or one of which
// gives away our own address. Each complaint is enough: it reports whether it
// had one.
func (s *seen) twoPools(before, p poolAt) bool {
	line := start(before.n).Line
	for _, pair := range []struct {
		key  string
		a, b netip.Prefix
	}{{"prefix", before.Prefix, p.Prefix}, {"prefix6", before.Prefix6, p.Prefix6}} {
		if pair.a.IsValid() && pair.b.IsValid() && pair.a.Overlaps(pair.b) {
			s.d.errorf(p.keys[pair.key], "%s overlaps %s of pool %q in line %d", pair.b, pair.a, before.Name, line)
			return true
		}
	}
	if by := p.DelegatedBy; by != "" && by == before.DelegatedBy {
		s.d.errorf(p.keys["delegated_by"], "what session %q is delegated is for pool %q in line %d", by, before.Name, line)
		return true
	}
	return s.gatewayIn(before, p) || s.gatewayIn(p, before)
}

// gatewayIn finds our own address of one pool among the users' of another.
func (s *seen) gatewayIn(ours, theirs poolAt) bool {
	n := ours.keys["gateway"] // without it, ours is inside its own pool
	if n == nil || !ours.Gateway.IsValid() || !theirs.Prefix.IsValid() ||
		!theirs.Prefix.Contains(ours.Gateway) || theirs.Excludes(ours.Gateway) {
		return false
	}
	s.d.errorf(n, "gateway: %s is an address for users of pool %q until its exclude has it", ours.Gateway, theirs.Name)
	return true
}

// delegation checks what a pool's IPv6 prefix depends on and is for.
func (s *seen) delegation(p poolAt) {
	n := or(p.keys["delegated_by"], p.keys["prefix6"])
	if n == nil {
		return
	}
	if session := s.sessionOf(p.DelegatedBy); session != nil && !session.IPv6 {
		s.d.errorf(n, "delegated_by: session %q needs ipv6: true for that", p.DelegatedBy)
	}
	if !slices.ContainsFunc(s.shared, func(l sharedAt) bool { return l.Shared.IPv6 }) {
		s.d.warnf(n, "pool %q has an IPv6 prefix, but no group of lines has ipv6: true", p.Name)
	}
}

// twoGroups finds two groups that disagree about what is between their users.
// The answer belongs to an address, and both have addresses of one pool.
func (s *seen) twoGroups(before, l sharedAt) bool {
	if l.Shared.Pool == "" || l.Shared.Pool != before.Shared.Pool || l.Shared.UserToUser == before.Shared.UserToUser {
		return false
	}
	s.d.errorf(or(l.keys["user_to_user"], l.keys["pool"]), "user_to_user is %s here, but %s in group %q, with which this one shares pool %q",
		l.Shared.UserToUser, before.Shared.UserToUser, before.Name, l.Shared.Pool)
	return true
}

// sharedIPv6 checks that what a group promises its users in IPv6 can be kept.
func (s *seen) sharedIPv6(l sharedAt) {
	if !l.Shared.IPv6 {
		return
	}
	p := s.poolOf(l.Shared.Pool)
	for _, name := range l.Shared.Sessions {
		session := s.sessionOf(name)
		switch {
		case session == nil:
		case !session.IPv6:
			s.d.errorf(l.keys["ipv6"], "ipv6: session %q of these lines needs ipv6: true as well", name)
		case session.NAT && p != nil && p.keys["prefix6"] != nil:
			// Who is given one IPv4 address is not routed an IPv6 prefix that
			// was written into a file: it is delegated.
			s.d.errorf(p.keys["prefix6"], "prefix6: session %q with nat: true gets its IPv6 prefix from the ISP: use delegated_by", name)
		case p != nil && p.DelegatedBy != "" && p.DelegatedBy != name:
			s.d.warnf(l.keys["ipv6"], "ipv6: the ISP of session %q may drop what comes from the prefix that session %q is delegated", name, p.DelegatedBy)
		}
	}
	if p != nil && p.keys["prefix6"] == nil && p.keys["delegated_by"] == nil {
		s.d.errorf(l.keys["ipv6"], "ipv6: pool %q of these lines has neither prefix6 nor delegated_by", p.Name)
	}
}

// behindNAT finds a pool with addresses for more users than there are ports for
// behind those of its sessions. Whoever has set max_users knows that it is not the
// pool which counts.
func (s *seen) behindNAT(l sharedAt) {
	p, users := s.poolOf(l.Shared.Pool), 0
	for _, name := range l.Shared.Sessions {
		session := s.sessionOf(name)
		if session == nil || !session.NAT || session.MaxUsers > 0 {
			return
		}
		users += session.NATPorts.Users()
	}
	if p != nil && p.Room() > users {
		s.d.warnf(l.keys["pool"], "pool %q has addresses for %d users, but with nat: true there are ports for %d at once (nat_ports.block)", p.Name, p.Room(), users)
	}
}

// fits checks that a session's packets fit into what its uplink carries.
func (s *seen) fits(session sessionAt, cfg *Config) {
	for i := range cfg.Uplinks {
		if u := &cfg.Uplinks[i]; u.Name == session.Uplink && session.MTU > u.MaxPayload {
			s.d.errorf(session.keys["mtu"], "mtu is %d, but uplink %q has max_payload: %d", session.MTU, u.Name, u.MaxPayload)
		}
	}
}

// unused finds a session that costs an account and carries nobody.
func (s *seen) unused(session sessionAt) {
	if session.Name != "" && !slices.ContainsFunc(s.shared, func(l sharedAt) bool { return slices.Contains(l.Shared.Sessions, session.Name) }) {
		s.d.warnf(session.keys["name"], "no group of lines uses session %q", session.Name)
	}
}

func (s *seen) sessionOf(name string) *sessionAt {
	i := slices.IndexFunc(s.sessions, func(at sessionAt) bool { return at.Name == name && name != "" })
	if i < 0 {
		return nil
	}
	return &s.sessions[i]
}

func (s *seen) poolOf(name string) *poolAt {
	i := slices.IndexFunc(s.pools, func(at poolAt) bool { return at.Name == name && name != "" })
	if i < 0 {
		return nil
	}
	return &s.pools[i]
}
