package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func addrs(first, last string) AddrRange {
	return AddrRange{netip.MustParseAddr(first), netip.MustParseAddr(last)}
}

func TestSharedDefaults(t *testing.T) {
	got, err := Parse("t.yaml", []byte(`
uplinks: [{name: isp, interface: eth1}]
sessions: [{name: office, uplink: isp, user: a, password_file: /etc/p, mtu: 0, max_users: 0}]
pools: [{name: customers, prefix: 198.51.100.0/24, exclude: [198.51.100.250-198.51.100.254, 198.51.100.1]}]
lines:
  - {name: bank, mode: shared, session: office, pool: customers, users: /etc/u, serial: {devices: [/dev/ttyS0]}}
  - {name: cable, mode: shared, session: office, pool: customers, auth: [], serial: {devices: [/dev/ttyS1], carrier: ignore}}
`))
	if err != nil {
		t.Fatal(err)
	}
	session := NewSession("office", "isp")
	session.User, session.PasswordFile, session.Auth = "a", "/etc/p", allAuth()
	pool := NewPool("customers", netip.MustParsePrefix("198.51.100.0/24"))
	pool.Exclude = []AddrRange{addrs("198.51.100.250", "198.51.100.254"), addrs("198.51.100.1", "198.51.100.1")}
	pool.Gateway = netip.MustParseAddr("198.51.100.250") // the first that is excluded, as the file has them
	bank := NewLines("bank", "")
	bank.Mode, bank.Open, bank.OnSessionLoss, bank.Serial = ModeShared, "", "", NewSerial("/dev/ttyS0")
	bank.Shared = NewShared("customers", "/etc/u", "office")
	cable := NewLines("cable", "")
	cable.Mode, cable.Open, cable.OnSessionLoss, cable.Serial = ModeShared, "", "", NewSerial("/dev/ttyS1")
	cable.Serial.Carrier = false
	cable.Shared = NewShared("customers", "", "office")
	cable.Shared.LoginTimeout = 0 // it is always up, and may wait for its user
	want := Default()
	want.Uplinks = []Uplink{NewUplink("isp", "eth1")}
	want.Sessions, want.Pools, want.Lines = []Session{session}, []Pool{pool}, []Lines{bank, cable}
	if d := diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// What is allowed and probably not meant is said with its place, and refuses
// nothing.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string
	}{
		{"nothing", goodUplinks + goodSessions + goodPools + goodShared, nil},
		{"a session for nobody", goodUplinks + goodSessions + goodLines, []string{`2:19: no group of lines uses session "office"`}},
		{"nowhere to move to", sharedWith("on_session_loss: move"), []string{"4:115: on_session_loss: there is no other session to move to"}},
		{"DNS servers that are left behind", strings.Replace(goodUplinks, "}]", "}, {name: other, interface: eth2}]", 1) +
			"sessions: [{name: a, uplink: isp}, {name: b, uplink: other}]\n" + goodPools +
			"lines: [{name: l, tcp: {listen: \":1\"}, mode: shared, pool: customers, sessions: [a, b], auth: [], on_session_loss: move}]\n",
			[]string{`on_session_loss: users who move from session "a" to "b" keep the DNS servers of its ISP`}},
		{"or are anybody's", strings.Replace(goodUplinks, "}]", "}, {name: other, interface: eth2}]", 1) +
			"sessions: [{name: a, uplink: isp}, {name: b, uplink: other}]\n" + goodPools +
			"lines: [{name: l, tcp: {listen: \":1\"}, mode: shared, pool: customers, sessions: [a, b], auth: [], on_session_loss: move, dns: [192.0.2.53]}]\n", nil},
		{"more addresses than ports", goodUplinks + "sessions: [{name: office, uplink: isp, nat: true}]\n" + goodPools + goodShared,
			[]string{`pool "customers" has addresses for 254 users, but with nat: true there are ports for 126 at once (nat_ports.block)`}},
		{"which is meant", goodUplinks + "sessions: [{name: office, uplink: isp, nat: true, max_users: 126}]\n" + goodPools + goodShared, nil},
		{"smaller blocks", goodUplinks + "sessions: [{name: office, uplink: isp, nat: true, nat_ports: {block: 128}}]\n" + goodPools + goodShared, nil},
		{"IPv6 for nobody", v6("ipv6: true", "delegated_by: office", "ipv6: false"), []string{`3:66: pool "customers" has an IPv6 prefix, but no group of lines has ipv6: true`}},
		{"another session's prefix", goodUplinks + "sessions: [{name: a, uplink: isp, ipv6: true}, {name: b, uplink: isp, ipv6: true}]\n" +
			"pools: [{name: p, prefix: 198.51.100.0/24, delegated_by: a}]\n" +
			"lines: [{name: l, tcp: {listen: \":1\"}, mode: shared, pool: p, sessions: [a, b], auth: [], ipv6: true}]\n",
			[]string{`4:97: ipv6: the ISP of session "b" may drop what comes from the prefix that session "a" is delegated`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := Parse("t.yaml", []byte(tt.yaml))
			if err != nil {
				t.Fatal(err)
			}
			ok := len(cfg.Warnings) == len(tt.want)
			for i := range min(len(cfg.Warnings), len(tt.want)) {
				ok = ok && strings.Contains(cfg.Warnings[i].Error(), tt.want[i])
			}
			if !ok {
				t.Errorf("of\n%s\ngot  %v\nwant %q", tt.yaml, cfg.Warnings, tt.want)
			}
		})
	}
}

// A session whose MTU is its uplink's max_payload, behind NAT with delegated
// IPv6, and a gateway outside of the prefix: all that has to be possible.
func TestHobbyist(t *testing.T) {
	_, err := Parse("t.yaml", []byte(`
uplinks: [{name: isp, interface: eth1, max_payload: 1500}]
sessions: [{name: dsl, uplink: isp, nat: true, max_users: 126, mtu: 1500, ipv6: true}]
pools: [{name: modems, prefix: 10.0.0.0/24, gateway: 10.0.1.1, delegated_by: dsl}]
lines: [{name: bank, mode: shared, session: dsl, pool: modems, auth: [], ipv6: true, dns: ["2001:db8::53"], pty: {links: [/run/a]}}]
`))
	if err != nil {
		t.Error(err)
	}
}

func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		prefix  string
		exclude []AddrRange
		want    int
	}{
		{"198.51.100.0/24", nil, 254},
		{"198.51.0.0/16", nil, 65534},
		{"198.51.100.0/31", nil, 2},
		{"198.51.100.7/32", nil, 1},
		{"198.51.100.0/30", []AddrRange{addrs("198.51.100.1", "198.51.100.1")}, 1},
		{"198.51.100.0/24", []AddrRange{addrs("198.51.100.0", "198.51.100.9"), addrs("198.51.100.5", "198.51.100.19")}, 235},
		{"198.51.100.0/24", []AddrRange{addrs("10.0.0.0", "203.0.113.0")}, 0},
		{"198.51.100.0/24", []AddrRange{addrs("10.0.0.0", "10.0.0.255"), {}}, 254},
		{"10.0.0.0/8", nil, 0},
		{"2001:db8::/64", nil, 0},
	} {
		p := NewPool("p", netip.MustParsePrefix(tt.prefix))
		p.Exclude = tt.exclude
		if got := p.Room(); got != tt.want {
			t.Errorf("%s without %v has room for %d users, want %d", tt.prefix, tt.exclude, got, tt.want)
		}
	}
	if p := (NATPorts{}); p.Users() != 0 {
		t.Error("no ports are enough for somebody")
	}
}

// A file of many small things must not take long.
func TestManyPools(t *testing.T) {
	var b strings.Builder
	b.WriteString(minimal + "pools:\n")
	for i := range 2000 {
		b.WriteString("- {name: p" + time.Duration(i).String() + ", prefix: 10.0.0.0/16}\n")
	}
	if _, err := Parse("t.yaml", []byte(b.String())); err == nil {
		t.Error("pools that overlap are accepted")
	}
}

// checkShared holds an accepted configuration to what the rest of the program
// takes for granted.
func checkShared(t *testing.T, cfg *Config) {
	t.Helper()
	isSession := func(name string) bool {
		return slices.ContainsFunc(cfg.Sessions, func(s Session) bool { return s.Name == name })
	}
	isPool := func(name string) bool {
		return slices.ContainsFunc(cfg.Pools, func(p Pool) bool { return p.Name == name })
	}
	for i := range cfg.Sessions {
		s := &cfg.Sessions[i]
		if !slices.ContainsFunc(cfg.Uplinks, func(u Uplink) bool { return u.Name == s.Uplink && s.MTU <= u.MaxPayload }) ||
			(s.User == "") != (s.PasswordFile == "") || (s.User == "") != (len(s.Auth) == 0) || s.Redial.Min > s.Redial.Max ||
			s.NATPorts.Block*s.NATPorts.Blocks > natPorts || s.NATPorts.Users() < 1 {
			t.Errorf("accepted session %+v", s)
		}
	}
	for i := range cfg.Pools {
		p := &cfg.Pools[i]
		if p.Room() == 0 || p.Prefix.Contains(p.Gateway) && !p.Excludes(p.Gateway) || p.Prefix6.IsValid() && p.DelegatedBy != "" ||
			p.DelegatedBy != "" && !isSession(p.DelegatedBy) {
			t.Errorf("accepted pool %+v", p)
		}
		for _, other := range cfg.Pools[:i] {
			if p.Prefix.Overlaps(other.Prefix) {
				t.Errorf("accepted pools %+v and %+v", p, other)
			}
		}
	}
	for i := range cfg.Lines {
		s := cfg.Lines[i].Shared
		if s == nil {
			continue
		}
		if len(s.Sessions) == 0 || !isPool(s.Pool) || (s.Users == "") != (len(s.Auth) == 0) || s.MTU < 576 ||
			slices.ContainsFunc(s.Sessions, func(name string) bool { return !isSession(name) }) {
			t.Errorf("accepted %+v", s)
		}
	}
}
