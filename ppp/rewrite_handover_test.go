package ppp_test

import (
	"net/netip"
	"testing"
	"time"

	"tributary/ppp"
)

// handoverAC is an AC's Link, and the address that it gives.
func handoverAC(peer string) *ppp.Link {
	return ppp.NewLink(ppp.LinkConfig{
		Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5},
		IPv4: &ppp.IPv4Config{Local: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddr(peer)},
	})
}

// mirrored is how the other end of a line frames it.
func mirrored(p ppp.LineParams) ppp.LineParams {
	p.SendACCM, p.RecvACCM = p.RecvACCM, p.SendACCM
	return p
}

// A user whose AC has gone is handed to another. He is not told, and ends up with an
// open link and an address of the new one, whichever of the two speaks first.
func TestRewriteHandover(t *testing.T) {
	for _, tt := range []struct {
		name   string
		waits  bool // the new AC is silent until it has heard something
		userUp bool // the user sends a Configure-Request of his own meanwhile
		maxMRU int
	}{
		{"an AC that speaks first", false, false, 1492},
		{"an AC that waits", true, false, 1492},
		{"an AC that speaks first, and so does the user", false, true, 1492},
		{"a session that carries less", true, false, 1400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &relayed{t: t, now: time.Unix(1e9, 0), rewrite: ppp.NewRewrite(ppp.RewriteConfig{}), snoop: ppp.NewSnoop()}
			r.user = ppp.NewLink(ppp.LinkConfig{
				Async: true, ACCM: 0x000a0000, PFC: true, ACFC: true, MRU: 1496,
				Name: "alice@isp", Secret: "secret", IPv4: &ppp.IPv4Config{},
			})
			r.ac = handoverAC("192.0.2.7")
			for _, l := range []*ppp.Link{r.ac, r.user} {
				l.Open(r.now)
				l.Up(r.now)
			}
			r.run()
			if !r.user.IPv4Open() {
				t.Fatal("it does not open at all")
			}
			if p := r.rewrite.Params(); !p.SendPFC || p != mirrored(r.line) {
				t.Fatalf("the line is framed as %+v, the user says %+v", p, r.line)
			}

			r.now = r.now.Add(time.Minute)
			r.ac, r.snoop = handoverAC("192.0.2.8"), ppp.NewSnoop()
			r.ac.Open(r.now)
			r.ac.Up(r.now)
			if tt.waits {
				r.drain(r.ac)
				r.frames = nil
			}
			if tt.userUp {
				r.user.Down(r.now)
				r.user.Up(r.now)
			}
			out := r.rewrite.Handover(tt.maxMRU)
			if out.ToAC == nil || out.ToUser != nil || out.Params != ppp.DefaultLineParams || !out.ParamsChanged {
				t.Fatalf("%+v", out)
			}
			r.snoop.FromUser(out.ToAC)
			r.ac.Input(r.now, out.ToAC)
			r.run()
			for range 4 { // what was lost comes again
				r.now = r.now.Add(3 * time.Second)
				r.ac.Tick(r.now)
				r.user.Tick(r.now)
				r.run()
			}
			if !r.user.IPv4Open() || !r.ac.IPv4Open() {
				t.Fatalf("IPv4 open at the user %v, at the AC %v", r.user.IPv4Open(), r.ac.IPv4Open())
			}
			st := r.snoop.State()
			if st.Phase != ppp.PhaseNetwork || st.Address != netip.MustParseAddr("192.0.2.8") || st.UserMRU != tt.maxMRU || st.User != "alice@isp" {
				t.Errorf("%+v", st)
			}
			if p := r.rewrite.Params(); p != mirrored(r.line) {
				t.Errorf("the line is framed as %+v, the user says %+v", p, r.line)
			}
		})
	}
}

// A user that has not asked for anything yet has nothing to hand over.
func TestRewriteHandoverOfNothing(t *testing.T) {
	for _, r := range []*ppp.Rewrite{new(ppp.Rewrite), ppp.NewRewrite(ppp.RewriteConfig{})} {
		if out := r.Handover(1492); out.ToAC != nil || out.ToUser != nil || out.ParamsChanged {
			t.Errorf("%+v", out)
		}
	}
}

// What an AC answers to the request that was handed over is nothing to the user, who
// has no request under way.
func TestRewriteHandoverAnswers(t *testing.T) {
	request := func(id uint8) []byte { return []byte{0xc0, 0x21, 1, id, 0, 10, 5, 6, 1, 2, 3, 4} }
	answer := func(code ppp.Code, id uint8) []byte {
		return []byte{0xc0, 0x21, byte(code), id, 0, 10, 5, 6, 1, 2, 3, 4}
	}
	for _, code := range []ppp.Code{ppp.ConfigureAck, ppp.ConfigureNak, ppp.ConfigureReject} {
		r := ppp.NewRewrite(ppp.RewriteConfig{})
		r.FromUser(request(1))
		if r.FromAC(answer(ppp.ConfigureAck, 1)).ToUser == nil {
			t.Fatal("his own request's Ack is his")
		}
		if out := r.Handover(1492); string(out.ToAC) != string(request(1)) {
			t.Fatalf("handed over: %x", out.ToAC)
		}
		if out := r.FromAC(answer(code, 1)); out.ToUser != nil {
			t.Errorf("%v of what was handed over: %x", code, out.ToUser)
		}
		r.FromUser(request(1)) // his own once more, by chance the same
		if out := r.FromAC(answer(code, 1)); out.ToUser == nil {
			t.Errorf("%v of his own request does not reach him", code)
		}
	}
}
