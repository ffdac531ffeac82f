package ppp_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"tributary/ppp"
)

// relayed is two Links with what a relaying gateway has between them.
type relayed struct {
	t        *testing.T
	now      time.Time
	user, ac *ppp.Link
	rewrite  *ppp.Rewrite
	snoop    *ppp.Snoop
	events   ppp.SnoopEvents
	line     ppp.LineParams // as the user's Link says it is
	frames   []relayedFrame // under way
}

type relayedFrame struct {
	toAC bool
	b    []byte
}

// drain does what a Link wants done.
func (r *relayed) drain(l *ppp.Link) {
	for {
		o, ok := l.Next()
		if !ok {
			return
		}
		switch o := o.(type) {
		case ppp.SendFrame:
			r.frames = append(r.frames, relayedFrame{l == r.user, bytes.Clone(o.Frame)})
		case ppp.Params:
			if l == r.user {
				r.line = o.Line
			}
		case ppp.AuthRequest:
			l.AuthResult(r.now, o.ID, o.Name == "alice@isp" && o.Verify("secret"), "welcome")
		}
	}
}

// run carries frames until none is under way.
func (r *relayed) run() {
	r.t.Helper()
	for n := 0; ; n++ {
		r.drain(r.user)
		r.drain(r.ac)
		if len(r.frames) == 0 {
			return
		}
		if n == 1000 {
			r.t.Fatal("the ends never come to rest")
		}
		f := r.frames[0]
		r.frames = r.frames[1:]
		var out ppp.Relayed
		if f.toAC {
			out = r.rewrite.FromUser(f.b)
		} else {
			r.events |= r.snoop.FromAC(f.b)
			out = r.rewrite.FromAC(f.b)
		}
		if out.ToAC != nil {
			r.events |= r.snoop.FromUser(out.ToAC)
			r.ac.Input(r.now, out.ToAC)
		}
		if out.ToUser != nil {
			r.user.Input(r.now, out.ToUser)
		}
	}
}

// Link is strict about what it is answered: it discards an Ack that does not
// repeat its request, and PPPoE's end of it rejects the options of a line. So
// two of them only come to agree if Rewrite has kept both in the right.
func TestRewriteBetweenLinks(t *testing.T) {
	addr := netip.MustParseAddr
	for _, auth := range []ppp.AuthMethod{ppp.AuthCHAPMD5, ppp.AuthPAP, ppp.AuthNone} {
		t.Run(auth.String(), func(t *testing.T) {
			r := &relayed{t: t, now: time.Unix(1e9, 0), rewrite: ppp.NewRewrite(ppp.RewriteConfig{}), snoop: ppp.NewSnoop()}
			r.user = ppp.NewLink(ppp.LinkConfig{
				Async: true, ACCM: 0x000a0000, PFC: true, ACFC: true, MRU: 1496,
				Name: "alice@isp", Secret: "secret", IPv4: &ppp.IPv4Config{AskDNS: true},
			})
			acConfig := ppp.LinkConfig{IPv4: &ppp.IPv4Config{
				Local: addr("192.0.2.1"), Peer: addr("192.0.2.7"), DNS: [2]netip.Addr{addr("198.51.100.53"), addr("198.51.100.54")},
			}}
			if auth != ppp.AuthNone {
				acConfig.Auth = []ppp.AuthMethod{auth}
			}
			r.ac = ppp.NewLink(acConfig)
			r.ac.Open(r.now)
			r.ac.Up(r.now)
			r.user.Open(r.now)
			r.user.Up(r.now)
			r.run()

			if !r.user.IPv4Open() || !r.ac.IPv4Open() {
				t.Fatalf("IPv4 open at the user %v, at the AC %v", r.user.IPv4Open(), r.ac.IPv4Open())
			}
			st := r.snoop.State()
			if st.Phase != ppp.PhaseNetwork || st.Auth != auth.String() || st.Address != addr("192.0.2.7") || st.Peer != addr("192.0.2.1") ||
				st.DNS[1] != addr("198.51.100.54") || st.UserMagic == 0 || st.ACMagic == 0 || st.UserMRU != 1492 || st.ACMRU != 1492 {
				t.Errorf("snooped %+v", st)
			}
			if auth != ppp.AuthNone && (st.User != "alice@isp" || !st.AuthOK || st.Message != "welcome") {
				t.Errorf("snooped %+v", st)
			}
			// The gateway is the user's peer on the line: what one sends
			// by, the other receives by.
			line := r.rewrite.Params()
			want := ppp.LineParams{SendACCM: 0x000a0000, RecvACCM: 0, SendPFC: true, SendACFC: true}
			if line != want {
				t.Errorf("line %+v, want %+v", line, want)
			}
			if r.line.SendACCM != line.RecvACCM || r.line.RecvACCM != line.SendACCM || !r.line.SendPFC || !r.line.SendACFC {
				t.Errorf("the user has the line at %+v, the gateway at %+v", r.line, line)
			}
			if c := r.rewrite.Counters(); c != (ppp.RewriteCounters{}) {
				t.Errorf("not passed on: %+v", c)
			}

			r.user.Close(r.now)
			r.run()
			if all := ppp.SnoopTerminateByUser | ppp.SnoopTerminateAcked | ppp.SnoopNetworkClosed; !r.events.Has(all) {
				t.Errorf("events %q, want also %q", r.events, all)
			}
			if r.rewrite.Params() != ppp.DefaultLineParams || r.snoop.State().Phase != ppp.PhaseDead {
				t.Errorf("after the end: line %+v, phase %v", r.rewrite.Params(), r.snoop.State().Phase)
			}
		})
	}
}
