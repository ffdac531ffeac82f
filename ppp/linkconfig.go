package ppp

import (
	"crypto/rand"
	"net/netip"
	"time"
)

// LinkConfig is how a Link behaves. The zero value, with IPv4 or IPv6 set, is a client
// over PPPoE that has no name. Counts and times that are 0 mean the default.
//
// A Link keeps what a LinkConfig refers to, the slices, IPv4 and IPv6, and reads
// it whenever it negotiates: none of that may change while the Link is in use.
// Many Links may share it.
type LinkConfig struct {
	// Async is a carrier with RFC 1662 framing: ACCM, PFC and ACFC may be
	// negotiated. Otherwise the carrier is PPPoE and they are neither asked
	// for nor granted (RFC 2516 section 7).
	Async bool
	ACCM  uint32 // Async: the control characters the peer must escape; 0 is the best for a clean line
	PFC   bool   // Async: ask for Protocol-Field-Compression
	ACFC  bool   // Async: ask for Address-and-Control-Field-Compression

	// MRU is what we take, in octets of information behind the Protocol
	// field: 1500 if Async, else 1492 (RFC 2516 section 7); at most MaxMRU.
	MRU int
	// MaxMRU is what the carrier takes: a peer that asks for more is told
	// so. Without limit if Async, else 1492; over PPPoE the owner sets what
	// RFC 4638 agreed on. Both are brought within 128 and 65,535.
	MaxMRU int

	// Auth are the methods by which the peer may prove itself, in the order
	// in which they are offered. Empty asks for no proof.
	Auth []AuthMethod
	// AuthTimeout is how long authentication may take, the owner's answer
	// included. 30 s.
	AuthTimeout time.Duration
	// Rechallenge is how often a CHAP peer is challenged again. 0 is never.
	Rechallenge time.Duration
	// SystemName is our name in CHAP Challenges. "tributary".
	SystemName string

	// Name and Secret are how we prove ourselves to a peer that asks. Without
	// both, a peer's demand is rejected.
	Name, Secret string
	// Accept are the methods we agree to, the most wanted first.
	// CHAP with MD5, then MS-CHAPv2, then PAP.
	Accept []AuthMethod

	// IPv4 is how IPCP behaves, IPv6 how IPV6CP does; nil has it
	// Protocol-Rejected.
	IPv4 *IPv4Config
	IPv6 *IPv6Config

	// EchoInterval is how often an Echo-Request is sent; 0 is never. After
	// EchoFailures (3) unanswered ones the link is closed.
	EchoInterval time.Duration
	EchoFailures int

	// RFC 1661 section 4.6.
	Restart      time.Duration // restart timer, 3 s
	MaxConfigure int           // Configure-Requests without an answer, 10
	MaxTerminate int           // Terminate-Requests without an answer, 2
	MaxFailure   int           // Configure-Naks before it is a Reject, 5

	// Random fills its argument with unpredictable octets: magic numbers
	// and challenges. Nil takes crypto/rand's, as it should be but for tests.
	Random func([]byte)
}

// IPv4Config is how IPCP behaves (RFC 1332, RFC 1877).
type IPv4Config struct {
	// Local is our address. The zero Addr asks the peer to give us one.
	Local netip.Addr
	// AskDNS asks the peer for name servers.
	AskDNS bool

	// Peer is the address the peer gets, whatever it asks for.
	Peer netip.Addr
	// AssignPeer has the owner asked, by an AddressRequest. With neither
	// Peer nor AssignPeer the peer has the address it says it has.
	AssignPeer bool
	// DNS and NBNS are the servers a peer is told of that asks.
	DNS, NBNS [2]netip.Addr
}

// IPv6Config is how IPV6CP behaves (RFC 5072). An interface identifier is the
// lower half of a link-local address, fe80::/64. IPV6CP gives out no others:
// these are for the owner, by Router Advertisements or DHCPv6.
type IPv6Config struct {
	// Local is the interface identifier that we ask for; 0 takes a random one.
	// Should the peer have the same or want us to have another, we take the one
	// that it suggests: what holds is in IPv6Up.
	Local uint64
	// Peer is what a peer is told that asks for none or for ours; 0 is a random
	// one. Any other that it asks for it has.
	Peer uint64
}

// Assignment answers an AddressRequest.
type Assignment struct {
	Peer netip.Addr // the zero Addr: there is none, and IPCP is closed; and so is the link, unless IPv6 is left
	// DNS and NBNS take precedence over the IPv4Config's where they are set.
	DNS, NBNS [2]netip.Addr
}

// Defaults of RFC 1661 section 4.6 and ours.
const (
	defaultRestart      = 3 * time.Second
	defaultMaxConfigure = 10
	defaultMaxTerminate = 2
	defaultMaxFailure   = 5
	defaultAuthTimeout  = 30 * time.Second
	defaultEchoFailures = 3
)

// withDefaults returns c with every 0 that means a default replaced by it.
func (c LinkConfig) withDefaults() LinkConfig {
	if c.MaxMRU == 0 {
		c.MaxMRU = PPPoEMRU
		if c.Async {
			c.MaxMRU = maxMRU
		}
	}
	if c.MRU == 0 {
		c.MRU = DefaultMRU
	}
	c.MaxMRU = max(minMRU, min(c.MaxMRU, maxMRU))
	c.MRU = max(minMRU, min(c.MRU, c.MaxMRU))
	if c.Accept == nil {
		c.Accept = []AuthMethod{AuthCHAPMD5, AuthMSCHAPv2, AuthPAP}
	}
	if c.Name == "" || c.Secret == "" {
		c.Accept = nil
	}
	if c.SystemName == "" {
		c.SystemName = "tributary"
	}
	if c.AuthTimeout == 0 {
		c.AuthTimeout = defaultAuthTimeout
	}
	if c.EchoFailures == 0 {
		c.EchoFailures = defaultEchoFailures
	}
	if c.Restart == 0 {
		c.Restart = defaultRestart
	}
	if c.MaxConfigure == 0 {
		c.MaxConfigure = defaultMaxConfigure
	}
	if c.MaxTerminate == 0 {
		c.MaxTerminate = defaultMaxTerminate
	}
	if c.MaxFailure == 0 {
		c.MaxFailure = defaultMaxFailure
	}
	if c.Random == nil {
		// Read never fails: it ends the process before it returns an error.
		c.Random = func(b []byte) { _, _ = rand.Read(b) }
	}
	return c
}
