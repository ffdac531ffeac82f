package gateway

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	macs  macPool

	room        int // octets of PPP payload that the port carries
	maxPayload  int // asked of the AC: 1492, or more by RFC 4638
	sessions    atomic.Int64
	discovering atomic.Int64
	sent        discoveryCounters
	acs         *acTable
}

// discoveryCounters counts discovery packets and outcomes of one uplink.
type discoveryCounters struct {
	padi, pado, padr, pads, padtSent, padtReceived atomic.Uint64
	opened, refused, timedOut, late                atomic.Uint64
	unanswered, lost, leftAlone                    atomic.Uint64
	failed                                         [len(failReasons)]atomic.Uint64
}

// failReasons are the ends of a search without a session, each with a counter.
var failReasons = [...]pppoe.FailReason{
	pppoe.FailNoOffer, pppoe.FailNotAcceptable, pppoe.FailRefused, pppoe.FailLeftAlone, pppoe.FailNoSession, pppoe.FailConfig,
}

// fail counts the end of a search.
func (c *discoveryCounters) fail(r pppoe.FailReason) {
	if i := slices.Index(failReasons[:], r); i >= 0 {
		c.failed[i].Add(1)
	}
}

func (c *discoveryCounters) values() map[string]uint64 {
	m := map[string]uint64{
		"padi_sent": c.padi.Load(), "pado_received": c.pado.Load(), "padr_sent": c.padr.Load(),
		"pads_received": c.pads.Load(), "padt_sent": c.padtSent.Load(), "padt_received": c.padtReceived.Load(),
		"opened": c.opened.Load(), "refused": c.refused.Load(), "timed_out": c.timedOut.Load(), "late_pads": c.late.Load(),
		"unanswered": c.unanswered.Load(), "lost": c.lost.Load(), "left_alone": c.leftAlone.Load(),
	}
	for i, r := range failReasons {
		m["failed_"+strings.ReplaceAll(string(r), "-", "_")] = c.failed[i].Load()
	}
	return m
}

// header is the Ethernet header of what is sent to dst from our address.
func (u *uplink) header(our, dst pppoe.MAC, etherType uint16) ether.Header {
	return ether.Header{Dst: dst, Src: our, VLANs: u.vlans, Type: etherType}
}

// carries is how much PPP payload a session with this much from the AC takes.
func (u *uplink) carries(granted int) int { return min(granted, u.room) }

func (u *uplink) info() UplinkInfo {
	acs, setUp := u.acs.info(time.Now())
	return UplinkInfo{
		Name: u.cfg.Name, Interface: u.cfg.Interface, Up: !u.port.down.Load(),
		MAC: u.port.mac().String(), MTU: u.port.ether().MTU(), VLANs: u.vlans.Slice(),
		Sessions: int(u.sessions.Load()), Discovering: int(u.discovering.Load()),
		ACs: acs, SetUp: setUp, Discovery: u.sent.values(), Dropped: u.port.drops.values(), Port: u.port.ether().Counters(),
	}
}

// newUplink checks what can only be checked with the port open.
func newUplink(cfg *config.Uplink, p *port, log *slog.Logger) (*uplink, error) {
	vlans, err := ether.MakeVLANs(cfg.VLANs...)
	if err != nil {
		return nil, fmt.Errorf("uplink %s: %w", cfg.Name, err)
	}
	u := &uplink{
		cfg: cfg, port: p, vlans: vlans, acs: newACTable(cfg),
		gate: newGate(cfg),
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
	return u, nil
}

// pppoeOverhead is what PPPoE takes of an Ethernet payload: its header and the
// PPP Protocol field.
const pppoeOverhead = pppoe.HeaderLen + 2
