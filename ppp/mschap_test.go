package ppp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The example of RFC 2759 section 9.2.
const (
	rfc2759User      = "User"
	rfc2759Password  = "clientPass"
	rfc2759Challenge = "5b5d7c7d7b3f2f3e3c2c602132262628"
	rfc2759Peer      = "21402324255e262a28295f2b3a337c7e"
	rfc2759Response  = "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
	rfc2759Proof     = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
)

// rfc2759Value is the example as the Value of a Response.
const rfc2759Value = rfc2759Peer + "0000000000000000" + rfc2759Response + "00"

func TestRFC2759Example(t *testing.T) {
	hash := NTHash(rfc2759Password)
	if got := fmt.Sprintf("%x", hash); got != "44ebba8d5312b8d611474411f56989ae" {
		t.Errorf("PasswordHash %s", got)
	}
	if got := fmt.Sprintf("%x", md4(hash[:])); got != "41c00c584bd2d91c4017a2a12fa59f3f" {
		t.Errorf("PasswordHashHash %s", got)
	}
	challenge := challengeHash(unhex(rfc2759Peer), unhex(rfc2759Challenge), rfc2759User)
	if got := fmt.Sprintf("%x", challenge); got != "d02e4386bce91226" {
		t.Errorf("Challenge %s", got)
	}
	response := ntResponse(challenge, hash)
	if got := fmt.Sprintf("%x", response); got != rfc2759Response {
		t.Errorf("NT-Response %s", got)
	}
	if got := fmt.Sprintf("S=%X", authenticatorResponse(hash, response[:], challenge)); got != rfc2759Proof {
		t.Errorf("AuthenticatorResponse %s", got)
	}
	value := appendMSResponse(nil, [16]byte(unhex(rfc2759Peer)), response)
	if got := fmt.Sprintf("%x", value); got != rfc2759Value {
		t.Errorf("Value %s", got)
	}
	// Section 9.3 has further DES keys, with their parity bits, which DES ignores.
	key := desKey([7]byte(unhex("fc156af7edcd6c")))
	for i, b := range unhex("fd0b5b5e7f6e34d9") {
		if key[i] != b&^1 {
			t.Errorf("DES key %x", key)
			break
		}
	}
}

// TestNTHash has the hashes that other software gives for these passwords.
func TestNTHash(t *testing.T) {
	tests := []struct{ password, want string }{
		{"", "31d6cfe0d16ae931b73c59d7e0c089c0"},
		{"password", "8846f7eaee8fb117ad06bdd830b7586c"},
		{"MyPw", "fc156af7edcd6c0edde3337d427f4eac"}, // RFC 2759 section 9.3
	}
	for _, tt := range tests {
		if got := fmt.Sprintf("%x", NTHash(tt.password)); got != tt.want {
			t.Errorf("%q: %s", tt.password, got)
		}
	}
	// UTF-16, also beyond what one unit of it holds.
	want := md4(unhex("fc00 ac20 3dd8 00de"))
	if got := NTHash("ü€😀"); got != want {
		t.Errorf("%x", got)
	}
}

func TestVerify(t *testing.T) {
	hash, wrong := NTHash(rfc2759Password), NTHash("other")
	ms := AuthRequest{Method: AuthMSCHAPv2, Name: rfc2759User, Challenge: unhex(rfc2759Challenge), Response: unhex(rfc2759Value)}
	domain := ms
	domain.Name = `BIGCO\` + rfc2759User
	short, long := ms, ms
	short.Response, long.Response = ms.Response[:48], append(bytes.Clone(ms.Response), 0)
	stranger := ms
	stranger.Name = "user"
	md5 := CHAPMD5(1, rfc2759Password, []byte{1})
	tests := []struct {
		name         string
		r            AuthRequest
		secret, hash bool
	}{
		{"MS-CHAPv2", ms, true, true},
		{"with a domain in front of the name", domain, true, true},
		{"under another name", stranger, false, false},
		{"too short", short, false, false},
		{"too long", long, false, false},
		{"PAP", AuthRequest{Method: AuthPAP, Password: rfc2759Password}, true, true},
		{"CHAP with MD5 cannot be checked by a hash", AuthRequest{Method: AuthCHAPMD5, CHAPID: 1, Challenge: []byte{1}, Response: md5[:]}, true, false},
		{"no method", AuthRequest{}, false, false},
	}
	for _, tt := range tests {
		if tt.r.Verify(rfc2759Password) != tt.secret || tt.r.Verify("other") || tt.r.Verify("") {
			t.Errorf("%s: Verify", tt.name)
		}
		if tt.r.VerifyNTHash(hash) != tt.hash || tt.r.VerifyNTHash(wrong) || tt.r.VerifyNTHash([16]byte{}) {
			t.Errorf("%s: VerifyNTHash", tt.name)
		}
		want := "Welcome" // and nothing to guess passwords by, for who did not know it
		if tt.r.Method == AuthMSCHAPv2 && tt.hash {
			want = rfc2759Proof + " M=Welcome"
		}
		if got := tt.r.SuccessMessage(rfc2759Password, "Welcome"); got != want {
			t.Errorf("%s: SuccessMessage %q", tt.name, got)
		}
		if got := tt.r.SuccessMessageNTHash(hash, "Welcome"); got != want {
			t.Errorf("%s: SuccessMessageNTHash %q", tt.name, got)
		}
		if got := tt.r.SuccessMessage("other", "Welcome"); got != "Welcome" {
			t.Errorf("%s: SuccessMessage %q", tt.name, got)
		}
	}
	// Who has no hash in a file of users is not the one whose hash is zero.
	nobody := ms
	response := ntResponse(challengeHash(unhex(rfc2759Peer), ms.Challenge, ms.Name), [16]byte{})
	nobody.Response = appendMSResponse(nil, [16]byte(unhex(rfc2759Peer)), response)
	if nobody.VerifyNTHash([16]byte{}) {
		t.Error("no hash is verified")
	}
}

func TestMSMessages(t *testing.T) {
	proof := strings.ToUpper(strings.Repeat("a1", 20))
	tests := []struct {
		name, message, text string
		ok                  bool
	}{
		{"as RFC 2759 has it", "S=" + proof + " M=Welcome", "Welcome", true},
		{"some send lower case", "S=" + strings.ToLower(proof) + " M=Welcome", "Welcome", true},
		{"some leave the space out", "S=" + proof + "M=Welcome", "Welcome", true},
		{"some have nothing to say", "S=" + proof, "", true},
		{"and then are more verbose than asked", "S=" + proof + " x M=a M=b", "a M=b", true},
		{"one digit is lost", "S=" + proof[1:], "", false},
		{"one digit is none", "S=" + proof[1:] + "G", "", false},
		{"no proof", "M=Welcome", "M=Welcome", false},
		{"nothing", "", "", false},
		{"a Failure", "E=691 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=No", "E=691 No", false},
		{"a Failure without a text", "E=648 R=0 C=00112233445566778899AABBCCDDEEFF V=3", "E=648", false},
		{"a Failure that says no more than it must", "E=691", "E=691", false},
		{"a Failure of CHAP", "No access", "No access", false},
	}
	for _, tt := range tests {
		got, text, ok := parseMSSuccess([]byte(tt.message))
		if ok != tt.ok || ok && (fmt.Sprintf("%X", got) != proof || string(text) != tt.text) {
			t.Errorf("%s: %X, %q, %v", tt.name, got, text, ok)
		}
		if text := string(msText([]byte(tt.message))); text != tt.text {
			t.Errorf("%s: text %q", tt.name, text)
		}
	}
	failure := appendMSFailure(nil, [16]byte(unhex(rfc2759Challenge)), "Access denied")
	if want := "E=691 R=0 C=5B5D7C7D7B3F2F3E3C2C602132262628 V=3 M=Access denied"; string(failure) != want {
		t.Errorf("%s", failure)
	}
}

func TestMSCHAPv2Authenticator(t *testing.T) {
	begin := func() (*talk, AuthRequest) {
		k := authenticating(t, LinkConfig{SystemName: "bras1", Rechallenge: time.Minute}, AuthMSCHAPv2)
		copy(k.l.demand.(*chapAuthenticator).challenge[:], unhex(rfc2759Challenge))
		k.want("16 random octets", paramsPPPoE, lcpUpFor(AuthMSCHAPv2, AuthNone), "CHAP Challenge 2: 10"+strings.Repeat("02", 16)+"6272617331")
		k.in(ProtoCHAP, chapResponse, 2, "10"+strings.Repeat("00", 16)+"55736572")
		k.in(ProtoCHAP, chapResponse, 2, "31"+rfc2759Value[2:])
		k.want("a Response of MD5's length, and one cut short")
		if c := k.l.Counters(); c.Malformed != 2 {
			t.Errorf("%+v", c)
		}
		k.in(ProtoCHAP, chapResponse, 2, "31"+rfc2759Value+"55736572")
		k.outs()
		r, ok := k.seen[0].(AuthRequest)
		if !ok || len(k.seen) != 1 || r.Method != AuthMSCHAPv2 || r.Name != rfc2759User {
			t.Fatalf("%+v", k.seen)
		}
		return k, r
	}
	k, r := begin()
	if !r.Verify(rfc2759Password) {
		t.Error("not verified")
	}
	k.l.AuthResult(k.now, r.ID, true, r.SuccessMessage(rfc2759Password, "Welcome"))
	success := fmt.Sprintf("CHAP Success 2: %q", rfc2759Proof+" M=Welcome")
	k.want("we prove ourselves, too", success, "Authenticated{Local:false Method:ms-chapv2 Name:User Message:}")
	k.in(ProtoCHAP, chapResponse, 2, "31"+rfc2759Value+"55736572")
	k.want("the Success was lost", success)
	k.wait(time.Minute)
	k.want("a new challenge", "CHAP Challenge 3: 10"+strings.Repeat("03", 16)+"6272617331")
	k.in(ProtoCHAP, chapResponse, 3, "31"+rfc2759Value+"75736572")
	k.want("under another name: refused, in the words of RFC 2759",
		`CHAP Failure 3: "E=691 R=0 C=`+strings.Repeat("04", 16)+` V=3 M="`, paramsDown, deny, `LCP Terminate-Request 4: "auth-failed"`)

	k, r = begin()
	k.l.AuthResult(k.now, r.ID, false, "Access denied")
	k.want("refused", `CHAP Failure 2: "E=691 R=0 C=`+strings.Repeat("03", 16)+` V=3 M=Access denied"`, paramsDown, deny, `LCP Terminate-Request 3: "auth-failed"`)

	k, r = begin()
	k.l.AuthResult(k.now, r.ID, true, "Welcome")
	k.want("an owner that proves nothing would be left by the peer",
		`CHAP Failure 2: "E=691 R=0 C=`+strings.Repeat("03", 16)+` V=3 M="`, paramsDown, deny, `LCP Terminate-Request 3: "auth-failed"`)

	k, r = begin()
	k.l.AuthResult(k.now, r.ID, false, strings.Repeat("x", 300))
	k.outs()
	if n := len(k.seen[0].(SendFrame).Frame) - 2 - HeaderLen; n != maxText {
		t.Errorf("a Message of %d octets", n)
	}
}

func TestMSCHAPv2Peer(t *testing.T) {
	random := func(b []byte) { copy(b, unhex(rfc2759Peer)) }
	c := LinkConfig{Name: rfc2759User, Secret: rfc2759Password, Random: random}
	challenge := "10" + rfc2759Challenge + "6e6173"
	response := "CHAP Response 5: 31" + rfc2759Value + "55736572"
	begin := func() *talk {
		k := proving(t, c, AuthMSCHAPv2)
		k.want("the authenticator speaks first", paramsPPPoE, lcpUpFor(AuthNone, AuthMSCHAPv2))
		k.in(ProtoCHAP, chapChallenge, 5, "08"+rfc2759Challenge[:16])
		k.want("RFC 2759 section 3: a challenge has 16 octets")
		if c := k.l.Counters(); c.Malformed != 1 {
			t.Errorf("%+v", c)
		}
		k.in(ProtoCHAP, chapChallenge, 5, challenge)
		k.want("we prove it", response)
		return k
	}
	k := begin()
	k.l.cfg.Random = func(b []byte) { clear(b) } // from here on another Peer-Challenge would be drawn
	k.in(ProtoCHAP, chapChallenge, 5, challenge)
	k.want("the Challenge again: the same Response, as the Success may be under way to the first", response)
	k.wait(3 * time.Second)
	k.want("the Success is lost", response)
	k.in(ProtoCHAP, chapSuccess, 5, fmt.Sprintf("%x", rfc2759Proof+" M=Welcome"))
	k.want("and it is the right authenticator", "Authenticated{Local:true Method:ms-chapv2 Name:User Message:Welcome}")
	k.in(ProtoCHAP, chapChallenge, 6, challenge)
	if got := k.outs(); len(got) != 1 || got[0] == response {
		t.Errorf("a new Challenge has a new Response: %v", got)
	}

	for _, message := range []string{"", "Welcome", "S=" + strings.Repeat("0", 40) + " M=Welcome", rfc2759Proof[:41]} {
		k = begin()
		k.in(ProtoCHAP, chapSuccess, 5, fmt.Sprintf("%x", message))
		k.want("an impostor: "+message, paramsDown,
			"LCPDown{Reason:auth-denied Message:the peer does not know our secret: its MS-CHAPv2 authenticator response is missing or wrong}",
			`LCP Terminate-Request 2: "auth-denied"`)
	}

	k = begin()
	k.in(ProtoCHAP, chapFailure, 5, fmt.Sprintf("%x", "E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=Access denied"))
	k.want("not believed; there is no other password to try", paramsDown, "LCPDown{Reason:auth-denied Message:E=691 Access denied}", `LCP Terminate-Request 2: "auth-denied"`)

	c.Name = `BIGCO\` + rfc2759User
	k = proving(t, c, AuthMSCHAPv2)
	k.outs()
	k.in(ProtoCHAP, chapChallenge, 5, challenge)
	k.want("the domain is in the Name, not in the hash", "CHAP Response 5: 31"+rfc2759Value+fmt.Sprintf("%x", c.Name))
}

// TestMSCHAPv2BothWays: each end proves itself to the other, which may be the
// same secret both ways, and none has the other do its work.
func TestMSCHAPv2BothWays(t *testing.T) {
	s, c := server(AuthMSCHAPv2), client("user", "secret")
	s.Name, s.Secret = "bras1", "secret"
	c.Auth = []AuthMethod{AuthMSCHAPv2}
	p := newISP(t, s, c)
	p.b.secret = "secret"
	p.begin()
	p.runUntil("up", time.Minute, p.bothUp)
	if n, m := count[Authenticated](p.a), count[Authenticated](p.b); n != 2 || m != 2 {
		t.Errorf("%d and %d", n, m)
	}

	k := newTalk(t, LinkConfig{Name: "us", Secret: "shared", Auth: []AuthMethod{AuthMSCHAPv2}})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "0305c22381")
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	k.outs()
	k.in(ProtoCHAP, chapChallenge, 9, "10"+strings.Repeat("02", 16)+"aa")
	k.want("our own challenge is not answered")
}

// FuzzMSCHAPv2: what one end makes the other takes, and no octet of it may
// differ; what a stranger sends is read without harm.
func FuzzMSCHAPv2(f *testing.F) {
	f.Add(rfc2759User, rfc2759Password, "Welcome", unhex(rfc2759Challenge), unhex(rfc2759Value), []byte(rfc2759Proof+" M=Welcome"), uint8(7))
	f.Add(`BIGCO\u`, "", "", []byte{}, []byte{0x31}, []byte("E=691 R=0 C=00 V=3 M="), uint8(48))
	f.Add(`\`, "ü€😀\xff", "M=M=", make([]byte, 16), make([]byte, 49), []byte("S=M="), uint8(200))
	f.Fuzz(func(t *testing.T, name, secret, text string, challenge, value, message []byte, at uint8) {
		strange := AuthRequest{Method: AuthMSCHAPv2, Name: name, Challenge: challenge, Response: value}
		if strange.Verify(secret) != strange.VerifyNTHash(NTHash(secret)) {
			t.Error("Verify and VerifyNTHash differ")
		}
		if _, _, ok := parseMSSuccess(message); ok && !bytes.HasPrefix(message, []byte("S=")) {
			t.Errorf("%q proves something", message)
		}
		if len(msText(message)) > len(message) {
			t.Errorf("%q: text %q", message, msText(message))
		}

		hash := NTHash(secret)
		var peer [16]byte
		copy(peer[:], value)
		h := challengeHash(peer[:], challenge, name)
		response := ntResponse(h, hash)
		good := AuthRequest{Method: AuthMSCHAPv2, Name: name, Challenge: challenge, Response: appendMSResponse(nil, peer, response)}
		if !good.Verify(secret) {
			t.Error("our own response is not verified")
		}
		proof, got, ok := parseMSSuccess([]byte(good.SuccessMessage(secret, text)))
		if !ok || proof != authenticatorResponse(hash, response[:], h) || string(got) != text {
			t.Errorf("proof %X, text %q, %v", proof, got, ok)
		}
		if got, want := string(msText(appendMSFailure(nil, peer, text))), strings.TrimSuffix("E=691 "+text, " "); got != want && got != "E=691 "+text {
			t.Errorf("failure %q", got)
		}
		i := int(at) % msResponseLen
		reserved := i >= 16 && i < 24 || i == 48
		good.Response[i] ^= 1
		if good.Verify(secret) != reserved {
			t.Errorf("octet %d changed: verified %v", i, !reserved)
		}
		good.Response[i] ^= 1
		if good.Challenge = append(bytes.Clone(challenge), 0); good.Verify(secret) {
			t.Error("another challenge")
		}
	})
}
