package ppp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// authenticating is a Link whose LCP is open and which now wants m of its peer.
func authenticating(t *testing.T, c LinkConfig, m AuthMethod) *talk {
	c.Auth = []AuthMethod{m}
	k := newTalk(t, c)
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	return k
}

// proving is a Link whose peer now wants m of it.
func proving(t *testing.T, c LinkConfig, m AuthMethod) *talk {
	k := newTalk(t, c)
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, fmt.Sprintf("%x", m.appendOption(nil)))
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	return k
}

func lcpUpFor(peer, local AuthMethod) string {
	return fmt.Sprintf("LCPUp{PeerAuth:%v LocalAuth:%v}", peer, local)
}

const (
	deny  = "LCPDown{Reason:auth-failed Message:}"
	adieu = `LCP Terminate-Request 2: "auth-failed"`
)

func TestPAPAuthenticator(t *testing.T) {
	k := authenticating(t, LinkConfig{}, AuthPAP)
	k.want("the peer speaks first", paramsPPPoE, lcpUpFor(AuthPAP, AuthNone))
	k.in(ProtoPAP, papRequest, 1, "0475736572 06736563726574")
	k.want("the owner is asked", "AuthRequest{ID:1 Method:pap Name:user Password:secret CHAPID:0 Challenge:[] Response:[]}")
	r := k.seen[0].(AuthRequest)
	if !r.Verify("secret") || r.Verify("secreT") || r.Verify("") {
		t.Error("Verify")
	}
	k.in(ProtoPAP, papRequest, 2, "0475736572 06736563726574")
	k.want("once, however often the peer repeats itself")
	k.in(ProtoPAP, papRequest, 3, "0475736572 0478787878")
	k.want("and about one name at a time")
	k.l.AuthResult(k.now, 7, true, "")
	k.want("an answer to nothing")
	if !k.l.AuthResult(k.now, 1, true, "welcome") {
		t.Error("the answer was wanted")
	}
	k.want("the latest request is answered", "PAP Authenticate-Ack 2: 0777656c636f6d65", "Authenticated{Local:false Method:pap Name:user Message:}")
	if k.l.AuthResult(k.now, 1, false, "") {
		t.Error("an answer given twice was taken")
	}
	k.in(ProtoPAP, papRequest, 4, "0475736572 0478787878")
	k.want("the Ack was lost: the same again, whatever is in the request", "PAP Authenticate-Ack 4: 0777656c636f6d65")
	if k.l.Phase() != PhaseNetwork {
		t.Errorf("phase %v", k.l.Phase())
	}
}

func TestPAPAuthenticatorRefuses(t *testing.T) {
	k := authenticating(t, LinkConfig{}, AuthPAP)
	k.outs()
	for _, bad := range []string{"", "04757365", "0475736572", "0475736572 0673656372"} {
		k.in(ProtoPAP, papRequest, 1, bad)
	}
	k.want("malformed requests")
	k.in(ProtoPAP, papAck, 1, "00")
	k.want("an answer to what we did not ask")
	k.in(ProtoPAP, papRequest, 1, "00 00")
	k.want("an empty name is a name", "AuthRequest{ID:1 Method:pap Name: Password: CHAPID:0 Challenge:[] Response:[]}")
	k.l.AuthResult(k.now, 1, false, strings.Repeat("x", 300))
	long := fmt.Sprintf("PAP Authenticate-Nak 1: fd%s", strings.Repeat("78", 253))
	k.want("no", long, paramsDown, deny, adieu)
	k.in(ProtoPAP, papRequest, 2, "0475736572 06736563726574")
	k.want("no second try")
	if c := k.l.Counters(); c.Malformed != 4 || c.Unexpected != 2 {
		t.Errorf("%+v", c)
	}
}

// TestPAPMessageFitsTheMRU: and its length says what is there.
func TestPAPMessageFitsTheMRU(t *testing.T) {
	k := newTalk(t, LinkConfig{Auth: []AuthMethod{AuthPAP}})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "01040080")
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	k.in(ProtoPAP, papRequest, 1, "0475736572 06736563726574")
	k.outs()
	k.l.AuthResult(k.now, 1, true, strings.Repeat("x", 200))
	k.want("128 octets: header, length, and the message cut to what is left",
		`PAP Authenticate-Ack 1: "{`+strings.Repeat("x", 123)+`"`, "Authenticated{Local:false Method:pap Name:user Message:}")
}

func TestPAPPeer(t *testing.T) {
	c := LinkConfig{Name: "user", Secret: "secret"}
	k := proving(t, c, AuthPAP)
	k.want("we speak first", paramsPPPoE, lcpUpFor(AuthNone, AuthPAP), "PAP Authenticate-Request 2: 047573657206736563726574")
	k.wait(3 * time.Second)
	k.want("again, with a new Identifier", "PAP Authenticate-Request 3: 047573657206736563726574")
	k.in(ProtoPAP, papAck, 4, "00")
	k.want("an answer to what we did not send yet")
	k.in(ProtoPAP, papAck, 2, "05 68656c6c6f")
	k.want("an answer to the first request is one", "Authenticated{Local:true Method:pap Name:user Message:hello}")
	k.in(ProtoPAP, papNak, 3, "00")
	k.want("it is over")

	k = proving(t, c, AuthPAP)
	k.outs()
	k.in(ProtoPAP, papNak, 2, "ff 6e6f 0a 6163636573730a")
	k.want("a message whose length is wrong is still read; its line breaks are not kept",
		paramsDown, "LCPDown{Reason:auth-denied Message:no access}", `LCP Terminate-Request 3: "auth-denied"`)

	c.AuthTimeout = time.Hour
	k = proving(t, c, AuthPAP)
	k.outs()
	k.wait(30 * time.Second)
	if got := k.outs(); len(got) != 12 || got[10] != "LCPDown{Reason:auth-timeout Message:}" {
		t.Errorf("%d requests: %v", len(got), got)
	}
}

func TestCHAPAuthenticator(t *testing.T) {
	k := authenticating(t, LinkConfig{SystemName: "bras1", Rechallenge: time.Minute}, AuthCHAPMD5)
	challenge := bytes.Repeat([]byte{2}, 16)
	first := "CHAP Challenge 2: 10" + strings.Repeat("02", 16) + "6272617331"
	k.want("we speak first", paramsPPPoE, lcpUpFor(AuthCHAPMD5, AuthNone), first)
	k.wait(3 * time.Second)
	k.want("the same challenge again", first)
	respond := func(id uint8, secret string, challenge []byte) {
		d := CHAPMD5(id, secret, challenge)
		k.in(ProtoCHAP, chapResponse, id, fmt.Sprintf("10%x 75736572", d))
	}
	respond(1, "secret", challenge)
	k.want("to no challenge of ours")
	k.in(ProtoCHAP, chapResponse, 2, "00 75736572")
	k.in(ProtoCHAP, chapResponse, 2, "10 75736572")
	k.want("malformed")
	k.in(ProtoCHAP, chapSuccess, 2, "")
	k.want("an answer to what we did not ask")
	respond(2, "secret", challenge)
	k.outs()
	r, ok := k.seen[0].(AuthRequest)
	if !ok || r.Name != "user" || !r.Verify("secret") || r.Verify("other") {
		t.Fatalf("%+v", k.seen)
	}
	respond(2, "other", challenge)
	k.wait(9 * time.Second)
	k.want("the owner takes its time; it is asked once, and nothing is sent meanwhile")
	k.l.AuthResult(k.now, r.ID, true, "hi")
	k.want("at last", `CHAP Success 2: "hi"`, "Authenticated{Local:false Method:chap-md5 Name:user Message:}")
	respond(2, "guess", challenge)
	k.want("RFC 1994 section 4.1: the same reply to any Response with this Identifier", `CHAP Success 2: "hi"`)

	k.wait(time.Minute)
	challenge = bytes.Repeat([]byte{3}, 16)
	k.want("a new challenge, with a new Identifier", "CHAP Challenge 3: 10"+strings.Repeat("03", 16)+"6272617331")
	respond(3, "secret", challenge)
	k.outs()
	r = k.seen[0].(AuthRequest)
	k.l.AuthResult(k.now, r.ID, true, "")
	k.want("and it is still the same peer", "CHAP Success 3:", "Authenticated{Local:false Method:chap-md5 Name:user Message:}")

	k.wait(time.Minute)
	k.outs()
	respond(4, "stolen", bytes.Repeat([]byte{4}, 16))
	k.outs()
	r = k.seen[0].(AuthRequest)
	k.l.AuthResult(k.now, r.ID, r.Verify("secret"), "")
	k.want("until it is not", "CHAP Failure 4:", paramsDown, deny, `LCP Terminate-Request 5: "auth-failed"`)
}

// TestCHAPPeerKeepsItsName: a link belongs to whom it was given to.
func TestCHAPPeerKeepsItsName(t *testing.T) {
	k := authenticating(t, LinkConfig{Rechallenge: time.Minute}, AuthCHAPMD5)
	k.in(ProtoCHAP, chapResponse, 2, "01ff 616c696365")
	k.l.AuthResult(k.now, 1, true, "")
	k.outs()
	k.wait(time.Minute)
	k.outs()
	k.in(ProtoCHAP, chapResponse, 3, "01ff 626f62")
	k.want("bob may know his own secret, but the link is alice's", "CHAP Failure 3:", paramsDown, deny, `LCP Terminate-Request 4: "auth-failed"`)
}

func TestCHAPAuthenticatorTimesOut(t *testing.T) {
	c := LinkConfig{AuthTimeout: 10 * time.Second}
	k := authenticating(t, c, AuthCHAPMD5)
	k.outs()
	k.wait(10 * time.Second)
	got := k.outs()
	if len(got) != 6 || got[4] != "LCPDown{Reason:auth-timeout Message:}" {
		t.Errorf("nobody answers: %v", got)
	}

	c.AuthTimeout = time.Hour
	k = authenticating(t, c, AuthCHAPMD5)
	k.outs()
	k.wait(30 * time.Second)
	if got := k.outs(); len(got) != 12 || got[10] != "LCPDown{Reason:auth-timeout Message:}" {
		t.Errorf("Max-Configure challenges: %v", got)
	}

	c = LinkConfig{Rechallenge: time.Minute, AuthTimeout: 5 * time.Second}
	k = authenticating(t, c, AuthCHAPMD5)
	k.in(ProtoCHAP, chapResponse, 2, "01ff 75")
	k.outs()
	k.l.AuthResult(k.now, 1, true, "")
	k.outs()
	k.wait(time.Minute + 5*time.Second)
	if got := k.outs(); len(got) != 5 || got[3] != "LCPDown{Reason:auth-timeout Message:}" {
		t.Errorf("a peer that answers once only: %v", got)
	}

	// The owner that never answers, and the one that answers afterwards.
	k = authenticating(t, c, AuthCHAPMD5)
	k.in(ProtoCHAP, chapResponse, 2, "01ff 75")
	k.outs()
	k.wait(5 * time.Second)
	k.want("no answer", paramsDown, "LCPDown{Reason:auth-timeout Message:}", `LCP Terminate-Request 3: "auth-timeout"`)
	if k.l.AuthResult(k.now, 1, true, "") {
		t.Error("an answer after the end was taken")
	}
	k.want("too late")
}

func TestCHAPPeer(t *testing.T) {
	k := proving(t, LinkConfig{Name: "user", Secret: "secret"}, AuthCHAPMD5)
	k.want("the authenticator speaks first", paramsPPPoE, lcpUpFor(AuthNone, AuthCHAPMD5))
	k.in(ProtoCHAP, chapChallenge, 5, "04 0a0b0c0d 6e6173")
	answer := fmt.Sprintf("CHAP Response 5: 10%x75736572", CHAPMD5(5, "secret", []byte{10, 11, 12, 13}))
	k.want("we prove it", answer)
	k.wait(3 * time.Second)
	k.want("Success may be lost: again", answer)
	k.in(ProtoCHAP, chapChallenge, 5, "00 6e6173")
	k.in(ProtoCHAP, chapChallenge, 5, "09 6e6173")
	k.want("malformed challenges")
	k.in(ProtoCHAP, chapSuccess, 4, "")
	k.want("an answer to another Response")
	k.in(ProtoCHAP, chapSuccess, 5, "57656c636f6d65")
	k.want("believed", "Authenticated{Local:true Method:chap-md5 Name:user Message:Welcome}")
	k.in(ProtoCHAP, chapFailure, 5, "")
	k.want("it is over")
	k.in(ProtoCHAP, chapChallenge, 6, "01 00")
	k.want("a new challenge in the network phase", fmt.Sprintf("CHAP Response 6: 10%x75736572", CHAPMD5(6, "secret", []byte{0})))
	k.in(ProtoCHAP, chapFailure, 6, "453d36393120523d30")
	k.want("not believed any longer", paramsDown, "LCPDown{Reason:auth-denied Message:E=691 R=0}", `LCP Terminate-Request 2: "auth-denied"`)

	k = proving(t, LinkConfig{Name: "user", Secret: "secret"}, AuthCHAPMD5)
	k.in(ProtoCHAP, chapChallenge, 5, "01 00")
	k.in(ProtoCHAP, chapSuccess, 5, "")
	k.outs()
	k.in(ProtoCHAP, chapChallenge, 6, "01 00")
	k.wait(time.Hour)
	if got := k.outs(); len(got) != 10 || k.l.Phase() != PhaseNetwork {
		t.Errorf("a link that was good is not given up because a later Success does not come: %v", got)
	}
	k.in(ProtoCHAP, chapSuccess, 6, "")
	k.want("nobody waits for it any more")

	k = proving(t, LinkConfig{Name: "user", Secret: "secret", AuthTimeout: time.Hour}, AuthCHAPMD5)
	k.in(ProtoCHAP, chapChallenge, 5, "01 00")
	k.outs()
	k.wait(30 * time.Second)
	if got := k.outs(); len(got) != 12 || got[10] != "LCPDown{Reason:auth-timeout Message:}" {
		t.Errorf("an authenticator that has gone: %v", got)
	}
}

// TestCHAPReflection: a peer must not have its own proof made by us.
func TestCHAPReflection(t *testing.T) {
	k := newTalk(t, LinkConfig{Name: "us", Secret: "shared", Auth: []AuthMethod{AuthCHAPMD5}})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "0305c22305")
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	k.outs()
	k.in(ProtoCHAP, chapChallenge, 9, "10"+strings.Repeat("02", 16)+"aa")
	k.want("our own challenge")
	k.in(ProtoCHAP, chapChallenge, 9, "10"+strings.Repeat("03", 16)+"aa")
	k.outs()
	if len(k.seen) != 1 {
		t.Errorf("another is answered: %v", k.seen)
	}
}

// TestServerFallsBack: the methods are offered in their order, and the peer's
// Nak chooses among them.
func TestServerFallsBack(t *testing.T) {
	both := LinkConfig{Auth: []AuthMethod{AuthCHAPMD5, AuthPAP}}
	k := newTalk(t, both)
	k.l.Open(k.now)
	k.l.Up(k.now)
	k.want("CHAP first", "LCP Configure-Request 1: 010405d4 0305c22305 050601010101")
	k.in(ProtoLCP, ConfigureNak, 1, "0304c023")
	k.want("PAP is ours too", "LCP Configure-Request 2: 010405d4 0304c023 050601010101")
	k.in(ProtoLCP, ConfigureNak, 2, "0305c22381")
	k.want("MS-CHAPv2 is not offered here, and nothing is left", `LCP Terminate-Request 3: "auth-refused"`)

	k = newTalk(t, both)
	k.begin()
	k.in(ProtoLCP, ConfigureNak, 1, "0305c22380")
	k.want("a wish that is not ours: our next", "LCP Configure-Request 2: 010405d4 0304c023 050601010101")

	k = newTalk(t, both)
	k.begin()
	k.in(ProtoLCP, ConfigureReject, 1, "0305c22305")
	k.want("a peer that will not prove itself", `LCP Terminate-Request 2: "auth-refused"`)
	k.in(ProtoLCP, TerminateAck, 2, "")
	k.want("is none", "Finished{Reason:auth-refused Message:}")

	k = authenticating(t, LinkConfig{}, AuthPAP)
	k.outs()
	k.in(ProtoLCP, ProtocolReject, 1, "c023 0101")
	k.want("nor one that has no PAP after all", paramsDown, "LCPDown{Reason:auth-refused Message:}", `LCP Terminate-Request 2: "auth-refused"`)
}

// TestAuthCombinations has every list a server may offer against every list a
// client may accept.
func TestAuthCombinations(t *testing.T) {
	lists := [][]AuthMethod{
		{}, {AuthPAP}, {AuthCHAPMD5}, {AuthPAP, AuthCHAPMD5}, {AuthCHAPMD5, AuthPAP},
		{AuthMSCHAPv2}, {AuthCHAPMD5, AuthMSCHAPv2}, {AuthMSCHAPv2, AuthPAP}, {AuthPAP, AuthMSCHAPv2, AuthCHAPMD5},
	}
	for _, offer := range lists {
		for _, accept := range lists {
			s, c := server(offer...), client("user", "secret")
			c.Accept = accept
			p := newISP(t, s, c)
			p.begin()
			common := AuthNone
			for _, m := range offer {
				for _, n := range accept {
					if m == n && common == AuthNone {
						common = m
					}
				}
			}
			name := fmt.Sprintf("server offers %v, client accepts %v", offer, accept)
			if len(offer) > 0 && common == AuthNone {
				p.runUntil(name, time.Minute, func() bool { return p.a.done != nil && p.b.done != nil })
				if p.a.done.Reason != ReasonAuthRefused || p.b.done.Reason != ReasonPeerTerminated && p.b.done.Reason != ReasonNoAnswer && p.b.done.Reason != ReasonNotConverging {
					t.Errorf("%s: server %+v, client %+v", name, p.a.done, p.b.done)
				}
				continue
			}
			p.runUntil(name, time.Minute, p.bothUp)
			if up, _ := last[LCPUp](p.a); len(offer) > 0 && (up.PeerAuth == AuthNone || !contains(accept, up.PeerAuth)) {
				t.Errorf("%s: %+v", name, up)
			}
		}
	}
}

func contains(l []AuthMethod, m AuthMethod) bool {
	for _, n := range l {
		if n == m {
			return true
		}
	}
	return false
}

func TestBothWaysAuthentication(t *testing.T) {
	s, c := server(AuthCHAPMD5), client("user", "secret")
	s.Name, s.Secret = "bras1", "other"
	c.Auth = []AuthMethod{AuthPAP}
	p := newISP(t, s, c)
	p.b.secret = "other"
	p.begin()
	p.runUntil("up", time.Minute, p.bothUp)
	if n, m := count[Authenticated](p.a), count[Authenticated](p.b); n != 2 || m != 2 {
		t.Errorf("%d and %d", n, m)
	}
}

func TestWrongSecret(t *testing.T) {
	for _, m := range []AuthMethod{AuthPAP, AuthCHAPMD5, AuthMSCHAPv2} {
		p := newISP(t, server(m), client("user", "guess"))
		p.begin()
		p.runUntil("both ends are done", time.Minute, func() bool { return p.a.done != nil && p.b.done != nil })
		if p.a.done.Reason != ReasonAuthFailed || p.b.done.Reason != ReasonAuthDenied || strings.TrimPrefix(p.b.done.Message, "E=691 ") != "hello user" {
			t.Errorf("%v: server %+v, client %+v", m, p.a.done, p.b.done)
		}
		if p.a.net != nil || count[NetworkUp](p.a)+count[NetworkUp](p.b) > 0 {
			t.Errorf("%v: the network came up", m)
		}
	}
}

// TestCHAPVectors has digests that an independent MD5 (openssl) made of
// identifier, secret and challenge.
func TestCHAPVectors(t *testing.T) {
	tests := []struct {
		id                uint8
		secret, challenge string
		digest            string
	}{
		{0x00, "", "", "93b885adfe0da089cdf634904fd59f71"},
		{0x01, "secret", "000102030405060708090a0b0c0d0e0f", "740e86463bda3a4d7017d6e0fba0699d"},
		{0xff, "MyPass", "ffffffffffffffffffffffffffffffffffffffffffffffff", "d0a52172c8d6a5a6e1b4e1eaa4b459d5"},
	}
	for _, tt := range tests {
		challenge, digest := unhex(tt.challenge), unhex(tt.digest)
		if got := CHAPMD5(tt.id, tt.secret, challenge); !bytes.Equal(got[:], digest) {
			t.Errorf("%d %q: %x", tt.id, tt.secret, got)
		}
		if !VerifyCHAPMD5(tt.id, tt.secret, challenge, digest) || VerifyCHAPMD5(tt.id+1, tt.secret, challenge, digest) ||
			VerifyCHAPMD5(tt.id, tt.secret, challenge, digest[:15]) || VerifyCHAPMD5(tt.id, tt.secret, challenge, nil) {
			t.Errorf("%d %q: VerifyCHAPMD5", tt.id, tt.secret)
		}
	}
	if (AuthRequest{}).Verify("") {
		t.Error("a request by no method is verified")
	}
}

func TestAuthMethodNames(t *testing.T) {
	for _, m := range []AuthMethod{AuthNone, AuthPAP, AuthCHAPMD5, AuthMSCHAPv2} {
		if got, ok := ParseAuthMethod(m.String()); !ok || got != m {
			t.Errorf("%v is read as %v, %v", m, got, ok)
		}
		if opt := m.appendOption(nil); m != AuthNone && parseAuthOption(opt[2:]) != m {
			t.Errorf("%v: option %x", m, opt)
		}
	}
	if _, ok := ParseAuthMethod("ms-chap"); ok {
		t.Error("ms-chap is known")
	}
	if m, ok := ParseAuthMethod("ms-chapv2"); !ok || m != AuthMSCHAPv2 {
		t.Error("ms-chapv2 is not known")
	}
	if s := AuthMethod(9).String(); s != "auth-9" {
		t.Error(s)
	}
	if p := Phase(9).String(); p != "unknown" || PhaseNetwork.String() != "network" {
		t.Error(p)
	}
}

func TestPrintable(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Login ok", "Login ok"},
		{"UTF-8 stays", "Größe 東京", "Größe 東京"},
		{"an escape sequence", "\x1b[31mred\a\x9b", "\ufffd[31mred\ufffd\ufffd"},
		{"lines of a log", "ok\nlevel=info msg=forged\r\n", "ok level=info msg=forged"},
		{"no UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"right-to-left override", "a\u202eb", "a\ufffdb"},
		{"space around", "  x ", "x"},
		{"a C string", "Login ok\x00", "Login ok"},
		{"too long, cut between runes", "x" + strings.Repeat("é", 300), "x" + strings.Repeat("é", 255)},
		{"too long, cut between words", strings.Repeat("é", 256) + " x", strings.Repeat("é", 256)},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		if got := Printable([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
