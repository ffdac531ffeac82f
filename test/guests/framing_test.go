package guests

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// framing is what LCP should have made of a line in one direction.
type framing struct {
	acfc, pfc bool
	accm      uint32 // control characters that are escaped
}

var (
	short = framing{acfc: true, pfc: true}
	long  = framing{accm: 0xffffffff}
)

// TestFraming reads the octets of the line itself: ACCM, PFC and ACFC, which
// no PPPoE peer takes part in, are between user and gateway, and each of them
// is obeyed in the direction it was negotiated for.
func TestFraming(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	tap := r.tapLine(bankTap, bank)

	tests := []struct {
		name, options string
		up, down      framing
	}{
		{"pppd's own choice", "", short, short},
		// The user asks for nothing, and so gets the default ACCM; what the gateway
		// asked for in the AC's name, it would still do. default-asyncmap makes pppd
		// reject that too.
		{"default-asyncmap", "default-asyncmap", framing{acfc: true, pfc: true, accm: 0xffffffff}, framing{acfc: true, pfc: true, accm: 0xffffffff}},
		// RFC 1662 7.1: the user names what must be escaped towards it: XON and XOFF.
		// The other way he has acked a map of 0.
		{"asyncmap a0000", "asyncmap a0000", short, framing{acfc: true, pfc: true, accm: 0xa0000}},
		{"noaccomp", "noaccomp", framing{pfc: true}, framing{pfc: true}},
		{"nopcomp", "nopcomp", framing{acfc: true}, framing{acfc: true}},
		{"nothing", "default-asyncmap noaccomp nopcomp", long, long},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := r.in(t)
			g := g.in(r)
			id := i + 1
			r.dialAt("tcp "+bankTap, id, tt.options)
			r.ping(id, 3, 200)
			l := g.up(1)[0]
			if l.SendACCM != tt.down.accm || l.PFC != tt.down.pfc || l.ACFC != tt.down.acfc {
				t.Errorf("lines --json: accm %#x, pfc %v, acfc %v; want %+v", l.SendACCM, l.PFC, l.ACFC, tt.down)
			}
			up, down := tap.recorded()
			tt.up.check(t, "from the user", up)
			tt.down.check(t, "to the user", down)

			log := r.must(r.user, fmt.Sprintf("cat /run/pppd.%d.log", id))
			if tt.name == "pppd's own choice" {
				for _, dir := range []string{"rcvd", "sent"} {
					if !acked(log, dir, "<asyncmap 0x0>", "<pcomp>", "<accomp>") {
						t.Errorf("pppd's log has no %q of asyncmap 0, pcomp and accomp:\n%s", dir+" [LCP ConfAck", log)
					}
				}
			}

			r.must(r.user, fmt.Sprintf("kill $(head -n1 /run/ppp-l%d.pid)", id))
			r.hasEnded(id, "pppd was told to end")
			g.none("the user has hung up")
		})
	}
}

// acked reports whether pppd's log has a Configure-Ack in that direction with
// all the options.
func acked(log, dir string, options ...string) bool {
	for line := range strings.Lines(log) {
		ok := strings.HasPrefix(line, dir+" [LCP ConfAck")
		for _, o := range options {
			ok = ok && strings.Contains(line, o)
		}
		if ok {
			return true
		}
	}
	return false
}

// check looks at every frame that was on the line.
func (want framing) check(t *testing.T, direction string, recording []byte) {
	t.Helper()
	ip, lcp := 0, 0
	for _, f := range unframe(recording) {
		if !f.good {
			t.Errorf("%s: frame with a bad FCS: %x", direction, f.raw)
			continue
		}
		body := f.data[:len(f.data)-2]
		hasAC := bytes.HasPrefix(body, []byte{0xff, 0x03})
		body = bytes.TrimPrefix(body, []byte{0xff, 0x03})
		switch {
		case bytes.HasPrefix(body, []byte{0xc0, 0x21}):
			// RFC 1661 6.6 and RFC 1662 7: LCP's configuration is sent as if nothing was negotiated.
			if code := body[2]; code <= 7 {
				lcp++
				if !hasAC {
					t.Errorf("%s: LCP code %d without FF 03: %x", direction, code, f.raw)
				}
				wantEscapes(t, direction+", LCP", f.raw, 0xffffffff)
			}
		case body[0] == 0x21, bytes.HasPrefix(body, []byte{0x00, 0x21}):
			ip++
			if hasAC == want.acfc {
				t.Errorf("%s: FF 03 present: %v, in %x", direction, hasAC, f.raw[:min(len(f.raw), 16)])
			}
			if short := body[0] == 0x21; short != want.pfc {
				t.Errorf("%s: Protocol of one octet: %v, in %x", direction, short, f.raw[:min(len(f.raw), 16)])
			}
			wantEscapes(t, direction+", IP", f.raw, want.accm)
		}
	}
	if ip < 3 || lcp < 2 {
		t.Errorf("%s: %d frames of IP and %d of LCP on the line, want the pings and a negotiation", direction, ip, lcp)
	}
}

// wantEscapes wants exactly the control characters of accm escaped in raw, and
// of the others only flag and escape.
func wantEscapes(t *testing.T, what string, raw []byte, accm uint32) {
	t.Helper()
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != 0x7d {
			if c < 0x20 && accm>>c&1 == 1 {
				t.Errorf("%s: %#02x is not escaped in %x", what, c, raw)
				return
			}
			continue
		}
		if i++; i == len(raw) {
			t.Errorf("%s: ends in an escape: %x", what, raw)
			return
		}
		if c := raw[i] ^ 0x20; c != 0x7d && c != 0x7e && (c >= 0x20 || accm>>c&1 == 0) {
			t.Errorf("%s: %#02x is escaped in %x, and nobody asked", what, c, raw)
			return
		}
	}
}
