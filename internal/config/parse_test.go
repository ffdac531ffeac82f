package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/pppoe"
)

// minimal is the shortest configuration there is, and where its defaults go.
const minimal = `
uplinks: [{name: isp, interface: eth1}]
lines: [{name: virtual, uplink: isp, tcp: {listen: ":2323"}}]
`

func diff(want, got *Config) string {
	return cmp.Diff(want, got,
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
}

func TestDefaults(t *testing.T) {
	got, err := Parse("t.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	group := NewLines("virtual", "isp")
	group.TCP = NewTCP(":2323")
	group.FirstFrameTimeout = time.Minute
	want := Default()
	want.Uplinks = []Uplink{NewUplink("isp", "eth1")}
	want.Lines = []Lines{group}
	if d := diff(want, got); d != "" {
		t.Errorf("the shortest file is the defaults, and nothing else (-want +got):\n%s", d)
	}
}

func TestEveryKey(t *testing.T) {
	got, err := Load(filepath.Join("testdata", "every-key.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Uplinks: []Uplink{{
			Name: "isp", Interface: "eth1", VLANs: []uint16{100, 7}, ServiceName: "gold",
			AccessConcentrators: []AC{{Name: "bras1", Priority: 5, Weight: 3}, {MAC: pppoe.MAC{2, 0, 0x5e, 0, 0, 1}, Priority: 5, Weight: 1}, {Name: "bras3", Priority: 3, Weight: 1}},
			Health:              Health{Failures: 2, Min: 10 * time.Second, Max: time.Minute},
			OfferWait:           250 * time.Millisecond, MAC: MACPooled, MACPool: 16, PADIRate: 20,
			PADIInterval: 200 * time.Millisecond, MaxDiscovering: 50, MaxPayload: 1500,
			CircuitID: "{hostname}/{kind}", RemoteID: "",
			Discovery: Discovery{Timeout: 45 * time.Second},
			Echo:      Echo{Interval: 0, Failures: 2},
		}},
		Lines: []Lines{{
			Name: "virtual", Mode: ModeRelay, Uplink: "isp", Open: OpenConnect, FirstFrameTimeout: 90 * time.Second,
			OnSessionLoss: LossRedial, Redial: RelayRedial{Min: 2 * time.Second, Max: time.Minute, Timeout: 10 * time.Minute}, ClampMSS: true,
			ServiceName: "silver", ServicesByRealm: map[string]string{"gold.example": "gold", "isp.example": ""}, AccessSpeed: Speed{33600, 56000},
			TCP: &TCP{
				Listen: "[::1]:2323", Max: 100, KeepAlive: 0,
				Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
			},
			Queue: Queue{Frames: 32, Delay: 200 * time.Millisecond},
		}, {
			Name: "bank", Mode: ModeRelay, Uplink: "isp", Open: OpenFirstFrame, OnSessionLoss: LossHangup,
			Serial: &Serial{Devices: []string{"/dev/ttyUSB*", "/dev/ttyS0"}, Speed: 9600, Flow: FlowRTSCTS, Carrier: false},
			Queue:  Queue{Frames: 1024, Delay: 50 * time.Millisecond},
		}, {
			Name: "local", Mode: ModeRelay, Uplink: "isp", Open: OpenFirstFrame, OnSessionLoss: LossHangup,
			PTY:   &PTY{Links: []string{"/run/tributary/a", "/run/tributary/b"}, Mode: 0o660},
			Queue: Queue{Frames: 1024, Delay: 50 * time.Millisecond},
		}, {
			Name: "shop", Mode: ModeShared,
			Serial: &Serial{Devices: []string{"/dev/ttyS1"}, Speed: 115200, Flow: FlowNone, Carrier: false},
			Queue:  Queue{Frames: 1024, Delay: 50 * time.Millisecond},
			Shared: &Shared{
				Sessions: []string{"office", "backup"}, Auth: []Auth{AuthPAP, AuthMSCHAPv2},
				Users: "/etc/tributary/users.yaml", Pool: "customers",
				UserToUser: UserToUserLocal, OnSessionLoss: LossMove, WhenBusy: BusyReplace,
				DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}, MTU: 1400,
				LoginTimeout: 20 * time.Second, IdleTimeout: 30 * time.Minute, SessionTimeout: 8 * time.Hour,
				UserEcho: Echo{Interval: 10 * time.Second, Failures: 5}, IPv6: true,
			},
		}, {
			Name: "open", Mode: ModeShared, TCP: NewTCP(":2324"),
			Queue: Queue{Frames: 1024, Delay: 50 * time.Millisecond},
			Shared: &Shared{
				Sessions: []string{"spare"}, Pool: "guests", UserToUser: UserToUserISP, OnSessionLoss: LossHangup, WhenBusy: BusyRefuse,
				MTU: 1500, LoginTimeout: time.Minute, UserEcho: Echo{Interval: 30 * time.Second, Failures: 3},
			},
		}},
		Sessions: []Session{{
			Name: "office", Uplink: "isp", User: "office@isp.example", PasswordFile: "/etc/tributary/office.secret",
			Auth: []Auth{AuthMSCHAPv2}, ServiceName: "silver", MaxUsers: 200, NATPorts: NATPorts{Block: 512, Blocks: 4},
			MTU: 1480, Redial: Redial{Min: 5 * time.Second, Max: 5 * time.Minute}, IPv6: true,
		}, {
			Name: "backup", Uplink: "isp", User: "backup@isp.example", PasswordFile: "/etc/tributary/backup.secret",
			Auth: []Auth{AuthCHAPMD5, AuthMSCHAPv2, AuthPAP}, NATPorts: NATPorts{Block: 512, Blocks: 4},
			Redial: Redial{Min: time.Second, Max: time.Minute}, IPv6: true,
		}, {
			Name: "spare", Uplink: "isp", NAT: true, NATPorts: NATPorts{Block: 256, Blocks: 8},
			Redial: Redial{Min: time.Second, Max: time.Minute},
		}},
		Pools: []Pool{{
			Name: "customers", Prefix: netip.MustParsePrefix("198.51.100.0/24"),
			Exclude: []AddrRange{addrs("198.51.100.1", "198.51.100.1"), addrs("198.51.100.250", "198.51.100.254")},
			Gateway: netip.MustParseAddr("198.51.100.254"), Prefix6: netip.MustParsePrefix("2001:db8:1::/48"),
		}, {
			Name: "guests", Prefix: netip.MustParsePrefix("10.64.0.0/25"), DelegatedBy: "office",
		}},
		Control:  Control{Socket: "/tmp/t.sock"},
		Log:      Log{Level: "debug", Format: "json"},
		StateDir: "/tmp/state",
	}
	if d := diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestDescription(t *testing.T) {
	cfg, err := Load(filepath.Join("testdata", "every-key.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "every-key.txt")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), cfg.String()); diff != "" {
		t.Errorf("what check prints has changed (-%s +now):\n%s", golden, diff)
	}
}

// The decoder's words for a value are pasted into YAML by whoever reads them, and
// into a terminal.
func TestErrorsArePlainText(t *testing.T) {
	_, err := Parse("t.yaml", []byte("uplinks: [{name: \"\\e[2Jx\", interface: \"a\\nb\"}]\nlines: []\n\"ke\\ey\": 1\n"))
	if err == nil {
		t.Fatal("control characters in names are taken")
	}
	if strings.ContainsFunc(strings.ReplaceAll(err.Error(), "\n", ""), isControl) {
		t.Errorf("%q has control characters of the file", err)
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if !strings.HasPrefix(line, "t.yaml:") {
			t.Errorf("%q is a line without a place: an error is one line", line)
		}
	}
}

func TestLoad(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !os.IsNotExist(err) {
		t.Errorf("a file that is not there: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, []byte(minimal+strings.Repeat("#", MaxSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a file over the bound: %v", err)
	}
}

// Everything that makes a parser work hard for few octets is refused early.
func TestHostile(t *testing.T) {
	for name, text := range map[string]string{
		"deep flow sequences": strings.Repeat("[", 100_000),
		"deep flow mappings":  strings.Repeat("{a: ", 100_000),
		"deep entries":        strings.Repeat("- ", 100_000),
		"complex keys":        strings.Repeat("? ", 100_000),
		"tags":                strings.Repeat("!a ", 100_000),
		"anchors":             strings.Repeat("&a ", 100_000),
		"deep blocks":         deepBlocks(500),
		"bomb":                "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n",
		"many errors":         strings.Repeat("x: 1\n", 10_000),
		"empty lines in text": "a: |\n" + strings.Repeat(" \r\n", 30_000),
		"open quote":          "a: \"" + strings.Repeat("x", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(text))
			if err == nil {
				t.Fatal("taken as a configuration")
			}
			if n := strings.Count(err.Error(), "\n"); n > maxErrors {
				t.Errorf("the report has %d lines", n)
			}
		})
	}
}

func deepBlocks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	if every, err := os.ReadFile(filepath.Join("testdata", "every-key.yaml")); err == nil {
		f.Add(every)
	}
	for _, tt := range slices.Concat(badConfigs, badRelay, badShared) {
		f.Add([]byte(tt.yaml))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("f.yaml", data)
		if err != nil {
			checkErrors(t, data, err)
			return
		}
		// What was accepted can be described, and is what it is because the
		// checks between entries held.
		if len(cfg.String()) == 0 || len(cfg.Uplinks) == 0 || len(cfg.Lines) == 0 {
			t.Errorf("a configuration of nothing was accepted")
		}
		names := map[string]bool{}
		for i := range cfg.Uplinks {
			u := &cfg.Uplinks[i]
			if names[u.Name] || !isName(u.Name) || u.Interface == "" || len(u.VLANs) > 2 {
				t.Errorf("accepted uplink %+v", u)
			}
			names[u.Name] = true
		}
		for i := range cfg.Lines {
			l := &cfg.Lines[i]
			relay := l.Mode == ModeRelay && l.Shared == nil && names[l.Uplink]
			shared := l.Mode == ModeShared && l.Shared != nil && l.Uplink == ""
			if !isName(l.Name) || !relay && !shared {
				t.Errorf("accepted group %+v", l)
			}
		}
		checkShared(t, cfg)
	})
}

// checkErrors holds each error to the promise of a place in the file.
func checkErrors(t *testing.T, data []byte, err error) {
	t.Helper()
	errs, ok := err.(Errors)
	if !ok || len(errs) == 0 {
		t.Fatalf("%v (%T) is not an Errors", err, err)
	}
	lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 2
	for _, e := range errs {
		if e.Message == "" || e.Line > lines || (e.Line > 0) != (e.Column > 0) {
			t.Errorf("error %q at %d:%d of %d lines", e.Message, e.Line, e.Column, lines)
		}
	}
}
