package gateway

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/pppoe"
)

// uplink is one way to an ISP: a port, VLANs, and what is asked for there.
type uplink struct {
	cfg   *config.Uplink
	port  *port
	vlans ether.VLANs
	gate  *gate

	room        int // octets of PPP payload that the port carries
	maxPayload  int // asked of the AC: 1492, or more by RFC 4638
	prefer      []pppoe.Preference
	sessions    atomic.Int64
	discovering atomic.Int64
	sent        discoveryCounters

	mu  sync.Mutex
	acs map[pppoe.MAC]*ACInfo
}

// discoveryCounters counts discovery packets and outcomes of one uplink.
type discoveryCounters struct {
	padi, pado, padr, pads, padtSent, padtReceived atomic.Uint64
	opened, refused, timedOut, late                atomic.Uint64
}

func (c *discoveryCounters) values() map[string]uint64 {
	return map[string]uint64{
		"padi_sent": c.padi.Load(), "pado_received": c.pado.Load(), "padr_sent": c.padr.Load(),
		"pads_received": c.pads.Load(), "padt_sent": c.padtSent.Load(), "padt_received": c.padtReceived.Load(),
		"opened": c.opened.Load(), "refused": c.refused.Load(), "timed_out": c.timedOut.Load(), "late_pads": c.late.Load(),
	}
}

// maxACs bounds what a flood of PADOs from invented addresses can make us remember.
const maxACs = 256

// noteAC remembers what an AC said of itself; change adds to its record.
func (u *uplink) noteAC(now time.Time, mac pppoe.MAC, change func(*ACInfo)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ac := u.acs[mac]
	if ac == nil {
		if len(u.acs) >= maxACs {
			u.forgetOldestAC()
		}
		ac = &ACInfo{MAC: mac.String()}
		u.acs[mac] = ac
	}
	ac.LastSeen = now
	change(ac)
}

// forgetOldestAC makes room, at the cost of an AC without sessions.
func (u *uplink) forgetOldestAC() {
	var oldest pppoe.MAC
	var at time.Time
	for mac, ac := range u.acs {
		if ac.Sessions == 0 && (at.IsZero() || ac.LastSeen.Before(at)) {
			oldest, at = mac, ac.LastSeen
		}
	}
	delete(u.acs, oldest)
}

// header is the Ethernet header of what is sent to dst from our address.
func (u *uplink) header(our, dst pppoe.MAC, etherType uint16) ether.Header {
	return ether.Header{Dst: dst, Src: our, VLANs: u.vlans, Type: etherType}
}

// carries is how much PPP payload a session with this much from the AC takes.
func (u *uplink) carries(granted int) int { return min(granted, u.room) }

func (u *uplink) info() UplinkInfo {
	u.mu.Lock()
	acs := make([]ACInfo, 0, len(u.acs))
	for _, ac := range u.acs {
		c := *ac
		c.Services = slices.Clone(ac.Services)
		acs = append(acs, c)
	}
	u.mu.Unlock()
	slices.SortFunc(acs, func(a, b ACInfo) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.MAC, b.MAC))
	})
	return UplinkInfo{
		Name: u.cfg.Name, Interface: u.cfg.Interface, Up: !u.port.down.Load(),
		MAC: u.port.mac().String(), MTU: u.port.ether().MTU(), VLANs: u.vlans.Slice(),
		Sessions: int(u.sessions.Load()), Discovering: int(u.discovering.Load()),
		ACs: acs, Discovery: u.sent.values(), Dropped: u.port.drops.values(), Port: u.port.ether().Counters(),
	}
}

// newUplink checks what can only be checked with the port open.
func newUplink(cfg *config.Uplink, p *port, log *slog.Logger) (*uplink, error) {
	vlans, err := ether.MakeVLANs(cfg.VLANs...)
	if err != nil {
		return nil, fmt.Errorf("uplink %s: %w", cfg.Name, err)
	}
	u := &uplink{
		cfg: cfg, port: p, vlans: vlans, acs: make(map[pppoe.MAC]*ACInfo),
		gate: newGate(cfg.PADIRate),
	}
	// What the port carries of PPP. A packet socket may go over the interface's
	// MTU by one VLAN tag, not by two.
	tags := max(0, vlans.Len()-1) * ether.VLANTagLen
	u.room = p.ether().MTU() - pppoeOverhead - tags
	if u.room < cfg.MaxPayload {
		log.Warn("the interface's MTU is too small: PPP is held to what it carries", "uplink", cfg.Name, "interface", cfg.Interface,
			"mtu", p.ether().MTU(), "needed", cfg.MaxPayload+pppoeOverhead+tags, "max_payload", cfg.MaxPayload, "carried", u.room)
	}
	// RFC 4638 section 3: PPP-Max-Payload is asked for only where the MTU has
	// room for it, besides a PPPoE header of 6 and a Protocol field of 2 octets.
	u.maxPayload = max(min(cfg.MaxPayload, u.room), pppoe.DefaultMaxPayload)
	for _, ac := range cfg.AccessConcentrators {
		u.prefer = append(u.prefer, pppoe.Preference{Name: ac.Name, MAC: ac.MAC})
	}
	return u, nil
}

// pppoeOverhead is what PPPoE takes of an Ethernet payload: its header and the
// PPP Protocol field.
const pppoeOverhead = pppoe.HeaderLen + 2
