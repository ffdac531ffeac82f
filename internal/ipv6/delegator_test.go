package ipv6

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// customer is a client that a test speaks as.
type customer struct {
	t      *testing.T
	d      *Delegator
	events []DelegatorOut
}

func serve(t *testing.T, cfg DelegatorConfig) *customer {
	t.Helper()
	cfg.DUID, cfg.Local = ispDUID, peerID
	if !cfg.Pool.IsValid() {
		cfg.Pool, cfg.Bits = prefix("2001:db8::/44"), 48
	}
	d, err := NewDelegator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &customer{t: t, d: d}
}

// send sends a message over a link; change makes it another one than a client
// with our DUID and the IAID 7 sends.
func (c *customer) send(d time.Duration, link uint64, kind messageType, change func(*dhcpMessage)) {
	m := dhcpMessage{kind: kind, xid: 0x123456, clientID: ourDUID, prefixes: []iaPD{{iaid: 7}}, requested: []uint16{optDNS}, hasTime: true}
	switch kind {
	case msgRequest, msgRenew, msgRelease:
		m.serverID = ispDUID
	case msgInform:
		m.prefixes = nil
	}
	if change != nil {
		change(&m)
	}
	c.d.Input(at(d), link, appendUDP(nil, LinkLocal(ourID), allDHCP(), 1, clientPort, serverPort, m.append(nil)))
}

func (c *customer) want(why string, kind messageType) dhcpMessage {
	c.t.Helper()
	m, p := readDHCP(c.t, one(c.t, why, packets(c.d.Next, &c.events)), clientPort)
	if m.kind != kind || m.xid != 0x123456 || string(m.serverID) != string(ispDUID) || p.src != LinkLocal(peerID) || p.dst != LinkLocal(ourID) {
		c.t.Fatalf("%s: %+v", why, m)
	}
	return m
}

// told compares the events since the last time with those wanted.
func (c *customer) told(why string, want ...DelegatorOut) {
	c.t.Helper()
	packets(c.d.Next, &c.events)
	if len(c.events) != len(want) {
		c.t.Fatalf("%s: events %+v, want %+v", why, c.events, want)
	}
	for i := range want {
		if c.events[i] != want[i] {
			c.t.Fatalf("%s: event %+v, want %+v", why, c.events[i], want[i])
		}
	}
	c.events = nil
}

func asking(iaid uint32, prefixes ...string) func(*dhcpMessage) {
	return func(m *dhcpMessage) {
		ia := iaPD{iaid: iaid}
		for _, p := range prefixes {
			ia.prefixes = append(ia.prefixes, iaPrefix{prefix: prefix(p)})
		}
		m.prefixes = []iaPD{ia}
	}
}

func TestDelegatorDelegates(t *testing.T) {
	c := serve(t, DelegatorConfig{DNS: []netip.Addr{addr("2001:db8::53")}})
	p0 := prefix("2001:db8::/48")
	c.send(0, 5, msgSolicit, func(m *dhcpMessage) { m.rapid = true; m.addresses = []iaNA{{iaid: 9}} })
	m := c.want("rapid commit is not to be had here", msgAdvertise)
	if ia := m.ia(7); ia == nil || len(ia.prefixes) != 1 || ia.prefixes[0] != (iaPrefix{3600, 7200, p0}) || ia.t1 != 1800 || ia.t2 != 2880 || m.rapid || len(m.dns) != 1 {
		t.Errorf("%+v", m)
	}
	if len(m.addresses) != 1 || m.addresses[0].iaid != 9 {
		t.Errorf("addresses %+v", m.addresses)
	}
	c.told("an offer binds nothing")
	c.send(sec, 5, msgRequest, asking(7, "2001:db8:3::/48"))
	if m = c.want("Reply", msgReply); m.ia(7).prefixes[0].prefix != prefix("2001:db8:3::/48") {
		t.Errorf("what it asks for is free: %+v", m)
	}
	c.told("granted", PrefixGranted{5, prefix("2001:db8:3::/48")})
	c.send(2*sec, 5, msgRequest, nil)
	c.want("a Reply was lost", msgReply)
	c.told("nothing new")
	c.send(3*sec, 6, msgRequest, func(m *dhcpMessage) { m.clientID = []byte{0, 9, 9} })
	if m, _ := readDHCP(t, one(t, "Reply to another one", packets(c.d.Next, &c.events)), clientPort); m.ia(7).prefixes[0].prefix != prefix("2001:db8:4::/48") {
		t.Errorf("%+v", m)
	}
	c.told("another client", PrefixGranted{6, prefix("2001:db8:4::/48")})

	// The session breaks; the client is back on another one.
	c.d.LinkDown(5)
	c.told("no route", PrefixWithdrawn{5, prefix("2001:db8:3::/48")})
	c.send(100*sec, 8, msgSolicit, nil)
	if m = c.want("Advertise", msgAdvertise); m.ia(7).prefixes[0].prefix != prefix("2001:db8:3::/48") {
		t.Errorf("its old prefix is kept for it: %+v", m)
	}
	c.send(101*sec, 8, msgRequest, nil)
	c.want("Reply", msgReply)
	c.told("routed again", PrefixGranted{8, prefix("2001:db8:3::/48")})
	c.send(102*sec, 9, msgRebind, asking(7, "2001:db8:3::/48", "2001:db8:f::/48"))
	if m = c.want("a Rebind over another link", msgReply); len(m.ia(7).prefixes) != 2 || m.ia(7).prefixes[1] != (iaPrefix{prefix: prefix("2001:db8:f::/48")}) {
		t.Errorf("what it does not have any more comes back with lifetimes of 0: %+v", m)
	}
	c.told("moved", PrefixWithdrawn{8, prefix("2001:db8:3::/48")}, PrefixGranted{9, prefix("2001:db8:3::/48")})
	c.send(103*sec, 9, msgRenew, asking(8))
	if m = c.want("Renew of nothing", msgReply); m.ia(8).status.code != StatusNoBinding {
		t.Errorf("%+v", m)
	}

	c.send(104*sec, 9, msgRelease, asking(7, "2001:db8:3::/48"))
	if m = c.want("Release", msgReply); len(m.prefixes) != 0 || m.status.code != StatusSuccess {
		t.Errorf("%+v", m)
	}
	c.told("no route", PrefixWithdrawn{9, prefix("2001:db8:3::/48")})
	c.send(105*sec, 9, msgRelease, asking(7, "2001:db8:3::/48"))
	if m = c.want("Release again", msgReply); m.ia(7).status.code != StatusNoBinding {
		t.Errorf("%+v", m)
	}
	c.d.Tick(c.d.Deadline())
	for !c.d.Deadline().IsZero() {
		c.d.Tick(c.d.Deadline())
	}
	c.told("the other one's time is over", PrefixWithdrawn{6, prefix("2001:db8:4::/48")})
	if len(c.d.bindings) != 0 {
		t.Error("something is left")
	}
}

func TestDelegatorRapidCommit(t *testing.T) {
	c := serve(t, DelegatorConfig{RapidCommit: true})
	c.send(0, 1, msgSolicit, nil)
	c.want("not asked for", msgAdvertise)
	c.send(0, 1, msgSolicit, func(m *dhcpMessage) { m.rapid = true })
	if m := c.want("asked for", msgReply); !m.rapid || len(m.ia(7).prefixes) != 1 {
		t.Errorf("%+v", m)
	}
	c.told("granted", PrefixGranted{1, prefix("2001:db8::/48")})
}

func TestDelegatorIsExhausted(t *testing.T) {
	c := serve(t, DelegatorConfig{Pool: prefix("2001:db8:0:40::/62"), Bits: 64, Preferred: 50 * sec, Valid: 100 * sec})
	seen := map[netip.Prefix]bool{}
	for i := range uint32(4) {
		c.send(0, 1, msgRequest, asking(i))
		m := c.want("Reply", msgReply)
		p := m.ia(i).prefixes[0]
		if seen[p.prefix] || !prefix("2001:db8:0:40::/62").Contains(p.prefix.Addr()) || p.prefix.Bits() != 64 || p.valid != 100 {
			t.Errorf("%+v", p)
		}
		seen[p.prefix] = true
	}
	c.send(0, 1, msgSolicit, asking(4))
	if m := c.want("Advertise", msgAdvertise); m.ia(4).status.code != StatusNoPrefixAvail {
		t.Errorf("%+v", m)
	}
	c.send(100*sec, 1, msgRequest, asking(4))
	if m := c.want("after the others' time", msgReply); len(m.ia(4).prefixes) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestDelegatorInforms(t *testing.T) {
	c := serve(t, DelegatorConfig{DNS: []netip.Addr{addr("2001:db8::53")}})
	c.send(0, 1, msgInform, func(m *dhcpMessage) { m.clientID = nil })
	if m := c.want("Reply", msgReply); len(m.dns) != 1 || m.clientID != nil {
		t.Errorf("%+v", m)
	}
}

func TestDelegatorKeepsSilent(t *testing.T) {
	c := serve(t, DelegatorConfig{})
	for name, send := range map[string]func(){
		"Solicit with a server":    func() { c.send(0, 1, msgSolicit, func(m *dhcpMessage) { m.serverID = ispDUID }) },
		"Solicit without a client": func() { c.send(0, 1, msgSolicit, func(m *dhcpMessage) { m.clientID = nil }) },
		"Rebind with a server":     func() { c.send(0, 1, msgRebind, func(m *dhcpMessage) { m.serverID = ispDUID }) },
		"Request without a server": func() { c.send(0, 1, msgRequest, func(m *dhcpMessage) { m.serverID = nil }) },
		"Request to another":       func() { c.send(0, 1, msgRequest, func(m *dhcpMessage) { m.serverID = ourDUID }) },
		"Inform with an IA":        func() { c.send(0, 1, msgInform, asking(7)) },
		"a Reply":                  func() { c.send(0, 1, msgReply, nil) },
		"unicast": func() {
			m := dhcpMessage{kind: msgSolicit, clientID: ourDUID, prefixes: []iaPD{{iaid: 7}}}
			c.d.Input(start, 1, appendUDP(nil, LinkLocal(ourID), LinkLocal(peerID), 1, clientPort, serverPort, m.append(nil)))
		},
		"from nowhere": func() {
			c.d.Input(start, 1, appendUDP(nil, addr("::"), allDHCP(), 1, clientPort, serverPort, []byte{1, 0, 0, 1}))
		},
		"to a client": func() {
			c.d.Input(start, 1, appendUDP(nil, LinkLocal(ourID), allDHCP(), 1, clientPort, clientPort, nil))
		},
		"half a DUID":  func() { c.send(0, 1, msgSolicit, func(m *dhcpMessage) { m.clientID = []byte{0} }) },
		"not a packet": func() { c.d.Input(start, 1, []byte("hello")) },
	} {
		send()
		none(t, name, packets(c.d.Next, &c.events))
	}
	c.told("and nothing happens")
}

func TestDelegatorConfigs(t *testing.T) {
	for name, cfg := range map[string]DelegatorConfig{
		"no DUID":       {Pool: prefix("2001:db8::/44"), Bits: 48},
		"too many":      {DUID: ispDUID, Pool: prefix("2001:db8::/32"), Bits: 56},
		"too long":      {DUID: ispDUID, Pool: prefix("2001:db8::/56"), Bits: 65},
		"too short":     {DUID: ispDUID, Pool: prefix("2001:db8::/56"), Bits: 48},
		"not global":    {DUID: ispDUID, Pool: prefix("fe80::/56"), Bits: 64},
		"no pool":       {DUID: ispDUID, Bits: 64},
		"IPv4":          {DUID: ispDUID, Pool: prefix("192.0.2.0/24"), Bits: 30},
		"bad lifetimes": {DUID: ispDUID, Pool: prefix("2001:db8::/44"), Bits: 48, Preferred: 2 * sec, Valid: sec},
	} {
		if _, err := NewDelegator(cfg); !errors.Is(err, ErrDelegatorConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := serve(t, DelegatorConfig{Preferred: infinity * sec, Valid: infinity * sec})
	c.send(0, 1, msgRequest, nil)
	if m := c.want("for ever", msgReply); m.ia(7).t1 != infinity || m.ia(7).prefixes[0].valid != infinity || !c.d.Deadline().IsZero() {
		t.Errorf("%+v", m)
	}
	for i := range len(c.d.owners) {
		if j, ok := c.d.index(c.d.prefix(i)); !ok || i != j {
			t.Errorf("prefix %d is number %d", i, j)
		}
	}
}
