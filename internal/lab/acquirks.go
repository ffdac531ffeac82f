package lab

import (
	"bytes"
	"time"

	"tributary/pppoe"
)

// Quirks are where an access concentrator departs from the RFCs, in ways that
// deployed ones are known for. The zero value is one that does not.
type Quirks struct {
	// DropHostUniq leaves the Host-Uniq out of PADO and PADS.
	DropHostUniq bool
	// WantHostUniq has PADIs and PADRs with another Host-Uniq, or none, ignored:
	// some ISPs give each customer one, as a key. Nil takes any.
	WantHostUniq []byte
	// SilentToStale ignores an address that has a session here, until a PADT ends
	// that session. It never finds out by itself that nobody is there any more: it
	// goes on sending LCP Echo-Requests.
	SilentToStale bool
	// Padding is how many octets of garbage follow what each frame carries, behind
	// what LENGTH says, as far as the MTU permits.
	Padding int
	// ServiceName is in every PADS in place of the Service-Name that was asked for.
	ServiceName string
	// ReuseIDs gives out a session id again as soon as it is free, and after a
	// reboot begins with those that were in use.
	ReuseIDs bool
	LCP      LCPStart // who speaks first
	// CookieLife is how long a cookie is good, to the moment. 0: long enough.
	CookieLife time.Duration
	// RefuseOldCookies answers a PADR whose cookie is older by a PADS with an error
	// tag. Otherwise it is ignored.
	RefuseOldCookies bool
	// Full is the error tag with which a PADR over MaxSessions or MaxPerMAC is
	// refused, while PADIs are still answered. Nil has PADIs not answered then,
	// which is what RFC 2516 section 5.2 wants.
	Full *pppoe.Tag
}

// LCPStart is when an access concentrator begins with LCP.
type LCPStart uint8

// When LCP begins.
const (
	LCPBehindPADS LCPStart = iota // at once, behind the PADS
	LCPBeforePADS                 // sooner: the first Configure-Request comes in front of it
	LCPAfterPeer                  // when the other end has sent something
)

// ignores reports whether nothing is to come of a packet.
func (a *AC) ignores(now time.Time, src pppoe.MAC, p pppoe.Packet) bool {
	if p.Code != pppoe.PADI && p.Code != pppoe.PADR {
		return false
	}
	q := &a.cfg.Quirks
	if p.Code == pppoe.PADI && a.tooEarly(now, src) {
		a.counters.earlyPADI.Add(1)
		return true
	}
	if uniq, _ := p.Find(pppoe.TagHostUniq); q.WantHostUniq != nil && !bytes.Equal(uniq, q.WantHostUniq) {
		a.counters.wrongUniq.Add(1)
		return true
	}
	if q.SilentToStale && a.perMAC[src] > 0 {
		a.counters.silent.Add(1)
		return true
	}
	return false
}

// maxHeard bounds how many addresses tooEarly remembers beyond need.
const maxHeard = 1 << 16

// tooEarly reports whether a PADI from src has been heard within MinPADIInterval.
func (a *AC) tooEarly(now time.Time, src pppoe.MAC) bool {
	least := a.cfg.MinPADIInterval
	if least <= 0 {
		return false
	}
	if at, heard := a.padiAt[src]; heard && now.Sub(at) < least {
		return true
	}
	if len(a.padiAt) >= maxHeard {
		for mac, at := range a.padiAt {
			if now.Sub(at) >= least {
				delete(a.padiAt, mac)
			}
		}
	}
	a.padiAt[src] = now
	return false
}

// refusal is the error tag with which a packet is refused; nil if it is not.
func (a *AC) refusal(now time.Time, src pppoe.MAC, p pppoe.Packet) *pppoe.Tag {
	if p.Code != pppoe.PADR {
		return nil
	}
	if t := a.trouble.Load(); t.Refuse != nil {
		return t.Refuse
	}
	c, full := &a.cfg, a.cfg.Quirks.Full
	if full != nil && (c.MaxSessions > 0 && len(a.byID) >= c.MaxSessions || c.MaxPerMAC > 0 && a.perMAC[src] >= c.MaxPerMAC) {
		return full
	}
	if c.Quirks.RefuseOldCookies && a.cookies.old(now, p) {
		a.counters.oldCookie.Add(1)
		t := pppoe.StringTag(pppoe.TagGenericError, "the cookie has expired")
		return &t
	}
	return nil
}

// refuse answers a PADR with an error tag, as RFC 2516 section 5.4 has it: with
// the SESSION_ID zero.
func (a *AC) refuse(src pppoe.MAC, padr pppoe.Packet, why pppoe.Tag) {
	pads := pppoe.Packet{Code: pppoe.PADS, Tags: append(repeated(padr), why)}
	a.counters.turnedAway.Add(1)
	a.sendDiscovery(pppoe.Send{Dst: src, Code: pppoe.PADS, Packet: pads.Append(nil)})
}

// repeated is the tags of a packet that its answer repeats.
func repeated(p pppoe.Packet) (tags []pppoe.Tag) {
	for _, t := range p.Tags {
		switch t.Type {
		case pppoe.TagServiceName, pppoe.TagHostUniq, pppoe.TagRelaySessionID:
			tags = append(tags, t)
		}
	}
	return tags
}

// dress makes the quirks' changes to a packet that goes out.
func (a *AC) dress(packet []byte) []byte {
	q := &a.cfg.Quirks
	if !q.DropHostUniq && q.ServiceName == "" {
		return packet
	}
	p, err := pppoe.ParsePacket(packet)
	if err != nil || p.Code != pppoe.PADO && p.Code != pppoe.PADS {
		return packet
	}
	out := pppoe.Packet{Code: p.Code, SessionID: p.SessionID}
	for _, t := range p.Tags {
		switch {
		case t.Type == pppoe.TagHostUniq && q.DropHostUniq:
			continue
		case t.Type == pppoe.TagServiceName && p.Code == pppoe.PADS && p.SessionID != 0 && q.ServiceName != "":
			t = pppoe.StringTag(t.Type, q.ServiceName)
		}
		out.Tags = append(out.Tags, t)
	}
	return out.Append(nil)
}

// garbage is what follows the payload of frame number n: nothing that a reader
// could have expected, and the same for the same seed.
func garbage(dst []byte, seed, n uint64) {
	x := seed ^ n*0x9e3779b97f4a7c15 | 1
	for i := range dst {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		dst[i] = byte(x)
	}
}

// cookieJar is when each cookie was given out, for as long as it is good.
type cookieJar struct {
	life  time.Duration // 0: nobody asks
	at    map[string]time.Time
	order []string // the oldest first
}

// give notes the cookie of a PADO that goes out.
func (j *cookieJar) give(now time.Time, packet []byte) {
	if j.life <= 0 {
		return
	}
	p, err := pppoe.ParsePacket(packet)
	cookie, ok := p.Find(pppoe.TagACCookie)
	if err != nil || !ok {
		return
	}
	for len(j.order) > 0 && now.Sub(j.at[j.order[0]]) >= j.life {
		delete(j.at, j.order[0])
		j.order = j.order[1:]
	}
	if j.at == nil {
		j.at = make(map[string]time.Time)
	}
	j.at[string(cookie)] = now
	j.order = append(j.order, string(cookie))
}

// old reports whether the cookie of a PADR is good no more.
func (j *cookieJar) old(now time.Time, padr pppoe.Packet) bool {
	if j.life <= 0 {
		return false
	}
	cookie, _ := padr.Find(pppoe.TagACCookie)
	at, ok := j.at[string(cookie)]
	return !ok || now.Sub(at) >= j.life
}
