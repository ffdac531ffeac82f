package ppp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func TestLinkComesUp(t *testing.T) {
	for _, m := range []AuthMethod{AuthNone, AuthPAP, AuthCHAPMD5, AuthMSCHAPv2} {
		t.Run(m.String(), func(t *testing.T) {
			var methods []AuthMethod
			if m != AuthNone {
				methods = []AuthMethod{m}
			}
			p := newISP(t, server(methods...), client("user", "secret"))
			p.begin()
			p.runUntil("both ends are up", time.Second, p.bothUp)
			dns := [2]netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.54")}
			want := NetworkUp{Local: netip.MustParseAddr("198.51.100.7"), Peer: netip.MustParseAddr("192.0.2.1"), DNS: dns}
			if d := cmp.Diff(want, *p.b.net, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Errorf("client's addresses: %s", d)
			}
			if p.a.net.Local != want.Peer || p.a.net.Peer != want.Local {
				t.Errorf("server's addresses: %+v", p.a.net)
			}
			if m != AuthNone {
				a, _ := last[Authenticated](p.a)
				b, _ := last[Authenticated](p.b)
				if a.Name != "user" || a.Local || !b.Local || b.Message != "hello user" {
					t.Errorf("authenticated: server %+v, client %+v", a, b)
				}
			}
			t.Logf("%d frames, %v", p.frames, p.now.Sub(start))
		})
	}
}

// BenchmarkLinkUp is a subscriber's whole way up, both ends of it.
func BenchmarkLinkUp(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p := newISP(b, server(AuthCHAPMD5), client("user", "secret"))
		p.begin()
		p.run(time.Second)
		if !p.bothUp() {
			b.Fatal("not up")
		}
	}
}

// TestIdleLinkIsSmall: what a silent subscriber costs, after the largest
// packets it may send.
func TestIdleLinkIsSmall(t *testing.T) {
	k := opened(t, LinkConfig{})
	for range 3 {
		k.in(ProtoLCP, EchoRequest, 1, strings.Repeat("aa", 1400))
		k.in(ProtoLCP, 99, 1, strings.Repeat("aa", 1400))
		k.outs()
	}
	k.l.Tick(k.now)
	l := k.l
	n := int(unsafe.Sizeof(*l)) + cap(l.queue.arena) + 16*cap(l.queue.outs) + cap(l.lcp.request) + cap(l.lcp.verdict.rejects) + cap(l.lcp.verdict.naks)
	t.Logf("%d octets", n)
	if n > 4096 {
		t.Errorf("%d octets", n)
	}
}
