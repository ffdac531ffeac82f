// Package config is the configuration as plain structs, and the strict decoder
// that makes them from YAML. Nothing here touches the machine.
package config

import (
	"net/netip"
	"time"

	"tributary/pppoe"
)

// Config is one configuration file, defaults filled in.
type Config struct {
	Uplinks  []Uplink
	Lines    []Lines
	Sessions []Session
	Pools    []Pool
	Control  Control
	Log      Log
	StateDir string

	// Warnings is what the file says and probably does not mean. Nothing
	// depends on them.
	Warnings Errors
}

// Uplink is Ethernet towards the ISP.
type Uplink struct {
	Name                string
	Interface           string
	VLANs               []uint16 // outer first; at most two
	ServiceName         string
	AccessConcentrators []AC
	Health              Health
	OfferWait           time.Duration
	MAC                 MACMode
	MACPool             int           // addresses of MACPooled
	PADIRate            int           // a second, all lines together
	PADIInterval        time.Duration // between two PADIs from one of our addresses, at least; 0 is none
	MaxDiscovering      int           // searches at once; 0 has no bound
	MaxPayload          int           // 1492 to 1500
	CircuitID           string
	RemoteID            string
	Discovery           Discovery
	Echo                Echo
}

// Discovery bounds how long one line may look for an AC.
type Discovery struct {
	Timeout time.Duration // from the first PADI until the line is given up
}

// Echo is our own LCP Echo-Request to an AC that has gone silent.
type Echo struct {
	Interval time.Duration // silence after which one is sent; 0 is never
	Failures int           // so many unanswered in a row end the session
}

// AC names one access concentrator, by its AC-Name or by its address.
type AC struct {
	Name     string
	MAC      pppoe.MAC // zero if Name is given
	Priority int       // the least is asked first; equal ones share; 0 is its place in the list, from 1
	Weight   int       // its share among those of its priority; 0 is 1
}

// Health says when an access concentrator that fails is left alone, and for how long.
type Health struct {
	Failures int           // in a row, of different lines; 0 is never
	Min, Max time.Duration // Min at first, twice as long each time, at most Max
}

// MACMode says which source addresses our PPPoE sessions have.
type MACMode string

const (
	MACInterface MACMode = "interface"
	MACPerLine   MACMode = "per-line"
	MACPooled    MACMode = "pool" // Uplink.MACPool addresses, which lines share
)

// Mode is what becomes of the lines of a group.
type Mode string

const (
	ModeRelay  Mode = "relay"
	ModeShared Mode = "shared"
)

// OpenMode says when a relay line opens its PPPoE session.
type OpenMode string

const (
	OpenFirstFrame OpenMode = "first-frame"
	OpenConnect    OpenMode = "connect"
)

// Lines is one group of lines. Exactly one of TCP, Serial and PTY is set.
type Lines struct {
	Name   string
	TCP    *TCP
	Serial *Serial
	PTY    *PTY
	Mode   Mode
	Queue  Queue

	// Mode relay; zero in mode shared.
	Uplink            string
	Open              OpenMode
	FirstFrameTimeout time.Duration // a line that has said nothing by then is closed; 0 is never
	OnSessionLoss     SessionLoss   // hangup or redial
	Redial            RelayRedial   // zero unless OnSessionLoss is redial
	ClampMSS          bool          // the MSS of TCP is held to what the session carries
	ServiceName       string        // asked for in place of the uplink's; "" is that
	// ServicesByRealm is the Service-Name for users of a realm, what is behind the last
	// @ of their name, in lower case.
	ServicesByRealm map[string]string
	AccessSpeed     Speed // that the ISP is told of its lines

	// Mode shared; nil in mode relay.
	Shared *Shared
}

// Speed is how fast a line is, in kbit/s; 0 is what the line itself knows, if anything.
type Speed struct {
	Up, Down int
}

// TCP is a raw TCP listener: each connection is one line.
type TCP struct {
	Listen    string
	Allow     []netip.Prefix // empty: everyone
	Max       int            // connections at once
	KeepAlive time.Duration  // 0 is off
}

// Serial is a set of serial devices: each is one line, again and again.
type Serial struct {
	Devices []string // paths or globs
	Speed   int      // bit/s
	Flow    Flow
	Carrier bool // DCD is watched: a line is up while it is there
}

// Flow is a serial line's flow control.
type Flow string

const (
	FlowNone   Flow = "none"
	FlowRTSCTS Flow = "rtscts"
	FlowXONOFF Flow = "xonxoff"
)

// PTY is a set of pseudo-terminals, each with a link at a fixed path.
type PTY struct {
	Links []string
	Mode  uint32 // permissions of the terminal, 0600 if not given
}

// Queue bounds what waits for one line.
type Queue struct {
	Frames int           // at most
	Delay  time.Duration // CoDel's target standing delay
}

// Control is the door for CLI and web.
type Control struct {
	Socket string
}

// Log is how the gateway logs.
type Log struct {
	Level  string
	Format string
}
