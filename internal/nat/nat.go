// Package nat is source NAT of many users behind one external IPv4 address (RFC
// 3022, as BCP 127 has it: RFC 4787 for UDP, 5382 for TCP, 5508 for ICMP, all with
// the updates of RFC 7857; and RFC 6888 for what a carrier owes its users and its
// log). A user has the external ports of whole blocks, so one log line per block
// says who had a port, and one user cannot take the ports of the others.
//
// Mapping is endpoint-independent (RFC 4787 REQ-1): whoever an inside endpoint
// talks to sees it under the same external one. What it lets in is
// [Config].Filtering.
//
// # Locks
//
// Packets of users come from as many goroutines as there are lines, those from the
// ISP from one reader. All state of a user is in one of a few shards, each with a
// lock; a packet takes its shard's lock once, for two map lookups. Lines that send
// at once wait for each other only if their users happen to share a shard, and the
// reader only as long as one such packet takes. Tables without locks would need
// memory reclamation for sessions that are freed under a reader, to save the cost
// of a lock that nobody holds, which is the smaller part of a lookup.
//
// An inbound packet finds the shard through the block of its port, whose owner is
// an atomic: nothing is shared by all packets but what is only read, and the
// counter of IP identifications.
package nat

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	chacha "math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"tributary/internal/ip"
)

// Config is a NAT's configuration. Zero values are the defaults.
type Config struct {
	External netip.Addr // the one address that the users share

	FirstPort, LastPort uint16 // of External; 1024 to 65535, less what is no whole block
	BlockSize           int    // ports in a block, a power of two, 16 to 8192; 256
	BlocksPerUser       int    // at most; 8
	// HoldDown is how long a block rests before another subscriber may have it, see
	// choose for the exceptions. 120 s; negative is none.
	HoldDown time.Duration

	SessionsPerUser int // 2048
	Sessions        int // of all users together; 131072
	Fragments       int // fragmented datagrams in transit, each way; 1024

	Filtering Filtering
	Timeouts  Timeouts

	// OnBlock is told of every block that a user gets or gives back, in order, for
	// the log. It is called with locks held: it may neither wait nor call the NAT.
	OnBlock func(Block)
	// Seed of the choice of ports, for tests; zero is a random one.
	Seed [32]byte
}

// Filtering is which outside endpoints may send to a mapping (RFC 4787 section 5).
type Filtering uint8

const (
	// AddressDependent lets in whoever has an address that the inside endpoint has
	// sent to. It is the default: RFC 4787 REQ-8 recommends it "if a more stringent
	// filtering behavior is most important", and behind this gateway are machines
	// whose services nobody has mended in decades.
	AddressDependent Filtering = iota
	// EndpointIndependent lets in everyone while the mapping lasts. REQ-8: "If
	// application transparency is most important".
	EndpointIndependent
	// AddressAndPortDependent lets in only who was sent to, port and all.
	AddressAndPortDependent
)

// Timeouts are how long a session is kept that nothing passes through. Only
// packets from inside renew it, except for TCP: RFC 4787 REQ-6 allows inbound
// refresh and warns that with it somebody outside can hold a port for ever.
type Timeouts struct {
	UDP            time.Duration // RFC 4787 REQ-5 recommends 5 minutes, the default
	TCPEstablished time.Duration // RFC 5382 REQ-5: at least 2 hours and 4 minutes, the default
	TCPTransitory  time.Duration // not yet open, or closed; REQ-5: at least 4 minutes, the default
	ICMP           time.Duration // queries; RFC 5508 REQ-2: at least 60 s, the default
}

// Block tells that a user got ports, or gave them back.
type Block struct {
	User        User
	External    netip.Addr
	First, Last uint16
	Released    bool // false: assigned
}

// NAT is one external address and who uses it. Its methods may be called from any
// goroutine. Times are on any clock that does not go back.
type NAT struct {
	cfg      Config
	external uint32
	shift    uint // of a port to its block
	blocks   []block
	pool     pool
	shards   []shard
	seed     maphash.Seed

	outFragments, inFragments fragments

	sessions atomic.Int64 // of all shards
	mappings [spaces]atomic.Int64
	ticked   atomic.Int64  // when Tick was called last
	id       atomic.Uint32 // the next IP identification
	sweep    atomic.Uint32 // the shard where Tick goes on
	dropped  [verdicts]atomic.Uint64
}

// shardCount is enough that two busy lines seldom meet; each costs 3 KiB.
const shardCount = 64

// New makes a NAT. An error says which value of cfg cannot be.
func New(cfg Config) (*NAT, error) {
	cfg.External = cfg.External.Unmap()
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("nat: %w", err)
	}
	n := &NAT{
		cfg:      cfg,
		external: ip.Addr4(cfg.External),
		shift:    uint(bits.TrailingZeros(uint(cfg.BlockSize))),
		shards:   make([]shard, shardCount),
		seed:     maphash.MakeSeed(),
	}
	first := (int(cfg.FirstPort) + cfg.BlockSize - 1) >> n.shift
	last := (int(cfg.LastPort)+1)>>n.shift - 1
	if last < first {
		return nil, errors.New("nat: no whole block between first and last port")
	}
	n.blocks = make([]block, 1<<16>>n.shift)
	n.ticked.Store(-1 << 63)
	n.pool.init(n.blocks, first, last)
	if cfg.Seed == [32]byte{} {
		if _, err := rand.Read(cfg.Seed[:]); err != nil {
			return nil, fmt.Errorf("nat: %w", err)
		}
	}
	source := chacha.NewChaCha8(cfg.Seed)
	n.id.Store(uint32(source.Uint64()))
	for i := range n.shards {
		n.shards[i].init(n, uint32(i), source.Uint64())
	}
	n.outFragments.init(cfg.Fragments, n.seed)
	n.inFragments.init(cfg.Fragments, n.seed)
	return n, nil
}

func (c *Config) complete() error {
	fill := func(value *int, fallback int) {
		if *value == 0 {
			*value = fallback
		}
	}
	wait := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	if c.FirstPort == 0 {
		c.FirstPort = 1024
	}
	if c.LastPort == 0 {
		c.LastPort = 65535
	}
	fill(&c.BlockSize, 256)
	fill(&c.BlocksPerUser, 8)
	fill(&c.SessionsPerUser, 2048)
	fill(&c.Sessions, 1<<17)
	fill(&c.Fragments, 1024)
	wait(&c.HoldDown, 120*time.Second)
	wait(&c.Timeouts.UDP, 5*time.Minute)
	wait(&c.Timeouts.TCPEstablished, 2*time.Hour+4*time.Minute)
	wait(&c.Timeouts.TCPTransitory, 4*time.Minute)
	wait(&c.Timeouts.ICMP, time.Minute)
	switch {
	case !c.External.Is4() || !ip.UnicastSource4(ip.Addr4(c.External)):
		return errors.New("the external address is not a unicast IPv4 address")
	case c.BlockSize < 16 || c.BlockSize > 8192 || c.BlockSize&(c.BlockSize-1) != 0:
		return errors.New("the block size is not a power of two from 16 to 8192")
	case c.BlocksPerUser < 0 || c.SessionsPerUser < 0 || c.Sessions < 0 || c.Fragments < 0:
		return errors.New("a bound is negative")
	case c.Sessions > 1<<24 || c.Fragments > 1<<20:
		return errors.New("a bound is beyond reason")
	case c.Filtering > AddressAndPortDependent:
		return errors.New("no such filtering")
	case min(c.Timeouts.UDP, c.Timeouts.TCPEstablished, c.Timeouts.TCPTransitory, c.Timeouts.ICMP) < time.Second:
		return errors.New("a timeout is below a second")
	}
	return nil
}

// External is the address that all users share.
func (n *NAT) External() netip.Addr { return n.cfg.External }

// shardOf is where all state of a user is. Users are often numbered in a row, so
// the low bits alone would do; the multiplication spreads those that are not.
func (n *NAT) shardOf(user uint32) *shard {
	return &n.shards[user*0x9e3779b1>>(32-6)]
}

// nextID is the identification of a packet that may get fragmented. RFC 6864
// section 5.3.1 holds a NAT to the uniqueness of IDs as if it were the source of
// what it translates, and two users know nothing of each other's IDs.
func (n *NAT) nextID() uint16 { return uint16(n.id.Add(1)) }

// drop counts a packet that goes nowhere.
func (n *NAT) drop(v Verdict) Verdict {
	n.dropped[v].Add(1)
	return v
}

// get16 and get32 are values in network order.
func get16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func get32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

func put16(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }
func put32(b []byte, v uint32) { binary.BigEndian.PutUint32(b, v) }
