package lab

import (
	"net/netip"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// ACConfig is an access concentrator. The zero value is one that serves anyone.
type ACConfig struct {
	Name     string   // AC-Name; "lab-ac"
	Services []string // Service-Names offered; none: any
	VLANs    ether.VLANs
	Auth     []ppp.AuthMethod                           // nil asks for no proof
	Secret   func(user string) (secret string, ok bool) // who may come in; the lab's own users
	// Address is a user's own address; the zero Addr, as a nil Address, takes
	// one of the pool.
	Address func(user string) netip.Addr
	// Routes are prefixes that lie behind a user, beside his address: what is
	// for them is sent to his session, and what comes from them is taken from
	// it. If he has several sessions, the first has them. May be nil.
	Routes      func(user string) []netip.Prefix
	Local       netip.Addr    // our end of every session; 10.64.0.1
	Pool        netip.Prefix  // addresses for subscribers; 10.64.0.0/16
	Internet    netip.Addr    // the host behind us; 198.51.100.1
	DNS         [2]netip.Addr // told to who asks; the host behind us
	MaxSessions int           // 0: as many as there are addresses
	MaxPerMAC   int           // sessions of one address; 0 has no bound
	MaxPayload  int           // RFC 4638; 0 is 1492
	Echo        time.Duration // LCP Echo-Requests; 20 s, negative is never
	PADODelay   time.Duration // before each PADO
	// MinPADIInterval is the least time between two PADIs from one address: those
	// that come sooner after the last that was heard are dropped, and counted as
	// EarlyPADI. 0 hears all.
	MinPADIInterval time.Duration
	// Seed decides what is left to chance, such as the first session id. With the
	// same one the same happens. 0 is another each time.
	Seed   uint64
	Quirks Quirks // where it departs from the RFCs
	// Reflect has no internet behind it: each IP packet goes back to its
	// sender, source and destination exchanged. It is for measurements, and
	// for tests in a bubble of testing/synctest.
	Reflect bool
	// Event is told what happens, by one goroutine. It must neither wait nor
	// call the AC. May be nil.
	Event func(ACEvent)
}

// ACEvent is one thing that happened to a session.
type ACEvent struct {
	Kind    string // "open", "authenticated", "refused", "network", "closed"
	Session ACSession
	Message string
}

// ACSession is one session as the AC sees it, as a copy.
type ACSession struct {
	ID       uint16
	Peer     pppoe.MAC
	User     string
	Address  netip.Addr
	Routes   []netip.Prefix   // that lead to it
	Line     pppoe.AccessLine // what TR-101 tags told of the line
	Service  string
	Since    time.Time
	PeerMRU  int
	Options  []uint8 // every type of LCP option that its Configure-Requests had so far
	Up, Down uint64  // IP packets from and to the subscriber
}

// ACCounters counts what an AC saw since it was made.
type ACCounters struct {
	Opened, Authenticated, Refused, Networks uint64
	ClosedByPADT                             uint64 // the other side sent PADT
	ClosedByUs                               uint64 // we did, since PPP was over or by Terminate or Close
	Terminated                               uint64 // LCP Terminate-Requests from subscribers
	UnknownSession                           uint64 // frames of sessions that are not there
	Spoofed                                  uint64 // packets from an address that was not given to their sender
	NoAddress                                uint64 // packets to an address that nobody has
	TooBig                                   uint64 // packets larger than the subscriber's MRU
	NoBuffer                                 uint64 // frames lost because the pool was at its cap
	EarlyPADI                                uint64 // PADIs dropped because of MinPADIInterval
	WrongHostUniq                            uint64 // PADIs and PADRs ignored because of Quirks.WantHostUniq
	SilentToStale                            uint64 // the same, because of Quirks.SilentToStale
	OldCookie                                uint64 // PADRs with a cookie older than Quirks.CookieLife
	TurnedAway                               uint64 // PADRs refused because of Trouble.Refuse or Quirks.Full
	Flood                                    uint64 // PADOs of Trouble.PADOFlood
	Discovery                                pppoe.ServerCounters
}

func (c ACConfig) withDefaults() ACConfig {
	if c.Name == "" {
		c.Name = "lab-ac"
	}
	if !c.Local.IsValid() {
		c.Local = netip.MustParseAddr("10.64.0.1")
	}
	if !c.Pool.IsValid() {
		c.Pool = netip.MustParsePrefix("10.64.0.0/16")
	}
	if !c.Internet.IsValid() {
		c.Internet = netip.MustParseAddr("198.51.100.1")
	}
	if !c.DNS[0].IsValid() {
		c.DNS[0] = c.Internet
	}
	if c.Echo == 0 {
		c.Echo = 20 * time.Second
	}
	if c.Address == nil {
		c.Address = func(string) netip.Addr { return netip.Addr{} }
	}
	if c.Routes == nil {
		c.Routes = func(string) []netip.Prefix { return nil }
	}
	if c.Secret == nil {
		c.Secret = Secret
	}
	if c.Event == nil {
		c.Event = func(ACEvent) {}
	}
	return c
}
