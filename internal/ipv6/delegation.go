package ipv6

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// DelegationConfig says what a Delegation asks for.
type DelegationConfig struct {
	// DUID is this gateway's identifier, the type code included; it should never
	// change (RFC 8415 section 11).
	DUID []byte
	// IAID names this uplink among those of the gateway; the same one again
	// should have the same (RFC 9096 section 3.2).
	IAID uint32
	// Local is our interface identifier on the link, from IPV6CP.
	Local uint64
	// Hint is the prefix that is wanted: its length, and, unless its address is
	// zero, this one, as when it was delegated before. The server may give
	// another. Not valid: none in particular.
	Hint netip.Prefix
	// Stateless asks for no prefix, only for DNS servers.
	Stateless bool
	// Random returns a number in [0, n). It makes the transaction identifiers
	// hard to guess and spreads the messages of many clients. Nil does neither.
	Random func(n int64) int64
}

// DelegationState is where a Delegation stands.
type DelegationState uint8

const (
	DelegationIdle       DelegationState = iota // not started
	DelegationSoliciting                        // looking for a server
	DelegationRequesting                        // asking one for a prefix
	DelegationBound                             // there is a prefix
	DelegationRenewing                          // past T1: asking for more time
	DelegationRebinding                         // past T2: asking any server
	DelegationReleasing                         // giving the prefix back
	DelegationInforming                         // asking for DNS servers only
	DelegationInformed                          // there are DNS servers
	DelegationDown                              // over
)

var delegationStates = [...]string{
	"idle", "soliciting", "requesting", "bound", "renewing", "rebinding", "releasing", "informing", "informed", "down",
}

// String is the state in one word.
func (s DelegationState) String() string {
	if int(s) < len(delegationStates) {
		return delegationStates[s]
	}
	return "unknown"
}

// Lease is what a server has delegated.
type Lease struct {
	Prefixes []Prefix
	DNS      []netip.Addr
	Server   []byte // its DUID
}

func (l *Lease) clone() Lease {
	return Lease{slices.Clone(l.Prefixes), slices.Clone(l.DNS), slices.Clone(l.Server)}
}

// DelegationOut is what Delegation.Next yields: Send, DelegationGranted,
// DelegationLost, DelegationRefused, DelegationLearned or DelegationDone.
type DelegationOut interface{ delegationOut() }

// DelegationGranted says what is delegated from now on: for the first time, for
// longer, or something else than before.
type DelegationGranted struct{ Lease Lease }

// DelegationLost says that nothing is delegated any more. Unless it was given
// back, the search has begun again.
type DelegationLost struct{ Reason LossReason }

// DelegationRefused says that a server will not delegate. The search goes on. It
// is not repeated while the answer stays the same.
type DelegationRefused struct {
	Status  Status
	Message string // the server's own words, fit for terminals; may be empty
}

// DelegationLearned says which DNS servers there are, where Stateless was asked for.
type DelegationLearned struct{ DNS []netip.Addr }

// DelegationDone is the last event, after Release and after Stop.
type DelegationDone struct{}

func (Send) delegationOut()              {}
func (DelegationGranted) delegationOut() {}
func (DelegationLost) delegationOut()    {}
func (DelegationRefused) delegationOut() {}
func (DelegationLearned) delegationOut() {}
func (DelegationDone) delegationOut()    {}

// LossReason is why a delegation ended, as one word fit for logs and metrics.
type LossReason string

const (
	LostExpired   LossReason = "expired"   // its time was over and nobody gave more
	LostWithdrawn LossReason = "withdrawn" // the server took it back
	LostReleased  LossReason = "released"  // we gave it back
)

// Times of RFC 8415 section 7.6.
const (
	solMaxDelay = time.Second
	solTimeout  = time.Second
	solMaxRT    = 3600 * time.Second
	reqTimeout  = time.Second
	reqMaxRT    = 30 * time.Second
	reqMaxRC    = 10
	renTimeout  = 10 * time.Second
	renMaxRT    = 600 * time.Second
	rebTimeout  = 10 * time.Second
	rebMaxRT    = 600 * time.Second
	relTimeout  = time.Second
	relMaxRC    = 4
	infMaxDelay = time.Second
	infTimeout  = time.Second
	infMaxRT    = 3600 * time.Second
	irtDefault  = 86400 // seconds
	irtMinimum  = 600
)

// Bounds of our own on how often a server can make us speak.
const (
	leastT1    = 10 * time.Second  // before a lease is renewed
	maxPenalty = 120 * time.Second // after repeated refusals
)

// Delegation is the client's end of DHCPv6 on an uplink session, as far as it is
// for prefixes (RFC 8415 with IA_PD) or for DNS servers alone. One machine serves
// one session; for the next one make another, with the old prefix as its Hint.
//
// All messages go to All_DHCP_Relay_Agents_and_Servers; that a server asks for
// unicast changes nothing, which RFC 8415 section 18.2 leaves to the client.
// Reconfigure is not accepted, and servers are told so by the absence of the
// option that would.
type Delegation struct {
	cfg   DelegationConfig
	link  netip.Addr
	state DelegationState
	out   queue[DelegationOut]

	// The exchange that is under way.
	xid    uint32
	begun  time.Time // when its first message went out; zero: it has not yet
	sendAt time.Time // when the next one is due; zero: no exchange is under way
	rt     retransmission
	server []byte // whom it is with; nil: anyone
	asked  []netip.Prefix

	best     *offer // the best Advertise so far
	bestPref uint8

	lease   Lease
	t1, t2  time.Time // zero: never
	refused *DelegationRefused
	penalty time.Duration

	solMaxRT, infMaxRT time.Duration
	lastXID            uint32
}

// offer is what a server has advertised.
type offer struct {
	server   []byte
	prefixes []netip.Prefix
}

// NewDelegation makes a client that waits for Start.
func NewDelegation(cfg DelegationConfig) *Delegation {
	cfg.DUID = slices.Clone(cfg.DUID)
	return &Delegation{cfg: cfg, link: LinkLocal(cfg.Local), solMaxRT: solMaxRT, infMaxRT: infMaxRT}
}

// State is where the client stands.
func (d *Delegation) State() DelegationState { return d.state }

// Lease is a copy of what is delegated; ok is false if nothing is.
func (d *Delegation) Lease() (l Lease, ok bool) { return d.lease.clone(), len(d.lease.Prefixes) > 0 }

// Next takes the oldest packet or event; ok is false when there are no more.
func (d *Delegation) Next() (out DelegationOut, ok bool) { return d.out.next() }

// Deadline is when Tick wants to be called; the zero time if only a packet or a
// call can change anything.
func (d *Delegation) Deadline() time.Time {
	t := d.sendAt
	switch d.state {
	case DelegationIdle, DelegationDown:
		return time.Time{}
	case DelegationBound:
		t = earlier(t, d.t1)
	case DelegationRenewing:
		t = earlier(t, d.t2)
	}
	for _, p := range d.lease.Prefixes {
		t = earlier(t, p.Valid)
	}
	return t
}

// Start begins to ask: IPV6CP is up. Later calls do nothing.
func (d *Delegation) Start(now time.Time) {
	if d.state != DelegationIdle {
		return
	}
	if d.cfg.Stateless {
		d.inform(now)
		return
	}
	d.solicit(now, 0)
}

// Release gives back what is delegated, and ends. RFC 8415 section 18.2.7: "The
// client MUST stop using all of the leases being released before the client
// begins the Release message exchange process."
func (d *Delegation) Release(now time.Time) {
	if d.state == DelegationDown || d.state == DelegationReleasing {
		return
	}
	if len(d.lease.Prefixes) == 0 {
		d.done()
		return
	}
	d.server, d.asked = d.lease.Server, d.leased()
	d.lose(LostReleased)
	d.begin(now, DelegationReleasing, retransmission{initial: relTimeout, count: relMaxRC}, 0)
	d.Tick(now)
}

// Stop ends without a word: the link is gone, or its user will be back. RFC 9096
// section 3.1: "CE routers SHOULD NOT automatically send DHCPv6-PD RELEASE
// messages upon restart events."
func (d *Delegation) Stop() {
	if d.state != DelegationDown {
		d.lease = Lease{}
		d.done()
	}
}

func (d *Delegation) done() {
	d.state, d.sendAt = DelegationDown, time.Time{}
	d.out.push(DelegationDone{})
}

// begin begins an exchange whose first message goes out after delay.
func (d *Delegation) begin(now time.Time, s DelegationState, rt retransmission, delay time.Duration) {
	d.state, d.rt, d.best, d.begun = s, rt, nil, time.Time{}
	d.sendAt = now.Add(delay)
	d.lastXID++
	if d.cfg.Random != nil {
		d.lastXID = uint32(d.cfg.Random(1 << 24))
	}
	d.xid = d.lastXID & 0xffffff
}

// solicit begins to look for servers, after a penalty if there is reason for one.
// RFC 8415 section 18.2.1: "The first Solicit message from the client on the
// interface SHOULD be delayed by a random amount of time between 0 and
// SOL_MAX_DELAY."
func (d *Delegation) solicit(now time.Time, penalty time.Duration) {
	d.server, d.asked = nil, nil
	if d.cfg.Hint.IsValid() {
		d.asked = []netip.Prefix{d.cfg.Hint.Masked()}
	}
	rt := retransmission{initial: solTimeout, max: d.solMaxRT, positive: true}
	d.begin(now, DelegationSoliciting, rt, penalty+random(d.cfg.Random).upTo(solMaxDelay))
}

// solicitAgain is solicit after a server that offered did not give: each time
// in a row that it happens costs a longer wait.
func (d *Delegation) solicitAgain(now time.Time) {
	d.penalty = min(max(2*d.penalty, time.Second), maxPenalty)
	d.solicit(now, d.penalty)
}

func (d *Delegation) request(now time.Time, server []byte, prefixes []netip.Prefix) {
	d.server, d.asked = server, prefixes
	d.begin(now, DelegationRequesting, retransmission{initial: reqTimeout, max: reqMaxRT, count: reqMaxRC}, 0)
	d.transmit(now)
}

func (d *Delegation) renew(now time.Time) {
	d.server, d.asked = d.lease.Server, d.leased()
	d.begin(now, DelegationRenewing, retransmission{initial: renTimeout, max: renMaxRT}, 0)
}

func (d *Delegation) rebind(now time.Time) {
	d.server, d.asked = nil, d.leased()
	d.begin(now, DelegationRebinding, retransmission{initial: rebTimeout, max: rebMaxRT}, 0)
}

// inform begins to ask for DNS servers only (RFC 8415 section 18.2.6).
func (d *Delegation) inform(now time.Time) {
	d.server, d.asked = nil, nil
	rt := retransmission{initial: infTimeout, max: d.infMaxRT}
	d.begin(now, DelegationInforming, rt, random(d.cfg.Random).upTo(infMaxDelay))
}

func (d *Delegation) leased() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(d.lease.Prefixes))
	for _, p := range d.lease.Prefixes {
		out = append(out, p.Prefix)
	}
	return out
}

// Tick does what has become due.
func (d *Delegation) Tick(now time.Time) {
	if d.state == DelegationIdle || d.state == DelegationDown {
		return
	}
	d.expire(now)
	switch {
	case d.state == DelegationBound && ended(now, d.t2), d.state == DelegationRenewing && ended(now, d.t2):
		d.rebind(now)
	case d.state == DelegationBound && ended(now, d.t1):
		d.renew(now)
	case d.state == DelegationInformed && ended(now, d.sendAt):
		d.inform(now)
	}
	if !d.sendAt.IsZero() && ended(now, d.sendAt) {
		d.due(now)
	}
}

// due is the end of a wait: for the first message, or for an answer.
func (d *Delegation) due(now time.Time) {
	switch {
	case d.best != nil:
		d.request(now, d.best.server, d.best.prefixes)
	case !d.rt.exhausted(now):
		d.transmit(now)
	case d.state == DelegationRequesting:
		d.solicitAgain(now)
	case d.state == DelegationReleasing:
		d.done()
	}
}

// expire lets go of prefixes whose time is over.
func (d *Delegation) expire(now time.Time) {
	n := len(d.lease.Prefixes)
	d.lease.Prefixes = slices.DeleteFunc(d.lease.Prefixes, func(p Prefix) bool { return ended(now, p.Valid) })
	switch len(d.lease.Prefixes) {
	case n:
	case 0:
		d.lose(LostExpired)
		if d.state != DelegationSoliciting && d.state != DelegationRequesting {
			d.solicit(now, 0)
		}
	default:
		d.out.push(DelegationGranted{d.lease.clone()})
	}
}

func (d *Delegation) lose(r LossReason) {
	d.lease, d.t1, d.t2 = Lease{}, time.Time{}, time.Time{}
	d.out.push(DelegationLost{r})
}

// transmit sends the exchange's message, for the first time or again: then with
// the same transaction-id (RFC 8415 section 16.1).
func (d *Delegation) transmit(now time.Time) {
	if d.begun.IsZero() {
		d.begun = now
	}
	// RFC 8415 section 21.9: Elapsed Time is "the amount of time since the client
	// began its current DHCP transaction", and 0xffff stands for all beyond.
	m := dhcpMessage{
		xid: d.xid, clientID: d.cfg.DUID, serverID: d.server,
		hasTime: true, elapsed: uint16(min(now.Sub(d.begun)/(10*time.Millisecond), 0xffff)),
		requested: []uint16{optDNS, optSolMaxRT},
	}
	ia := iaPD{iaid: d.cfg.IAID}
	for _, p := range d.asked {
		ia.prefixes = append(ia.prefixes, iaPrefix{prefix: p})
	}
	m.prefixes = []iaPD{ia}
	switch d.state {
	case DelegationSoliciting:
		// RFC 8415 section 18.2.1: a client that wants to be served in two
		// messages says so. On PPP there is one server to lose nothing at.
		m.kind, m.rapid = msgSolicit, true
	case DelegationRequesting:
		m.kind = msgRequest
	case DelegationRenewing:
		m.kind = msgRenew
	case DelegationRebinding:
		m.kind = msgRebind
	case DelegationReleasing:
		m.kind, m.requested = msgRelease, nil
	default:
		m.kind, m.prefixes = msgInform, nil
		m.requested = []uint16{optDNS, optRefresh, optInfMaxRT}
	}
	d.out.push(Send{appendUDP(nil, d.link, allDHCP(), 1, clientPort, serverPort, m.append(nil))})
	d.sendAt = now.Add(d.rt.next(d.cfg.Random))
}

// Input takes one packet from the link.
func (d *Delegation) Input(now time.Time, pkt []byte) {
	if d.state == DelegationIdle || d.state == DelegationDown {
		return
	}
	d.expire(now)
	if d.begun.IsZero() {
		return // nothing has been asked
	}
	p, ok := parsePacket(pkt)
	if !ok || p.dst != d.link || p.src == d.link || p.src.IsUnspecified() {
		return
	}
	data, ok := p.udpPayload(clientPort)
	if !ok {
		return
	}
	m, ok := parseDHCP(data)
	// RFC 8415 sections 16.3 and 16.10: without a Server Identifier, with another
	// client's identifier or with another transaction-id, it is not for us.
	if !ok || m.xid != d.xid || m.serverID == nil || !bytes.Equal(m.clientID, d.cfg.DUID) {
		return
	}
	switch m.kind {
	case msgAdvertise:
		if d.state == DelegationSoliciting {
			d.advertised(now, &m)
		}
	case msgReply:
		d.replied(now, &m)
	}
}
