package config

import (
	"net/netip"
	"time"
)

// Defaults that stand outside of any one group.
const (
	DefaultPath     = "/etc/tributary/tributary.yaml"
	DefaultSocket   = "/run/tributary/control.sock"
	DefaultStateDir = "/var/lib/tributary"
)

// Default is the configuration of an empty file, which has no uplinks and no
// lines: whoever builds a Config in Go starts here, and Parse does too.
func Default() *Config {
	return &Config{
		Control:  Control{Socket: DefaultSocket},
		Log:      Log{Level: "info", Format: "text"},
		StateDir: DefaultStateDir,
	}
}

// NewUplink is an uplink with the defaults of docs/config.md.
func NewUplink(name, iface string) Uplink {
	return Uplink{
		Name:      name,
		Interface: iface,
		// Long enough for every AC on a LAN to answer, too short for a
		// user to notice.
		OfferWait: 100 * time.Millisecond,
		// One refusal may be about the line that got it. Three in a row are not.
		Health:   Health{Failures: 3, Min: 5 * time.Second, Max: 5 * time.Minute},
		MAC:      MACInterface,
		PADIRate: 500,
		// RFC 2516 section 7: "The Maximum-Receive-Unit (MRU) option MUST NOT
		// be negotiated to a larger size than 1492."
		MaxPayload: 1492,
		CircuitID:  "{hostname} {group} {line}",
		RemoteID:   "{remote}",
		// A caller's PPP gives up after ten Configure-Requests, three seconds
		// apart: a session that comes later comes to nobody.
		Discovery: Discovery{Timeout: 30 * time.Second},
		Echo:      Echo{Interval: 30 * time.Second, Failures: 4},
	}
}

// NewLines is a group of lines with the defaults of docs/config.md, except that
// it has no place where lines come from: set TCP, Serial or PTY.
func NewLines(name, uplink string) Lines {
	return Lines{
		Name:          name,
		Mode:          ModeRelay,
		Uplink:        uplink,
		Open:          OpenFirstFrame,
		OnSessionLoss: LossHangup,
		Queue:         Queue{Frames: 1024, Delay: 50 * time.Millisecond},
	}
}

// NewShared is what a group of lines has in mode shared, with the defaults of
// docs/config.md. Without a users file, nobody is asked who they are.
func NewShared(pool, users string, sessions ...string) *Shared {
	s := &Shared{
		Sessions:      sessions,
		Users:         users,
		Pool:          pool,
		UserToUser:    UserToUserISP,
		OnSessionLoss: LossHangup,
		WhenBusy:      BusyRefuse,
		// RFC 1661 section 6.1: "The default value is 1500 octets."
		MTU:          1500,
		LoginTimeout: time.Minute,
		UserEcho:     Echo{Interval: 30 * time.Second, Failures: 3},
	}
	if users != "" {
		s.Auth = allAuth()
	}
	return s
}

// allAuth is every way to prove oneself. The one that sends the password itself
// is last.
func allAuth() []Auth { return []Auth{AuthCHAPMD5, AuthMSCHAPv2, AuthPAP} }

// NewSession is a session with the defaults of docs/config.md. It proves nothing
// to the ISP: set User, PasswordFile and Auth if the ISP asks.
func NewSession(name, uplink string) Session {
	return Session{
		Name:     name,
		Uplink:   uplink,
		NATPorts: NATPorts{Block: 512, Blocks: 4},
		Redial:   Redial{Min: time.Second, Max: time.Minute},
	}
}

// NewPool is a pool that gives away every address of prefix.
func NewPool(name string, prefix netip.Prefix) Pool {
	return Pool{Name: name, Prefix: prefix}
}

// NewTCP is a listener with the defaults of docs/config.md.
func NewTCP(listen string) *TCP {
	return &TCP{Listen: listen, Max: 4096, KeepAlive: 30 * time.Second}
}

// NewSerial is a set of serial devices with the defaults of docs/config.md.
func NewSerial(devices ...string) *Serial {
	return &Serial{Devices: devices, Speed: 115200, Flow: FlowNone, Carrier: true}
}

// NewPTY is a set of pseudo-terminals with the defaults of docs/config.md.
func NewPTY(links ...string) *PTY {
	return &PTY{Links: links, Mode: 0o600}
}

// defaultFirstFrameTimeout is for listeners that anyone can reach: silent
// connections cost a place, and a scanner opens many. A modem or a null-modem
// cable may be silent for as long as it likes.
const defaultFirstFrameTimeout = time.Minute
