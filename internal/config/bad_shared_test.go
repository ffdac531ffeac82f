package config

import "strings"

// The parts of a good configuration with mode shared, to put a mistake into one
// of them. Each is one line: lines 2, 3 and 4 of the file, behind goodUplinks.
const (
	goodSessions = "sessions: [{name: office, uplink: isp}]\n"
	goodPools    = "pools: [{name: customers, prefix: 198.51.100.0/24}]\n"
	goodShared   = "lines: [{name: a, mode: shared, session: office, pool: customers, tcp: {listen: \":1\"}, auth: []}]\n"
)

func aSession(keys string) string {
	return goodUplinks + "sessions: [{name: office, uplink: isp, " + keys + "}]\n" + goodPools + goodShared
}

func aPool(keys string) string {
	return goodUplinks + goodSessions + "pools: [{name: customers, " + keys + "}]\n" + goodShared
}

// shared is a group with its name, place and pool, and the keys.
func shared(keys string) string {
	return goodUplinks + goodSessions + goodPools + "lines: [{name: a, tcp: {listen: \":1\"}, mode: shared, pool: customers, " + keys + "}]\n"
}

// sharedWith is a group that is right but for one key.
func sharedWith(key string) string { return shared("session: office, auth: [], " + key) }

// v6 is everything that has to do with IPv6.
func v6(session, pool, group string) string {
	return goodUplinks + "sessions: [{name: office, uplink: isp, " + session + "}]\n" +
		"pools: [{name: customers, prefix: 198.51.100.0/24, " + pool + "}]\n" +
		"lines: [{name: a, tcp: {listen: \":1\"}, mode: shared, pool: customers, session: office, auth: [], " + group + "}]\n"
}

// twoPools is a pool a and a pool b, in lines 3 and 4.
func twoPools(a, b string) string {
	return goodUplinks + "pools:\n- {name: a, " + a + "}\n- {name: b, " + b + "}\n" + goodLines
}

// twoGroups is a group a and a group b that share a pool, in lines 5 and 6.
func twoGroups(a, b string) string {
	const group = ", tcp: {listen: \":0\"}, mode: shared, session: office, auth: [], pool: customers"
	return goodUplinks + goodSessions + goodPools + "lines:\n- {name: a" + group + a + "}\n- {name: b" + group + b + "}\n"
}

// badShared is badConfigs of mode shared, and what it needs.
var badShared = []badConfig{
	// A group of lines.
	{"shared without anything", goodUplinks + "lines:\n- {name: a, tcp: {listen: \":1\"}, mode: shared}\n",
		[]string{`3:3: a group of lines in mode shared needs "session"`, `3:3: a group of lines in mode shared needs "pool"`, `3:3: a group of lines in mode shared needs "users", or auth: []`}},
	{"shared without a place", goodUplinks + goodSessions + goodPools + "lines: [{name: a, mode: shared, session: office, pool: customers, auth: []}]\n",
		[]string{`4:9: a group of lines needs "tcp", "serial" or "pty"`}},
	{"a group called as sessions' lines are", goodUplinks + "lines: [{name: session, uplink: isp, tcp: {listen: \":1\"}}]\n",
		[]string{`2:16: a group of lines cannot be called "session"`}},
	{"keys of relay in shared", shared("session: office, auth: [], uplink: isp, open: connect, first_frame_timeout: 5s"),
		[]string{"4:106: uplink is for mode relay, and this group of lines has mode shared", "4:117: open is for mode relay", "4:147: first_frame_timeout is for mode relay"}},
	{"keys of shared in relay", group("auth: [pap], mtu: 576"),
		[]string{"2:62: auth is for mode shared, and this group of lines has mode relay", "2:74: mtu is for mode shared"}},
	{"the mode misspelt is one mistake", goodUplinks + goodSessions + goodPools + "lines: [{name: a, mode: sharde, session: office, pool: customers, tcp: {listen: \":1\"}, auth: []}]\n",
		[]string{`4:25: mode is relay or shared, not "sharde"; did you mean "shared"?`}},
	{"session and sessions", shared("session: office, sessions: [office], auth: []"),
		[]string{"4:98: a group of lines has session, or sessions for several, not both", `4:99: sessions has "office" twice`}},
	{"no sessions", shared("sessions: [], auth: []"), []string{"4:81: sessions needs at least one session"}},
	{"sessions not a list", shared("sessions: office, auth: []"), []string{`4:81: sessions is a list, not "office"`}},
	{"session as a list", shared("session: [office], auth: []"), []string{"4:80: session is one session; several are sessions: [...]"}},
	{"session in capitals", shared("session: Office, auth: []"), []string{"4:80: session is made of a-z"}},
	{"dangling session", shared("session: ofice, auth: []"), []string{`4:80: there is no session "ofice"; did you mean "office"?`}},
	{"dangling session in a list", shared("sessions: [office, backup], auth: []"), []string{`4:90: there is no session "backup"; there are: office`}},
	{"dangling pool", goodUplinks + goodSessions + goodShared, []string{`3:56: there is no pool "customers"`}},
	{"users missing, ways given", shared("session: office, auth: [pap]"), []string{`4:94: a group of lines in mode shared needs "users", or auth: []`}},
	{"users for nothing", shared("session: office, auth: [], users: /etc/u"), []string{"4:105: users are for nothing with auth: []"}},
	{"relative users", shared("session: office, users: users.yaml"), []string{`4:95: users is the absolute path of a file, not "users.yaml"`}},
	{"users is a directory", shared("session: office, users: /etc/"), []string{`4:95: users is the absolute path`}},
	{"way misspelt", shared("session: office, users: /etc/u, auth: [ms-chap2]"), []string{`4:110: auth is chap-md5 or ms-chapv2 or pap, not "ms-chap2"; did you mean "ms-chapv2"?`}},
	{"way twice", shared("session: office, users: /etc/u, auth: [pap, pap]"), []string{"4:115: auth has pap twice"}},
	{"auth is no word", shared("session: office, users: /etc/u, auth: pap"), []string{`4:109: auth is a list, not "pap"`}},
	{"user to user", sharedWith("user_to_user: drop"), []string{`4:112: user_to_user is isp or local or none, not "drop"`}},
	{"session loss", sharedWith("on_session_loss: mvoe"), []string{`4:115: on_session_loss is hangup or move, not "mvoe"; did you mean "move"?`}},
	{"DNS nonsense", sharedWith("dns: [ns.isp.example, \"fe80::1%eth0\", \"::ffff:192.0.2.1\", 7]"),
		[]string{`4:104: dns is a list of addresses`, `4:120: dns is a list`, `4:136: dns is a list`, "4:156: dns is text"}},
	{"DNS special", sharedWith("dns: [127.0.0.53, 224.0.0.251, \"ff02::fb\"]"),
		[]string{"4:104: dns: 127.0.0.53 is a loopback address", "4:116: dns: 224.0.0.251 is multicast", "4:129: dns: ff02::fb is no global unicast address"}},
	{"DNS twice", sharedWith("dns: [192.0.2.1, 192.0.2.1]"), []string{"4:115: dns has 192.0.2.1 twice"}},
	{"when busy", sharedWith("when_busy: wait"), []string{`4:109: when_busy is refuse or replace, not "wait"`, "4:109: when_busy is about users"}},
	{"busy nobodies", sharedWith("when_busy: replace"), []string{"4:109: when_busy is about users"}},
	{"three DNS servers", sharedWith("dns: [192.0.2.1, 192.0.2.2, 192.0.2.3]"), []string{"4:126: dns has at most 2 servers of each kind"}},
	{"DNS over IPv6 without IPv6", sharedWith("dns: [\"2001:db8::1\"]"), []string{"4:103: dns: users hear of 2001:db8::1 only with ipv6: true"}},
	{"MTU too small", sharedWith("mtu: 575"), []string{"4:103: mtu is from 576 to 1500, not 575"}},
	{"MTU of nothing", sharedWith("mtu: 0"), []string{"4:103: mtu is from 576 to 1500, not 0"}},
	{"timeouts", sharedWith("login_timeout: 10ms, idle_timeout: 60, session_timeout: 10000h"),
		[]string{"4:113: login_timeout is from 1s to 744h, or 0, not 10ms", "4:133: idle_timeout needs a unit", "4:154: session_timeout is from 1s"}},
	{"user echo", sharedWith("user_echo: {interval: 1ms, failures: 0, retries: 3}"),
		[]string{"4:120: interval is from 1s to 1h, or 0", "4:135: failures is from 1 to 100", `4:138: user_echo has no key "retries"`}},
	{"ipv6 as a word", sharedWith("ipv6: yes"), []string{`4:104: ipv6 is true or false, not "yes"`}},
	{"two groups disagree", twoGroups(", user_to_user: local", ", user_to_user: none"),
		[]string{`6:106: user_to_user is none here, but local in group "a", with which this one shares pool "customers"`}},
	{"two groups disagree, one by default", twoGroups(", user_to_user: local", ""), []string{`6:81: user_to_user is isp here, but local in group "a"`}},

	// Sessions.
	{"sessions at the top not a list", goodUplinks + "sessions: {name: office}\n" + goodLines, []string{"2:11: sessions is a list"}},
	{"session without anything", goodUplinks + "sessions:\n- {}\n" + goodLines, []string{`3:3: a session needs "name"`, `3:3: a session needs "uplink"`}},
	{"session as text", goodUplinks + "sessions: [office]\n" + goodLines, []string{`2:12: a session needs keys and values, not "office"`}},
	{"session twice", goodUplinks + "sessions:\n- {name: office, uplink: isp}\n- {name: office, uplink: isp}\n" + goodLines,
		[]string{`4:10: session "office" is there already, in line 3`}},
	{"session on no uplink", goodUplinks + "sessions: [{name: office, uplink: ips}]\n" + goodLines, []string{`2:35: there is no uplink "ips"; did you mean "isp"?`}},
	{"password in the file", aSession("user: a, password: secret"), []string{`2:46: user needs "password_file"`, `2:49: a session has no key "password"`}},
	{"user without a password", aSession("user: a"), []string{`2:46: user needs "password_file"`}},
	{"password without a user", aSession("password_file: /etc/p"), []string{`2:55: password_file needs "user"`}},
	{"relative password file", aSession("user: a, password_file: p"), []string{`2:64: password_file is the absolute path`}},
	{"user of nothing", aSession("user: \"\", password_file: /etc/p"), []string{"2:46: user is the name"}},
	{"long user", aSession("user: " + strings.Repeat("x", 256) + ", password_file: /etc/p"), []string{"2:46: user has 256 octets, at most 255"}},
	{"proof of nothing", aSession("user: a, password_file: /etc/p, auth: []"), []string{"2:78: auth: [] proves nothing"}},
	{"proof without a user", aSession("auth: [pap]"), []string{`2:46: auth needs "user" and "password_file"`}},
	{"max_users", aSession("max_users: -1"), []string{"2:51: max_users is from 0"}},
	{"ports without NAT", aSession("nat_ports: {block: 512}"), []string{"2:51: nat_ports is for a session with nat: true"}},
	{"ports out of range", aSession("nat: true, nat_ports: {block: 15, blocks: 0}"), []string{"2:70: block is from 16 to 8192, not 15", "2:82: blocks is from 1 to 256, not 0"}},
	{"block of any size", aSession("nat: true, nat_ports: {block: 500}"), []string{"2:70: block is a power of two, such as 512, not 500"}},
	{"more ports than there are", aSession("nat: true, nat_ports: {block: 8192, blocks: 8}"), []string{"2:62: nat_ports: 8 blocks of 8192 ports are more than the 64512"}},
	{"more users than blocks", aSession("nat: true, max_users: 127"), []string{"2:62: max_users is 127, but one address has blocks of 512 ports for 126 users only"}},
	{"nat as number", aSession("nat: 1"), []string{"2:45: nat is true or false, not the number 1"}},
	{"session MTU", aSession("mtu: 68"), []string{"2:45: mtu is from 576 to 1500, not 68"}},
	{"session MTU beyond the uplink", aSession("mtu: 1500"), []string{`2:45: mtu is 1500, but uplink "isp" has max_payload: 1492`}},
	{"redial backwards", aSession("redial: {min: 1m, max: 1s}"), []string{"2:48: redial: max is 1s, which is less than min, 1m"}},
	{"redial beyond the default", aSession("redial: {min: 5m}"), []string{"2:48: redial: max is 1m, which is less than min, 5m"}},
	{"redial without a pause", aSession("redial: {min: 0}"), []string{"2:54: min is from 100ms to 1h, not 0"}},

	// Pools.
	{"pools as mapping", goodUplinks + "pools: {a: 198.51.100.0/24}\n" + goodLines, []string{"2:8: pools is a list"}},
	{"pool without anything", goodUplinks + "pools:\n- {}\n" + goodLines, []string{`3:3: a pool needs "name"`, `3:3: a pool needs "prefix"`}},
	{"two pools of one name", goodUplinks + "pools:\n- {name: a, prefix: 10.0.0.0/24}\n- {name: a, prefix: 10.0.1.0/24}\n" + goodLines,
		[]string{`4:10: pool "a" is there already, in line 3`}},
	{"pool as text", goodUplinks + "pools: [customers]\n" + goodLines, []string{`2:9: a pool needs keys and values, not "customers"`}},
	{"pool of numbers", aPool("prefix: 7, exclude: 7, gateway: 7, prefix6: 7"),
		[]string{"3:35: prefix is text", "3:47: exclude is a list", "3:59: gateway is text", "3:71: prefix6 is text"}},
	{"pool of nonsense", aPool("prefix: many"), []string{`3:35: prefix is a range of IPv4 addresses such as 198.51.100.0/24, not "many"`}},
	{"pool of an address", aPool("prefix: 198.51.100.1"), []string{"3:35: prefix is a range"}},
	{"pool with host bits", aPool("prefix: 198.51.100.1/24"), []string{`3:35: prefix: 198.51.100.1/24 has bits set behind the prefix; did you mean "198.51.100.0/24"?`}},
	{"pool of IPv6", aPool("prefix: \"2001:db8::/64\""), []string{"3:35: prefix is a range of IPv4 addresses"}},
	{"pool too large", aPool("prefix: 10.0.0.0/15"), []string{"3:35: prefix: 10.0.0.0/15 is too large: a pool has at most 65536 addresses, which is a /16"}},
	{"pool of everything", aPool("prefix: 0.0.0.0/0"), []string{"3:35: prefix: 0.0.0.0/0 is too large"}},
	{"pool of loopback", aPool("prefix: 127.0.0.0/24"), []string{"3:35: prefix: 127.0.0.0/24 is a loopback address"}},
	{"pool of multicast", aPool("prefix: 239.0.0.0/24"), []string{"3:35: prefix: 239.0.0.0/24 is multicast"}},
	{"pools overlap", twoPools("prefix: 198.51.100.0/24", "prefix: 198.51.100.128/25"), []string{`4:21: 198.51.100.128/25 overlaps 198.51.100.0/24 of pool "a" in line 3`}},
	{"pools overlap the other way", twoPools("prefix: 198.51.100.128/25", "prefix: 198.51.100.0/24"), []string{"4:21: 198.51.100.0/24 overlaps 198.51.100.128/25"}},
	{"exclude outside", aPool("prefix: 198.51.100.0/25, exclude: [198.51.100.1, 198.51.100.120-198.51.100.130]"),
		[]string{"3:76: exclude: 198.51.100.120-198.51.100.130 is not inside the prefix, 198.51.100.0/25"}},
	{"exclude backwards", aPool("prefix: 198.51.100.0/24, exclude: [198.51.100.9-198.51.100.1]"),
		[]string{`3:62: exclude: 198.51.100.9 is behind 198.51.100.1; did you mean "198.51.100.1-198.51.100.9"?`}},
	{"exclude nonsense", aPool("prefix: 198.51.100.0/24, exclude: [198.51.100.9-, 198.51.100.0/28, 1]"),
		[]string{"3:62: exclude is a list of IPv4 addresses and ranges", "3:77: exclude is a list", "3:94: exclude is text"}},
	{"exclude everything", aPool("prefix: 198.51.100.0/30, exclude: [198.51.100.1-198.51.100.2]"), []string{`3:61: pool "customers" has no address for any user`}},
	{"exclude the only one", aPool("prefix: 198.51.100.7/32, exclude: [198.51.100.7]"), []string{`3:61: pool "customers" has no address`}},
	{"gateway among users", aPool("prefix: 198.51.100.0/24, gateway: 198.51.100.1"), []string{"3:61: gateway: 198.51.100.1 is an address for users until exclude has it"}},
	{"gateway among others' users", twoPools("prefix: 198.51.100.0/24, gateway: 10.0.0.1", "prefix: 10.0.0.0/24"),
		[]string{`3:47: gateway: 10.0.0.1 is an address for users of pool "b" until its exclude has it`}},
	{"gateway among users of one before", twoPools("prefix: 10.0.0.0/24", "prefix: 198.51.100.0/24, gateway: 10.0.0.1"),
		[]string{`4:47: gateway: 10.0.0.1 is an address for users of pool "a"`}},
	{"gateway nonsense", aPool("prefix: 198.51.100.0/24, gateway: office"), []string{"3:61: gateway is an IPv4 address"}},
	{"gateway of loopback", aPool("prefix: 198.51.100.0/24, gateway: 127.0.0.1"), []string{"3:61: gateway: 127.0.0.1 is a loopback address"}},

	// IPv6.
	{"IPv6 without addresses", v6("ipv6: true", "exclude: []", "ipv6: true"), []string{`4:104: ipv6: pool "customers" of these lines has neither prefix6 nor delegated_by`}},
	{"IPv6 without the session's", v6("nat: false", "prefix6: 2001:db8::/48", "ipv6: true"), []string{`4:104: ipv6: session "office" of these lines needs ipv6: true as well`}},
	{"prefix6 behind NAT", v6("nat: true, ipv6: true", "prefix6: 2001:db8::/48", "ipv6: true"), []string{`3:61: prefix6: session "office" with nat: true gets its IPv6 prefix from the ISP: use delegated_by`}},
	{"prefix6 and delegated_by", v6("ipv6: true", "prefix6: 2001:db8::/48, delegated_by: office", "ipv6: true"),
		[]string{"3:90: a pool has prefix6, or delegated_by for one that the ISP gives, not both"}},
	{"delegated by nobody", v6("ipv6: true", "delegated_by: ofice", "ipv6: true"), []string{`3:66: there is no session "ofice"; did you mean "office"?`}},
	{"delegated without IPv6", v6("nat: true", "delegated_by: office", "mtu: 1500"), []string{`3:66: delegated_by: session "office" needs ipv6: true for that`}},
	{"delegated twice", goodUplinks + "sessions: [{name: o, uplink: isp, ipv6: true}]\npools:\n- {name: a, prefix: 10.0.0.0/24, delegated_by: o}\n- {name: b, prefix: 10.0.1.0/24, delegated_by: o}\n" + goodLines,
		[]string{`5:48: what session "o" is delegated is for pool "a" in line 4`}},
	{"prefix6 too large", v6("ipv6: true", "prefix6: 2001:db8::/47", "ipv6: true"), []string{"3:61: prefix6: 2001:db8::/47 is too large"}},
	{"prefix6 too small", v6("ipv6: true", "prefix6: 2001:db8::/65", "ipv6: true"), []string{"3:61: prefix6: 2001:db8::/65 is too small: each user has a /64"}},
	{"prefix6 of IPv4", v6("ipv6: true", "prefix6: 10.0.0.0/24", "ipv6: true"), []string{"3:61: prefix6 is a range of IPv6 addresses"}},
	{"prefix6 link-local", v6("ipv6: true", "prefix6: fe80::/64", "ipv6: true"), []string{"3:61: prefix6: fe80::/64 is no global unicast address"}},
	{"prefix6 nonsense", v6("ipv6: true", "prefix6: isp", "ipv6: true"), []string{"3:61: prefix6 is a range of IPv6 addresses"}},
	{"prefix6 overlap", twoPools("prefix: 10.0.0.0/24, prefix6: 2001:db8::/48", "prefix: 10.0.1.0/24, prefix6: 2001:db8:0:7::/64"),
		[]string{`4:43: 2001:db8:0:7::/64 overlaps 2001:db8::/48 of pool "a" in line 3`}},
	{"IPv6 in small packets", v6("ipv6: true, mtu: 1279", "prefix6: 2001:db8::/48", "ipv6: true, mtu: 1279"),
		[]string{"2:57: mtu is at least 1280 with ipv6: true", "4:115: mtu is at least 1280 with ipv6: true"}},
}
