package ipv6

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// advertised weighs an Advertise. RFC 8415 section 18.2.1: "the client collects
// valid Advertise messages until the first RT has elapsed", unless one comes with
// a preference of 255; after that it takes the first one.
func (d *Delegation) advertised(now time.Time, m *dhcpMessage) {
	d.maxRT(m)
	ia := m.ia(d.cfg.IAID)
	switch {
	case m.status.code != StatusSuccess:
		d.refuse(m.status)
		return
	case ia == nil:
		return
	case ia.status.code != StatusSuccess:
		d.refuse(ia.status)
		return
	}
	// RFC 8415 section 18.2.9: an Advertise without a prefix is to be ignored.
	var prefixes []netip.Prefix
	for _, p := range ia.prefixes {
		if usable(p) && p.valid > 0 {
			prefixes = append(prefixes, p.prefix)
		}
	}
	if len(prefixes) == 0 {
		return
	}
	if d.best == nil || m.pref > d.bestPref {
		d.best, d.bestPref = &offer{slices.Clone(m.serverID), prefixes}, m.pref
	}
	if m.pref == 255 || d.rt.sent > 1 {
		d.request(now, d.best.server, d.best.prefixes)
	}
}

// usable reports whether a prefix is one that users can have their /64 out of.
// RFC 8415 section 21.22: one whose preferred lifetime is greater than its valid
// lifetime is to be discarded.
func usable(p iaPrefix) bool {
	return p.preferred <= p.valid && p.prefix.Bits() <= 64 && isGlobal(p.prefix)
}

// refuse tells of a refusal that is not the same as the last one.
func (d *Delegation) refuse(s status) {
	r := DelegationRefused{s.code, s.text}
	if d.refused == nil || *d.refused != r {
		d.refused = &r
		d.out.push(r)
	}
}

// replied takes a Reply (RFC 8415 section 18.2.10).
func (d *Delegation) replied(now time.Time, m *dhcpMessage) {
	if d.server != nil && !bytes.Equal(m.serverID, d.server) {
		return
	}
	switch d.state {
	case DelegationSoliciting:
		// Section 18.2.1: a Solicit is answered by a Reply only with a Rapid Commit
		// option in it.
		if m.rapid {
			d.maxRT(m)
			d.granted(now, m)
		}
	case DelegationRequesting, DelegationRenewing, DelegationRebinding:
		d.maxRT(m)
		d.granted(now, m)
	case DelegationReleasing:
		// Section 18.2.10.2: "When the client receives a valid Reply message in
		// response to a Release message, the client considers the Release event
		// completed, regardless of the Status Code option(s) returned by the server."
		d.done()
	case DelegationInforming:
		d.informed(now, m)
	}
}

// maxRT takes over how far apart the server wants messages to be. RFC 8415
// sections 21.24 and 21.25: other values than 60 to 86400 are ignored.
func (d *Delegation) maxRT(m *dhcpMessage) {
	if m.solMaxRT >= 60 && m.solMaxRT <= 86400 {
		d.solMaxRT = time.Duration(m.solMaxRT) * time.Second
		if d.state == DelegationSoliciting {
			d.rt.max = d.solMaxRT
		}
	}
	if m.infMaxRT >= 60 && m.infMaxRT <= 86400 {
		d.infMaxRT = time.Duration(m.infMaxRT) * time.Second
		if d.state == DelegationInforming {
			d.rt.max = d.infMaxRT
		}
	}
}

// granted takes what a Reply to Solicit, Request, Renew or Rebind says of our
// prefixes. A Reply that says nothing of them, or that the server failed, is
// no answer: the message is repeated when its time has come.
func (d *Delegation) granted(now time.Time, m *dhcpMessage) {
	ia := m.ia(d.cfg.IAID)
	if ia != nil && ia.t1 > ia.t2 && ia.t2 > 0 {
		ia = nil // RFC 8415 section 21.21: as though there were no such option
	}
	held := d.state == DelegationRenewing || d.state == DelegationRebinding
	switch {
	case m.status.code != StatusSuccess:
		d.refuse(m.status)
	case ia == nil:
	case ia.status.code == StatusNoBinding && held:
		// Section 18.2.10.1: a Request goes "to the server that responded if any of
		// the IAs in the Reply message contain the NoBinding status code."
		d.request(now, slices.Clone(m.serverID), d.leased())
	case ia.status.code != StatusSuccess:
		d.refuse(ia.status)
		if d.state == DelegationRequesting {
			d.nothing(now)
		}
	default:
		d.bind(now, m, ia)
	}
}

// bind puts what the Reply gives in the place of what there was. RFC 8415 section
// 18.2.10.1 of Renew and Rebind: "Leave unchanged any information about leases
// the client has recorded in the IA but that were not included in the IA from
// the server."
func (d *Delegation) bind(now time.Time, m *dhcpMessage, ia *iaPD) {
	var lease []Prefix
	if d.state == DelegationRenewing || d.state == DelegationRebinding {
		lease = slices.Clone(d.lease.Prefixes)
	}
	for _, p := range ia.prefixes {
		if !usable(p) {
			continue
		}
		// "Update the lifetimes", "Discard any leases from the IA [...] that have a
		// valid lifetime of 0".
		lease = slices.DeleteFunc(lease, func(l Prefix) bool { return l.Prefix == p.prefix })
		if p.valid > 0 && len(lease) < maxIAPrefixes {
			lease = append(lease, Prefix{p.prefix, until(now, p.preferred), until(now, p.valid)})
		}
	}
	if len(lease) == 0 {
		d.nothing(now)
		return
	}
	d.lease = Lease{lease, usableDNS(m.dns), slices.Clone(m.serverID)}
	d.t1, d.t2 = times(now, ia, lease)
	d.state, d.sendAt, d.best = DelegationBound, time.Time{}, nil
	d.refused, d.penalty = nil, 0
	d.out.push(DelegationGranted{d.lease.clone()})
}

// nothing is what follows from a Reply after which there is no prefix. In an
// answer to a Solicit it is ignored like an Advertise without any; all other
// answers mean that what we had is gone too.
func (d *Delegation) nothing(now time.Time) {
	if d.state == DelegationSoliciting {
		return
	}
	if len(d.lease.Prefixes) > 0 {
		d.lose(LostWithdrawn)
	}
	d.solicitAgain(now)
}

// times is when to renew and when to rebind. RFC 8415 section 21.21: with T1 and T2
// of 0 the server leaves that to us; 0.5 and 0.8 times the shortest preferred
// lifetime are what it is told to choose itself. Where the server's come too late
// for the shortest valid lifetime, the same shares of that are taken.
func times(now time.Time, ia *iaPD, lease []Prefix) (t1, t2 time.Time) {
	var preferred, valid time.Time
	for _, p := range lease {
		preferred, valid = earlier(preferred, p.Preferred), earlier(valid, p.Valid)
	}
	// A prefix that is not preferred any more is not to be renewed at once, and
	// again and again.
	if !preferred.IsZero() && !preferred.After(now) {
		preferred = valid
	}
	share := func(end time.Time, tenths time.Duration) time.Time {
		if end.IsZero() {
			return end
		}
		return now.Add(end.Sub(now) / 10 * tenths)
	}
	t1, t2 = until(now, ia.t1), until(now, ia.t2)
	if ia.t1 == 0 {
		t1 = share(preferred, 5)
	}
	if ia.t2 == 0 {
		t2 = share(preferred, 8)
	}
	if !valid.IsZero() && later(t2, valid).Equal(t2) {
		t2 = share(valid, 8)
	}
	if !valid.IsZero() && later(t1, valid).Equal(t1) {
		t1 = share(valid, 5)
	}
	t1 = later(t1, now.Add(leastT1))
	return t1, later(t2, t1)
}

// informed takes a Reply to an Information-request. RFC 8415 section 21.23: after
// the Information Refresh Time it is asked for again.
func (d *Delegation) informed(now time.Time, m *dhcpMessage) {
	if m.status.code != StatusSuccess {
		d.refuse(m.status)
		return
	}
	d.maxRT(m)
	dns := usableDNS(m.dns)
	if !slices.Equal(dns, d.lease.DNS) || d.lease.Server == nil {
		d.out.push(DelegationLearned{slices.Clone(dns)})
	}
	d.lease.DNS, d.lease.Server = dns, slices.Clone(m.serverID)
	refresh := m.refresh
	if refresh == 0 {
		refresh = irtDefault
	}
	d.state, d.refused = DelegationInformed, nil
	d.sendAt = until(now, max(refresh, irtMinimum))
}
