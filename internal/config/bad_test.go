package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// uplinks and lines are the other half of a file whose mistake is in one.
const (
	goodUplinks = "uplinks: [{name: isp, interface: eth1}]\n"
	goodLines   = "lines: [{name: a, uplink: isp, tcp: {listen: \":2323\"}}]\n"
)

type badConfig struct {
	name, yaml string
	want       []string
}

// badConfigs are files with mistakes, and what Parse says: line, column, and a
// part of the message.
var badConfigs = []badConfig{
	{"empty file", "", []string{"1:1: empty"}},
	{"only comments", "# nothing\n\n", []string{"1:1: empty"}},
	{"a list", "- a\n", []string{"1:1: want keys and values"}},
	{"a word", "yes\n", []string{"1:1: want keys and values"}},
	{"two documents", goodUplinks + goodLines + "---\nlog: {}\n", []string{"4:1: a second YAML document"}},
	{"both halves missing", "log: {level: info}\n", []string{`1:1: the configuration needs "uplinks"`, `1:1: the configuration needs "lines"`}},
	{"both halves empty", "uplinks: []\nlines: []\n", []string{"1:10: uplinks needs at least one", "2:8: lines needs at least one"}},
	{"not UTF-8", "a: \xff\n", []string{"1:4: not UTF-8"}},
	{"a control character", "a: b\n# \x00\n", []string{"2:3: control character 0x00"}},

	// Syntax.
	{"open bracket", "uplinks: [\n", []string{"1:10: sequence end token ']' not found"}},
	{"open quote", "uplinks: \"x\n", []string{"1:10: could not find end character"}},
	{"tab", "uplinks:\n\t- name: x\n", []string{"2:1: "}},
	{"anchor", "uplinks: &a []\n", []string{"1:10: anchors and aliases are not supported"}},
	{"alias", "uplinks: *a\n", []string{"1:10: anchors and aliases are not supported"}},
	{"tag", "uplinks: !!seq []\n", []string{"1:10: tags are not supported"}},
	{"merge key", "<<: {}\n", []string{"1:1: merge keys are not supported"}},
	{"complex key", "? a\n: b\n", []string{"1:1: complex keys are not supported"}},
	{"directive", "%YAML 1.2\n---\na: 1\n", []string{"1:1: directives are not supported"}},
	{"nesting", "a: " + strings.Repeat("[", 33) + strings.Repeat("]", 33) + "\n", []string{"1:36: nested more than 32 deep"}},

	// Keys.
	{"unknown key", goodUplinks + goodLines + "statedir: /x\n", []string{`3:1: the configuration has no key "statedir"; did you mean "state_dir"?`}},
	{"unknown key far from any", goodUplinks + goodLines + "zebra: 1\n", []string{`3:1: the configuration has no key "zebra"; there are: control, lines, log`}},
	{"a number as key", goodUplinks + goodLines + "7: 1\n", []string{`3:1: the configuration has no key "7"`}},
	{"key twice", goodUplinks + goodLines + goodUplinks, []string{`3:1: "uplinks" is given twice, first in line 1`}},
	{"nested key twice", goodLines + "uplinks:\n  - name: isp\n    name: isp\n    interface: eth1\n", []string{`4:5: "name" is given twice, first in line 3`}},
	{"key without value", goodUplinks + goodLines + "control:\n", []string{`3:1: "control" has no value`}},
	{"null", goodUplinks + goodLines + "control: ~\n", []string{`3:1: "control" has no value`}},
	{"misspelt in a list", goodUplinks + "lines:\n  - name: a\n    uplnk: isp\n    tcp: {listen: \":1\"}\n",
		[]string{"3:5: a group of lines in mode relay needs \"uplink\"", `4:5: a group of lines has no key "uplnk"; did you mean "uplink"?`}},

	// Types.
	{"uplinks as mapping", "uplinks: {name: isp}\n" + goodLines, []string{"1:10: uplinks is a list, not keys and values"}},
	{"uplink as text", "uplinks: [isp]\n" + "lines: [{name: a, uplink: b, tcp: {listen: \":1\"}}]\n",
		[]string{`1:11: an uplink needs keys and values, not "isp"`, `2:27: there is no uplink "b"`}},
	{"number as name", "uplinks: [{name: 7, interface: eth1}]\n" + goodLines, []string{"1:18: name is text: put 7 in quotes", "2:27: there is no uplink"}},
	{"text as number", uplink("padi_rate: fast"), []string{`1:51: padi_rate is a whole number from 1 to 1000000, not "fast"`}},
	{"quoted number", uplink(`padi_rate: "500"`), []string{`1:51: padi_rate is a whole number`}},
	{"octal number", uplink("padi_rate: 0500"), []string{`1:51: padi_rate is a decimal number`}},
	{"hexadecimal number", uplink("padi_rate: 0x10"), []string{`1:51: padi_rate is a decimal number`}},
	{"fraction", uplink("padi_rate: 1.5"), []string{`1:51: padi_rate is a whole number`}},
	{"number beyond all bounds", uplink("padi_rate: 99999999999999999999"), []string{`1:51: padi_rate is a`}},
	{"duration without unit", uplink("offer_wait: 100"), []string{"1:52: offer_wait needs a unit: 100ms, 30s or 5m, not 100"}},
	{"duration of nonsense", uplink("offer_wait: soon"), []string{`1:52: offer_wait is a time such as 100ms, 30s or 5m, not "soon"`}},
	{"duration as list", uplink("offer_wait: [1s]"), []string{`1:52: offer_wait is a time`}},
	{"duration as mapping", uplink("offer_wait: {a: 1}"), []string{`1:52: offer_wait is a time`}},
	{"boolean as text", uplink("service_name: true"), []string{"1:54: service_name is text: put true in quotes"}},
	{"mapping as text", uplink("service_name: {a: b}"), []string{"1:54: service_name is text, not keys and values"}},
	{"discovery as text", uplink("discovery: 30s"), []string{`1:51: discovery needs keys and values, not "30s"`}},

	// Ranges.
	{"rate of nothing", uplink("padi_rate: 0"), []string{"1:51: padi_rate is from 1 to 1000000, not 0"}},
	{"payload too large", uplink("max_payload: 1501"), []string{"1:53: max_payload is from 1492 to 1500, not 1501"}},
	{"offer_wait negative", uplink("offer_wait: -1s"), []string{"1:52: offer_wait is from 0s to 10s, not -1s"}},
	{"echo interval", uplink("echo: {interval: 10ms, failures: 0}"),
		[]string{"1:57: interval is from 1s to 1h, or 0, not 10ms", "1:73: failures is from 1 to 100, not 0"}},
	{"discovery timeout", uplink("discovery: {timeout: 0}"), []string{"1:61: timeout is from 1s to 1h, not 0"}},
	{"three VLANs", uplink("vlans: [1, 2, 3]"), []string{"1:54: vlans has at most two VLANs"}},
	{"VLAN numbers", uplink("vlans: [0, 4095]"), []string{"1:48: a VLAN is from 1 to 4094, not 0", "1:51: a VLAN is from 1 to 4094, not 4095"}},
	{"VLAN alone", uplink("vlans: 100"), []string{"1:47: vlans is a list, not the number 100"}},
	{"long service name", uplink("service_name: " + strings.Repeat("x", 1025)), []string{"1:54: service_name has 1025 octets, at most 1024"}},
	{"service name of two lines", uplink(`service_name: "a\nb"`), []string{"1:54: service_name must be one line"}},

	// Words.
	{"mac mode", uplink("mac: perline"), []string{`1:45: mac is interface or per-line, not "perline"; did you mean "per-line"?`}},
	{"clamp_mss in a word", group("clamp_mss: yes"), []string{`2:67: clamp_mss is true or false`}},
	{"clamp_mss in mode shared", sharedWith("clamp_mss: true"), []string{`clamp_mss is for mode relay`}},
	{"mac pool of none", uplink("mac: {pool: 0}"), []string{"1:52: pool is from 1 to 4096, not 0"}},
	{"mac pool without bound", uplink("mac: {pool: 4097}"), []string{"1:52: pool is from 1 to 4096, not 4097"}},
	{"mac of nothing", uplink("mac: {}"), []string{`1:45: mac needs "pool"`}},
	{"mac of two", uplink("mac: [interface, per-line]"), []string{"1:45: mac is text, not a list"}},
	{"padi_interval without unit", uplink("padi_interval: 1"), []string{"1:55: padi_interval needs a unit"}},
	{"searches below none", uplink("max_discovering: -1"), []string{"1:57: max_discovering is from 0 to 1000000, not -1"}},
	{"open", group("open: first-fame"), []string{`2:62: open is first-frame or connect, not "first-fame"; did you mean "first-frame"?`}},
	{"log", goodUplinks + goodLines + "log: {level: verbose, format: xml}\n",
		[]string{`3:14: level is debug or info or warn or error, not "verbose"`, `3:31: format is text or json, not "xml"`}},

	// Names and references.
	{"name in capitals", "uplinks: [{name: ISP, interface: eth1}]\n" + goodLines, []string{`1:18: name is made of a-z, 0-9`, `2:27: there is no uplink "isp"`}},
	{"name with a slash", goodUplinks + "lines: [{name: a/b, uplink: isp, tcp: {listen: \":2323\"}}]\n", []string{"2:16: name is made of"}},
	{"long name", goodUplinks + "lines: [{name: " + strings.Repeat("a", 33) + ", uplink: isp, tcp: {listen: \":2323\"}}]\n", []string{"2:16: name is made of"}},
	{"uplink twice", "uplinks:\n- {name: isp, interface: eth1}\n- {name: isp, interface: eth2}\n" + goodLines, []string{`3:10: uplink "isp" is there already, in line 2`}},
	{"group twice", goodUplinks + "lines:\n- {name: a, uplink: isp, tcp: {listen: \":1\"}}\n- {name: a, uplink: isp, tcp: {listen: \":2\"}}\n",
		[]string{`4:10: group "a" is there already, in line 3`}},
	{"dangling uplink", goodUplinks + "lines: [{name: a, uplink: ips, tcp: {listen: \":2323\"}}]\n", []string{`2:27: there is no uplink "ips"; did you mean "isp"?`}},
	{"uplink missing", goodUplinks + "lines: [{name: a, tcp: {listen: \":2323\"}}]\n", []string{`2:9: a group of lines in mode relay needs "uplink"`}},
	{"names missing", "uplinks:\n- interface: eth1\nlines:\n- uplink: isp\n  tcp: {listen: \":1\"}\n",
		[]string{`2:3: an uplink needs "name"`, `4:3: a group of lines needs "name"`, `4:11: there is no uplink "isp"`}},
	{"interface too long", "uplinks: [{name: isp, interface: enp0s31f6.100.7x}]\n" + goodLines, []string{"1:34: interface is the name of a network interface"}},
	{"interface with a slash", "uplinks: [{name: isp, interface: ../eth0}]\n" + goodLines, []string{"1:34: interface is the name"}},
	{"interface missing", "uplinks: [{name: isp}]\n" + goodLines, []string{`1:11: an uplink needs "interface"`}},

	// Access concentrators.
	{"AC without anything", uplink("access_concentrators: [{}]"), []string{"1:63: an access concentrator is {name: ...} or {mac: ...}"}},
	{"AC with both", uplink("access_concentrators: [{name: a, mac: 02:00:5e:00:00:01}]"), []string{"1:63: an access concentrator is {name: ...} or {mac: ...}"}},
	{"AC as text", uplink("access_concentrators: [bras1]"), []string{"1:63: an access concentrator needs keys and values"}},
	{"AC of no priority", uplink("access_concentrators: [{name: a, priority: 0}]"), []string{"1:83: priority is from 1 to 1000, not 0"}},
	{"AC of no weight", uplink("access_concentrators: [{name: a, weight: 0}]"), []string{"1:81: weight is from 1 to 1000, not 0"}},
	{"health without end", uplink("health: {max: 0}"), []string{"1:54: max is"}},
	{"health that shrinks", uplink("health: {min: 10s, max: 5s}"), []string{"1:64: max is 5s, and less than min, 10s"}},
	{"health of less than none", uplink("health: {failures: -1}"), []string{"1:59: failures is from 0 to 100, not -1"}},
	{"health in a word", uplink("health: never"), []string{"1:48: health needs keys and values"}},
	{"MAC of five", uplink("access_concentrators: [{mac: 02:00:5e:00:00}]"), []string{"1:69: mac is an Ethernet address"}},
	{"MAC multicast", uplink("access_concentrators: [{mac: 01:00:5e:00:00:01}]"), []string{"1:69: mac is the address of one access concentrator; 01:00:5e:00:00:01"}},
	{"MAC mixed", uplink("access_concentrators: [{mac: 02:00-5e:00-00:01}]"), []string{"1:69: mac is an Ethernet address"}},

	// Templates.
	{"unknown placeholder", uplink(`circuit_id: "{hostname} {lin}"`), []string{`1:64: circuit_id: there is no placeholder "lin"; did you mean "line"?`}},
	{"unknown placeholder, plain", goodLines + "uplinks:\n- name: isp\n  interface: eth1\n  circuit_id: x {user} y\n",
		[]string{`5:17: circuit_id: there is no placeholder "user"`}},
	{"open placeholder", uplink(`remote_id: 'a {remote'`), []string{`1:54: remote_id has a { without its }`}},
	{"empty placeholder", uplink(`remote_id: 'a {}'`), []string{`1:54: remote_id: there is no placeholder ""`}},
	{"template not ASCII", uplink(`remote_id: 'köln'`), []string{`1:53: remote_id is printable ASCII`}},
	{"long template", uplink("remote_id: '" + strings.Repeat("x", 64) + "'"), []string{`1:51: remote_id has 64 octets`}},

	// Where lines come from.
	{"no place", goodUplinks + "lines: [{name: a, uplink: isp}]\n", []string{`2:9: a group of lines needs "tcp", "serial" or "pty"`}},
	{"two places", group("pty: {links: [/run/p]}"), []string{`2:61: a group of lines has one of tcp, serial and pty; pty belongs in a group of its own`}},
	{"listen without port", goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \"127.0.0.1\"}}]\n", []string{"2:46: listen is an IP address and a port"}},
	{"listen on a name", goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \"localhost:1\"}}]\n", []string{"2:46: listen is an IP address and a port"}},
	{"listen on port 65536", goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \":65536\"}}]\n", []string{"2:46: listen is an IP address and a port"}},
	{"listen missing", goodUplinks + "lines: [{name: a, uplink: isp, tcp: {max: 1}}]\n", []string{`2:37: tcp needs "listen"`}},
	{"allow a range with host bits", tcp("allow: [192.0.2.7/24]"), []string{`2:63: allow: 192.0.2.7/24 has bits set behind the prefix; did you mean "192.0.2.0/24"?`}},
	{"allow nonsense", tcp("allow: [here]"), []string{`2:63: allow is a list of prefixes`}},
	{"allow nobody", tcp("allow: []"), []string{`2:62: allow needs at least one prefix`}},
	{"allow one, not a list", tcp("allow: 192.0.2.0/24"), []string{`2:62: allow is a list`}},
	{"max", tcp("max: 0"), []string{`2:60: max is from 1 to 1000000, not 0`}},
	{"same port twice", twoListeners("127.0.0.1:1", "127.0.0.1:1"), []string{"4:40: listen: port 1 of this address is taken in line 3"}},
	{"wildcard over address", twoListeners("127.0.0.1:1", ":1"), []string{"4:40: listen: port 1"}},
	{"IPv4 wildcard over IPv4 address", twoListeners("0.0.0.0:1", "127.0.0.1:1"), []string{"4:40: listen: port 1"}},
	{"IPv6 wildcard over IPv4 address", twoListeners("[::]:1", "127.0.0.1:1"), []string{"4:40: listen: port 1"}},
	{"IPv4-mapped", twoListeners("[::ffff:127.0.0.1]:1", "127.0.0.1:1"), []string{"4:40: listen: port 1"}},
	{"device twice", devices("/dev/ttyS0, /dev/../dev/ttyS0"), []string{`2:63: "/dev/ttyS0" is taken by "/dev/ttyS0" in line 2`}},
	{"device under a pattern", devices("/dev/ttyUSB*, /dev/ttyUSB3"), []string{`2:65: "/dev/ttyUSB3" is taken by "/dev/ttyUSB*" in line 2`}},
	{"relative device", devices("ttyS0"), []string{`2:51: devices has absolute paths`}},
	{"device as text", goodUplinks + "lines: [{name: a, uplink: isp, serial: {devices: /dev/ttyS0}}]\n", []string{`2:50: devices is a list: ["/dev/ttyS0"]`}},
	{"no device", devices(""), []string{`2:50: devices needs at least one path`}},
	{"bad pattern", devices(`"/dev/tty["`), []string{`is no valid pattern`}},
	{"two devices of one name", devices("/dev/a/x, /dev/b/x"), []string{`2:40: /dev/a/x and /dev/b/x would both be line a/x`}},
	{"link twice", goodUplinks + "lines:\n- {name: a, uplink: isp, pty: {links: [/run/p]}}\n- {name: b, uplink: isp, pty: {links: [/run/p]}}\n",
		[]string{`4:40: "/run/p" is taken by "/run/p" in line 3`}},
	{"pty mode in decimal", goodUplinks + "lines: [{name: a, uplink: isp, pty: {links: [/run/p], mode: 660}}]\n", []string{"2:61: mode is in octal: write 0660"}},
	{"pty mode of nonsense", goodUplinks + "lines: [{name: a, uplink: isp, pty: {links: [/run/p], mode: rw}}]\n", []string{"2:61: mode is permissions in octal"}},
	{"pty mode beyond permissions", goodUplinks + "lines: [{name: a, uplink: isp, pty: {links: [/run/p], mode: 04755}}]\n", []string{"2:61: mode is permissions in octal"}},
	{"serial words", goodUplinks + "lines: [{name: a, uplink: isp, serial: {devices: [/dev/ttyS0], speed: 49, flow: hw, carrier: yes}}]\n",
		[]string{"2:71: speed is from 50", "2:81: flow is none or rtscts or xonxoff", "2:94: carrier is watch or ignore"}},
	{"queue", group("queue: {frames: 0, delay: 0}"), []string{"2:72: frames is from 1", "2:82: delay is from 1ms"}},

	// What a later version has.
	{"http", goodUplinks + goodLines + "control: {http: \"127.0.0.1:8080\", token_file: /etc/t}\n",
		[]string{"3:17: http: this version has no dashboard", "3:47: token_file: this version has no API"}},

	// The rest.
	{"no socket", goodUplinks + goodLines + "control: {socket: \"\"}\n", []string{"3:19: socket is a path"}},
	{"long socket", goodUplinks + goodLines + "control: {socket: /" + strings.Repeat("x", 103) + "}\n", []string{"3:19: socket has 104 octets, at most 103"}},
	{"no state", goodUplinks + goodLines + "state_dir: \"\"\n", []string{"3:12: state_dir is a directory"}},
}

func uplink(key string) string {
	return "uplinks: [{name: isp, interface: eth1, " + key + "}]\n" + goodLines
}

func group(key string) string {
	return goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \":2323\"}, " + key + "}]\n"
}

func tcp(key string) string {
	return goodUplinks + "lines: [{name: a, uplink: isp, tcp: {listen: \":2323\", " + key + "}}]\n"
}

func devices(list string) string {
	return goodUplinks + "lines: [{name: a, uplink: isp, serial: {devices: [" + list + "]}}]\n"
}

func twoListeners(a, b string) string {
	return goodUplinks + fmt.Sprintf("lines:\n- {name: a, uplink: isp, tcp: {listen: %q}}\n- {name: b, uplink: isp, tcp: {listen: %q}}\n", a, b)
}

func TestBadConfigurations(t *testing.T) {
	for _, tt := range slices.Concat(badConfigs, badRelay, badShared) {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(tt.yaml))
			if err == nil {
				t.Fatalf("accepted:\n%s", tt.yaml)
			}
			got := strings.Split(err.Error(), "\n")
			ok := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.Contains(got[i], tt.want[i])
			}
			if !ok {
				t.Errorf("of\n%s\ngot\n  %s\nwant\n  t.yaml:%s", tt.yaml, strings.Join(got, "\n  "), strings.Join(tt.want, "\n  t.yaml:"))
			}
		})
	}
}

// Ports that differ, families that do not meet, and port 0 are in nobody's way.
func TestListenersThatDoNotMeet(t *testing.T) {
	for _, pair := range [][2]string{
		{"127.0.0.1:1", "127.0.0.1:2"},
		{"127.0.0.1:1", "127.0.0.2:1"},
		{"0.0.0.0:1", "[::1]:1"},
		{"127.0.0.1:0", "127.0.0.1:0"},
	} {
		if _, err := Parse("t.yaml", []byte(twoListeners(pair[0], pair[1]))); err != nil {
			t.Errorf("%s and %s: %v", pair[0], pair[1], err)
		}
	}
}
