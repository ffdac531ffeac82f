package config

import (
	"net/netip"
	"time"
)

// Shared is what a group of lines has in mode shared: PPP ends here, and the
// packets of many users travel on one PPPoE session.
type Shared struct {
	Sessions       []string // at least one; users are spread by free capacity
	Auth           []Auth   // in the order they are offered; none: nobody is asked who they are
	Users          string   // path of the users file; empty exactly if Auth is
	Pool           string
	UserToUser     UserToUser
	OnSessionLoss  SessionLoss
	WhenBusy       WhenBusy
	DNS            []netip.Addr  // instead of the ISP's; at most MaxDNS of each family
	MTU            int           // MRU and MTU towards users, 576 to 1500
	LoginTimeout   time.Duration // from line up until the network phase; 0 is never
	IdleTimeout    time.Duration // without a user's packet; 0 is never
	SessionTimeout time.Duration // 0 is never
	UserEcho       Echo
	IPv6           bool // IPV6CP, and a /64 of the pool
}

// MaxDNS is how many DNS servers of one family users are told: IPCP has two
// options for them (RFC 1877), and a Router Advertisement is given no more.
const MaxDNS = 2

// SessionGroup is what the lines of sessions have in place of a group's name: no
// group has it.
const SessionGroup = "session"

// Session is one PPPoE session with the ISP that lines share: Tributary is its
// PPPoE client and its PPP peer.
type Session struct {
	Name         string
	Uplink       string
	User         string // empty exactly if PasswordFile is: we prove nothing
	PasswordFile string
	Auth         []Auth // what we agree to prove ourselves by
	ServiceName  string // instead of the uplink's, if not empty
	MaxUsers     int    // 0: as many as the pool has
	NAT          bool   // the ISP gives one address only, and users share it
	NATPorts     NATPorts
	MTU          int // of IP packets; 0 is what the session carries
	Redial       Redial
	IPv6         bool // IPV6CP, and prefix delegation if a pool asks
}

// NATPorts bounds the ports of one user behind NAT.
type NATPorts struct {
	Block  int // ports in a block
	Blocks int // of one user, at most
}

// natPorts is how many ports an address has for NAT: all but the System Ports,
// 0 to 1023 (RFC 6335 section 6).
const natPorts = 65536 - 1024

// Users is how many users one address has room for, each with one block.
func (p NATPorts) Users() int {
	if p.Block <= 0 {
		return 0
	}
	return natPorts / p.Block
}

// Redial is the wait before a session that fell or did not come up is dialled
// again: Min at first, growing to Max while it keeps failing.
type Redial struct {
	Min, Max time.Duration
}

// Pool is where users' addresses come from.
type Pool struct {
	Name        string
	Prefix      netip.Prefix // IPv4, at most MaxPool addresses
	Exclude     []AddrRange  // inside Prefix, as given: in any order, perhaps overlapping
	Gateway     netip.Addr   // our address towards users; invalid: the session's own
	Prefix6     netip.Prefix // each user a /64 of it; invalid: none, or DelegatedBy
	DelegatedBy string       // the session whose ISP delegates the IPv6 prefix
}

// MaxPool is the most addresses that one pool has.
const MaxPool = 65536

// AddrRange is addresses from First to Last, both included.
type AddrRange struct {
	First, Last netip.Addr
}

// Contains reports whether a is in r.
func (r AddrRange) Contains(a netip.Addr) bool {
	return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

// String is the range as exclude has it: one address, or first-last.
func (r AddrRange) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// Excludes reports whether the pool keeps a for someone else than users.
func (p *Pool) Excludes(a netip.Addr) bool {
	for _, r := range p.Exclude {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// Room is how many users the pool has IPv4 addresses for: those of the prefix
// that are not excluded, without its network and broadcast addresses if it has
// them (RFC 3021: a /31 has none).
func (p *Pool) Room() int {
	if !p.Prefix.IsValid() || !p.Prefix.Addr().Is4() || p.Prefix.Bits() < 16 {
		return 0
	}
	size := 1 << (32 - p.Prefix.Bits())
	taken := make([]bool, size)
	if size > 2 {
		taken[0], taken[size-1] = true, true
	}
	base := int(ipv4(p.Prefix.Addr()))
	for _, r := range p.Exclude {
		if !r.First.Is4() || !r.Last.Is4() {
			continue
		}
		for i := max(0, int(ipv4(r.First))-base); i <= min(size-1, int(ipv4(r.Last))-base); i++ {
			taken[i] = true
		}
	}
	room := 0
	for _, t := range taken {
		if !t {
			room++
		}
	}
	return room
}

func ipv4(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// Auth is a way to prove who one is, called as ppp.ParseAuthMethod knows it.
type Auth string

const (
	AuthCHAPMD5  Auth = "chap-md5"
	AuthMSCHAPv2 Auth = "ms-chapv2"
	AuthPAP      Auth = "pap"
)

// UserToUser is what becomes of a packet from one user of this gateway to another.
type UserToUser string

const (
	UserToUserISP   UserToUser = "isp"   // it goes to the ISP, who may send it back
	UserToUserLocal UserToUser = "local" // it goes straight across
	UserToUserNone  UserToUser = "none"  // it is dropped
)

// WhenBusy is what becomes of a user who has as many sessions as he may have and
// dials in once more.
type WhenBusy string

const (
	BusyRefuse  WhenBusy = "refuse"  // he is refused
	BusyReplace WhenBusy = "replace" // his oldest session is hung up
)

// SessionLoss is what becomes of users whose session has fallen.
type SessionLoss string

const (
	LossHangup SessionLoss = "hangup"
	LossMove   SessionLoss = "move"   // shared: to another session of the group, else hangup
	LossRedial SessionLoss = "redial" // relay: the line is held while its session is dialled again
)
