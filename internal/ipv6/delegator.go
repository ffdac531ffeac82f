package ipv6

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// DelegatorConfig says what a Delegator has to give.
type DelegatorConfig struct {
	DUID []byte // the server's identifier, the type code included
	// Local is the server's interface identifier, the same one on all links.
	Local uint64
	// Pool is cut into prefixes of Bits, at most 64 and at most 16 more than the
	// pool's own.
	Pool netip.Prefix
	Bits int
	// Preferred and Valid are how long a prefix lasts unless it is renewed, in
	// whole seconds. Zero is RFC 8415's usual 1 h and 2 h.
	Preferred, Valid time.Duration
	DNS              []netip.Addr // four at most
	RapidCommit      bool         // answer a Solicit that asks so by a Reply
}

// DelegatorOut is what Delegator.Next yields: DelegatorSend, PrefixGranted or
// PrefixWithdrawn.
type DelegatorOut interface{ delegatorOut() }

// DelegatorSend is a packet to be sent over a link.
type DelegatorSend struct {
	Link   uint64
	Packet []byte
}

// PrefixGranted says that a prefix is to be routed to a link from now on.
type PrefixGranted struct {
	Link   uint64
	Prefix netip.Prefix
}

// PrefixWithdrawn says that a prefix is not to be routed to a link any more.
type PrefixWithdrawn struct {
	Link   uint64
	Prefix netip.Prefix
}

func (DelegatorSend) delegatorOut()   {}
func (PrefixGranted) delegatorOut()   {}
func (PrefixWithdrawn) delegatorOut() {}

// ErrDelegatorConfig says that a pool cannot be cut up as asked, or that the DUID
// or a lifetime is not one.
var ErrDelegatorConfig = errors.New("ipv6: pool, DUID or lifetimes of a delegator are not usable")

const maxPoolBits = 16

// Delegator is the server's end of DHCPv6 on many links, as far as it is for
// prefixes (RFC 8415 section 18.3). A client is its DUID and its IAID, whichever
// link it comes by: after a redial it has its old prefix, as long as that is
// valid.
type Delegator struct {
	cfg  DelegatorConfig
	link netip.Addr
	out  queue[DelegatorOut]

	bindings map[bindingKey]*binding
	owners   []*binding // by number of the prefix; nil: free
	next     int        // where to look for a free one
	// soonest is no later than the first moment at which one expires; zero: never.
	soonest time.Time
}

type bindingKey struct {
	duid string
	iaid uint32
}

// binding is a prefix that a client has.
type binding struct {
	key   bindingKey
	index int
	link  uint64
	up    bool // it is routed to link
	valid time.Time
}

// NewDelegator makes a server.
func NewDelegator(cfg DelegatorConfig) (*Delegator, error) {
	if cfg.Preferred == 0 && cfg.Valid == 0 {
		cfg.Preferred, cfg.Valid = time.Hour, 2*time.Hour
	}
	if !isGlobal(cfg.Pool) || cfg.Bits > 64 || cfg.Bits < cfg.Pool.Bits() || cfg.Bits-cfg.Pool.Bits() > maxPoolBits ||
		!isDUID(cfg.DUID) || cfg.Preferred < time.Second || cfg.Valid < cfg.Preferred || cfg.Valid > infinity*time.Second {
		return nil, ErrDelegatorConfig
	}
	cfg.Pool, cfg.DUID, cfg.DNS = cfg.Pool.Masked(), slices.Clone(cfg.DUID), usableDNS(cfg.DNS)
	return &Delegator{
		cfg: cfg, link: LinkLocal(cfg.Local),
		bindings: map[bindingKey]*binding{},
		owners:   make([]*binding, 1<<(cfg.Bits-cfg.Pool.Bits())),
	}, nil
}

// Next takes the oldest packet or event; ok is false when there are no more.
func (d *Delegator) Next() (out DelegatorOut, ok bool) { return d.out.next() }

// Deadline is when Tick wants to be called; the zero time if only a packet can
// change anything.
func (d *Delegator) Deadline() time.Time { return d.soonest }

// Tick frees the prefixes whose time is over.
func (d *Delegator) Tick(now time.Time) {
	if !ended(now, d.soonest) {
		return
	}
	d.soonest = time.Time{}
	for _, b := range d.owners {
		switch {
		case b == nil:
		case ended(now, b.valid):
			d.free(b)
		default:
			d.soonest = earlier(d.soonest, b.valid)
		}
	}
}

// LinkDown says that a link is gone. Its clients keep their prefixes until these
// expire, but nothing is routed to them.
func (d *Delegator) LinkDown(link uint64) {
	for _, b := range d.owners {
		if b != nil && b.link == link {
			d.unroute(b)
		}
	}
}

func (d *Delegator) unroute(b *binding) {
	if b.up {
		b.up = false
		d.out.push(PrefixWithdrawn{b.link, d.prefix(b.index)})
	}
}

func (d *Delegator) free(b *binding) {
	d.unroute(b)
	d.owners[b.index] = nil
	delete(d.bindings, b.key)
}

// prefix is the index-th of the pool.
func (d *Delegator) prefix(index int) netip.Prefix {
	a := d.cfg.Pool.Addr().As16()
	n := binary.BigEndian.Uint64(a[:]) | uint64(index)<<(64-d.cfg.Bits)
	binary.BigEndian.PutUint64(a[:], n)
	return netip.PrefixFrom(netip.AddrFrom16(a), d.cfg.Bits)
}

// index is the number of a prefix of the pool.
func (d *Delegator) index(p netip.Prefix) (index int, ok bool) {
	if p.Bits() != d.cfg.Bits || !d.cfg.Pool.Contains(p.Addr()) {
		return 0, false
	}
	a := p.Addr().As16()
	n := binary.BigEndian.Uint64(a[:]) >> (64 - d.cfg.Bits)
	return int(n & uint64(len(d.owners)-1)), true
}

// choose is the prefix for a client: what it has, else what it asks for if that
// is free, else another one.
func (d *Delegator) choose(key bindingKey, ia *iaPD) (index int, ok bool) {
	if b := d.bindings[key]; b != nil {
		return b.index, true
	}
	for _, p := range ia.prefixes {
		if i, ok := d.index(p.prefix); ok && d.owners[i] == nil {
			return i, true
		}
	}
	for n := range d.owners {
		if i := (d.next + n) % len(d.owners); d.owners[i] == nil {
			return i, true
		}
	}
	return 0, false
}

// bind gives a prefix to a client, or gives it more time, or moves it to the link
// that the client is at now.
func (d *Delegator) bind(now time.Time, link uint64, key bindingKey, index int) {
	b := d.bindings[key]
	if b == nil {
		b = &binding{key: key, index: index}
		d.bindings[key], d.owners[index] = b, b
		d.next = (index + 1) % len(d.owners)
	}
	if b.link != link {
		d.unroute(b)
	}
	b.valid = until(now, uint32(d.cfg.Valid/time.Second))
	d.soonest = earlier(d.soonest, b.valid)
	if !b.up {
		b.link, b.up = link, true
		d.out.push(PrefixGranted{link, d.prefix(index)})
	}
}

// Input takes one packet that came over a link.
func (d *Delegator) Input(now time.Time, link uint64, pkt []byte) {
	p, ok := parsePacket(pkt)
	if !ok || p.dst != allDHCP() || !p.src.IsLinkLocalUnicast() || p.src == d.link {
		return
	}
	data, ok := p.udpPayload(serverPort)
	if !ok {
		return
	}
	m, ok := parseDHCP(data)
	if !ok {
		return
	}
	d.Tick(now)
	r := dhcpMessage{kind: msgReply, xid: m.xid, clientID: m.clientID, serverID: d.cfg.DUID}
	if !d.answers(&m) {
		return
	}
	d.reply(now, link, &m, &r)
	if len(d.cfg.DNS) > 0 && m.asks(optDNS) {
		r.dns = d.cfg.DNS
	}
	// Nobody has an address here. RFC 8415 section 18.3.2 and its like: the IA_NA
	// comes back with NoAddrsAvail in it.
	for _, ia := range m.addresses {
		r.addresses = append(r.addresses, iaNA{ia.iaid, status{StatusNoAddrsAvail, ""}})
	}
	d.out.push(DelegatorSend{link, appendUDP(nil, d.link, p.src, defaultHopLimit, serverPort, clientPort, r.append(nil))})
}

// answers reports whether m has the identifiers that its kind must have (RFC 8415
// sections 16.2 to 16.12), and is for this server.
func (d *Delegator) answers(m *dhcpMessage) bool {
	switch m.kind {
	case msgSolicit, msgRebind:
		return m.clientID != nil && m.serverID == nil
	case msgRequest, msgRenew, msgRelease:
		return m.clientID != nil && bytes.Equal(m.serverID, d.cfg.DUID)
	case msgInform:
		return len(m.prefixes) == 0 && len(m.addresses) == 0 && (m.serverID == nil || bytes.Equal(m.serverID, d.cfg.DUID))
	}
	return false
}

// reply does what m asks, and fills in r.
func (d *Delegator) reply(now time.Time, link uint64, m, r *dhcpMessage) {
	grant := true
	if m.kind == msgSolicit {
		r.rapid = m.rapid && d.cfg.RapidCommit
		if grant = r.rapid; !grant {
			r.kind = msgAdvertise
		}
	}
	for i := range m.prefixes {
		ia := &m.prefixes[i]
		key := bindingKey{string(m.clientID), ia.iaid}
		out := iaPD{iaid: ia.iaid}
		b := d.bindings[key]
		switch m.kind {
		case msgRelease:
			// RFC 8415 section 18.3.7: what is released is not mentioned in the Reply,
			// only what there is no binding for.
			if b != nil {
				d.free(b)
				continue
			}
			out.status.code = StatusNoBinding
		case msgRenew, msgRebind:
			if b == nil {
				out.status.code = StatusNoBinding
				break
			}
			d.give(now, link, key, ia, &out, grant)
			d.retire(ia, &out)
		default:
			d.give(now, link, key, ia, &out, grant)
		}
		r.prefixes = append(r.prefixes, out)
	}
	if m.kind == msgRelease {
		r.status = status{StatusSuccess, "released"}
	}
}

// give fills in the IA for a client, bound if grant is set and else only offered.
func (d *Delegator) give(now time.Time, link uint64, key bindingKey, ia, out *iaPD, grant bool) {
	index, ok := d.choose(key, ia)
	if !ok {
		out.status.code = StatusNoPrefixAvail
		return
	}
	if grant {
		d.bind(now, link, key, index)
	}
	preferred, valid := uint32(d.cfg.Preferred/time.Second), uint32(d.cfg.Valid/time.Second)
	if out.t1, out.t2 = preferred/2, preferred-preferred/5; preferred == infinity {
		out.t1, out.t2 = infinity, infinity
	}
	out.prefixes = []iaPrefix{{preferred, valid, d.prefix(index)}}
}

// retire sends back with lifetimes of 0 what the client renews and does not have
// any more (RFC 8415 section 18.3.4).
func (d *Delegator) retire(ia, out *iaPD) {
	for _, p := range ia.prefixes {
		if p.prefix != out.prefixes[0].prefix && isGlobal(p.prefix) && len(out.prefixes) < maxIAPrefixes {
			out.prefixes = append(out.prefixes, iaPrefix{prefix: p.prefix})
		}
	}
}
