package aaa

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"testing"

	"tributary/ppp"
)

// The example of RFC 2759 section 9.2.
const rfc2759Password = "clientPass"

func rfc2759Request(t *testing.T, name string) ppp.AuthRequest {
	t.Helper()
	octets := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	response := octets("21402324255E262A28295F2B3A337C7E" + "0000000000000000" + "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF" + "00")
	return ppp.AuthRequest{Method: ppp.AuthMSCHAPv2, Name: name, Challenge: octets("5B5D7C7D7B3F2F3E3C2C602132262628"), Response: response}
}

func pap(name, password string) ppp.AuthRequest {
	return ppp.AuthRequest{Method: ppp.AuthPAP, Name: name, Password: password}
}

func chap(name, password string) ppp.AuthRequest {
	digest := ppp.CHAPMD5(7, password, []byte("challenge"))
	return ppp.AuthRequest{Method: ppp.AuthCHAPMD5, Name: name, CHAPID: 7, Challenge: []byte("challenge"), Response: digest[:]}
}

func TestVerify(t *testing.T) {
	ntHash := ppp.NTHash(rfc2759Password)
	u := parse(t, `
users:
  - {name: clear, password: secret}
  - {name: bcrypt, hash: "`+bcryptOfSecret+`"}
  - {name: argon, hash: "`+argonOfSecret+`"}
  - {name: User, password: "`+rfc2759Password+`"}
  - {name: "DOMAIN\\User", nt_hash: "`+fmt.Sprintf("%X", ntHash)+`"}
  - {name: off, password: secret, disabled: true}
`)
	ms, msNT, msWrong := rfc2759Request(t, "User"), rfc2759Request(t, `DOMAIN\User`), rfc2759Request(t, "User")
	msWrong.Response = bytes.Clone(msWrong.Response)
	msWrong.Response[30] ^= 1
	for _, tt := range []struct {
		why  string
		r    ppp.AuthRequest
		want Reason // "" is OK
	}{
		{"PAP, the password", pap("clear", "secret"), ""},
		{"PAP, another", pap("clear", "Secret"), ReasonWrongPassword},
		{"PAP, none", pap("clear", ""), ReasonWrongPassword},
		{"CHAP, the password", chap("clear", "secret"), ""},
		{"CHAP, another", chap("clear", "sekret"), ReasonWrongPassword},
		{"PAP against bcrypt", pap("bcrypt", "secret"), ""},
		{"PAP against bcrypt, another", pap("bcrypt", "secret2"), ReasonWrongPassword},
		{"PAP against argon2id", pap("argon", "secret"), ""},
		{"PAP against argon2id, another", pap("argon", "secre"), ReasonWrongPassword},
		{"CHAP against bcrypt cannot be", chap("bcrypt", "secret"), ReasonHashOnly},
		{"CHAP against argon2id cannot be", chap("argon", "secret"), ReasonHashOnly},
		{"MS-CHAPv2", ms, ""},
		{"MS-CHAPv2, wrong", msWrong, ReasonWrongPassword},
		{"MS-CHAPv2 against the NT hash, the domain is not hashed", msNT, ""},
		{"PAP against the NT hash", pap(`DOMAIN\User`, rfc2759Password), ""},
		{"PAP against the NT hash, another", pap(`DOMAIN\User`, "clientpass"), ReasonWrongPassword},
		{"CHAP against the NT hash cannot be", chap(`DOMAIN\User`, rfc2759Password), ReasonHashOnly},
		{"nobody", pap("nobody", "secret"), ReasonUnknownUser},
		{"nobody by CHAP", chap("nobody", "secret"), ReasonUnknownUser},
		{"a name is its octets", pap("CLEAR", "secret"), ReasonUnknownUser},
		{"no name", pap("", ""), ReasonUnknownUser},
		{"disabled", pap("off", "secret"), ReasonDisabled},
		{"disabled, and wrong besides", pap("off", "x"), ReasonDisabled},
		{"no method", ppp.AuthRequest{Name: "clear"}, ReasonHashOnly},
	} {
		got := u.Verify(tt.r)
		if got.Reason != tt.want || got.OK != (tt.want == "") {
			t.Errorf("%s: %+v, want %q", tt.why, got, tt.want)
		}
		switch {
		case !got.OK:
			if got.User != nil || got.Message != refusal {
				t.Errorf("%s: %+v: a refusal tells nothing", tt.why, got)
			}
		case got.User == nil || got.User.Name != tt.r.Name:
			t.Errorf("%s: %+v, want user %q", tt.why, got, tt.r.Name)
		case tt.r.Method == ppp.AuthMSCHAPv2:
			if !strings.HasPrefix(got.Message, "S=407A5589115FD0D6209F510FE9C04566932CDA56") {
				t.Errorf("%s: %q proves nothing to the peer", tt.why, got.Message)
			}
		}
	}
	if got := parse(t, "users: []").Verify(pap("a", "")); got.Reason != ReasonUnknownUser {
		t.Errorf("nobody is let in where there are no users: %+v", got)
	}
}

// slow counts how often it is verified against.
type slow struct{ n int }

func (s *slow) can(m ppp.AuthMethod) bool             { return m == ppp.AuthPAP }
func (s *slow) verify(ppp.AuthRequest) (string, bool) { s.n++; return "welcome", true }

// Names that are not there cost what names that are there do.
func TestUnknownNamesTakeTheTimeOfKnownOnes(t *testing.T) {
	u := &Users{byName: map[string]*User{}, seed: maphash.MakeSeed()}
	const users = 4
	for i := range users {
		user := &User{Name: fmt.Sprint("user", i), secret: &slow{}}
		u.list, u.byName[user.Name] = append(u.list, user), user
	}
	work := func() (all []int) {
		for _, user := range u.list {
			all = append(all, user.secret.(*slow).n)
		}
		return all
	}
	stoodIn := map[int]bool{}
	for i := range 200 {
		name := fmt.Sprint("stranger", i)
		var first int
		for try := range 2 {
			before := work()
			if got := u.Verify(pap(name, "x")); got.OK || got.Message != refusal {
				t.Fatalf("%+v", got)
			}
			after, at := work(), -1
			for j := range after {
				if after[j] != before[j] {
					if at >= 0 || after[j] != before[j]+1 {
						t.Fatalf("%v, then %v", before, after)
					}
					at = j
				}
			}
			switch {
			case at < 0:
				t.Fatalf("%s was refused without any work", name)
			case try == 0:
				first = at
			case at != first:
				t.Fatalf("%s took the time of user %d, and then of user %d", name, first, at)
			}
			stoodIn[at] = true
		}
	}
	if len(stoodIn) != users {
		t.Errorf("strangers took the times of %d of %d users", len(stoodIn), users)
	}
	u.list[0].Disabled = true
	before := work()[0]
	if u.Verify(pap("user0", "x")); work()[0] != before+1 {
		t.Error("whoever is disabled costs less than others")
	}
}

// The hash of the reference implementation's own test, and the one we make.
func TestHashes(t *testing.T) {
	h, err := parseHash("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	if err != nil || !h.matches("password") || h.matches("passwort") {
		t.Errorf("%v, %v", h, err)
	}
	for _, password := range []string{"secret", strings.Repeat("x", 255), "\x00\xff"} {
		one, err := HashPassword(password)
		if err != nil {
			t.Fatal(err)
		}
		two, err := HashPassword(password)
		if err != nil || one == two {
			t.Fatalf("%v: no salt in %s", err, one)
		}
		u := parse(t, "users: [{name: a, hash: \""+one+"\"}]")
		if got := u.Verify(pap("a", password)); !got.OK {
			t.Errorf("%s of %q: %+v", one, password, got)
		}
		if got := u.Verify(pap("a", password+"x")); got.OK {
			t.Errorf("%s of %q fits another", one, password)
		}
	}
	for _, password := range []string{"", strings.Repeat("x", 256)} {
		if h, err := HashPassword(password); err == nil {
			t.Errorf("%q has hash %s", password, h)
		}
	}
}

// gate is a hash that takes until it is told to go on.
type gate struct{ entered, leave chan struct{} }

func (g *gate) can(ppp.AuthMethod) bool { return true }
func (g *gate) verify(ppp.AuthRequest) (string, bool) {
	g.entered <- struct{}{}
	<-g.leave
	return "", true
}

func TestVerifierIsBounded(t *testing.T) {
	g := &gate{make(chan struct{}), make(chan struct{})}
	user := &User{Name: "a", secret: g}
	u := &Users{list: []*User{user}, byName: map[string]*User{"a": user}}
	v := NewVerifier(2, 3)
	results := make(chan Result, 10)
	ask := func() bool { return v.Verify(u, pap("a", "x"), func(r Result) { results <- r }) }
	for range 2 {
		if !ask() {
			t.Fatal("a worker is idle")
		}
		<-g.entered
	}
	for i := range 3 {
		if !ask() {
			t.Fatalf("number %d may wait", i)
		}
	}
	if ask() {
		t.Fatal("three wait already")
	}
	select {
	case r := <-results:
		t.Fatalf("%+v, and no hash is done", r)
	default:
	}
	g.leave <- struct{}{}
	if r := <-results; !r.OK || r.User != user {
		t.Fatalf("%+v", r)
	}
	<-g.entered
	if !ask() {
		t.Fatal("there is room again")
	}

	var closing sync.WaitGroup
	closing.Go(v.Close)
	<-v.stop
	for range 2 {
		g.leave <- struct{}{}
	}
	closing.Wait()
	close(results)
	var ok, stopped int
	for r := range results {
		switch {
		case r.OK:
			ok++
		case r.Reason == ReasonStopping:
			stopped++
		}
	}
	if ok != 2 || stopped != 3 {
		t.Errorf("%d were let in and %d refused, want the 2 that were begun and the 3 that waited", ok, stopped)
	}
	if ask() {
		t.Error("a closed Verifier verifies")
	}
	v.Close()
}

func TestTally(t *testing.T) {
	var tally Tally[int]
	one, two, any := &User{Name: "one", Sessions: 1}, &User{Name: "two", Sessions: 2}, &User{Name: "any"}
	begin := func(why string, u *User, s int) {
		t.Helper()
		if _, ok := tally.Begin(u, s); !ok {
			t.Errorf("%s: %s has %d", why, u.Name, tally.Sessions(u.Name))
		}
	}
	refuse := func(why string, u *User, s, first int) {
		t.Helper()
		if oldest, ok := tally.Begin(u, s); ok || oldest != first {
			t.Errorf("%s: %s has %d, and %d is the oldest", why, u.Name, tally.Sessions(u.Name), oldest)
		}
	}
	tally.End(one, 1) // which never began
	begin("the first", one, 1)
	refuse("a second", one, 2, 1)
	begin("others count for themselves", two, 9)
	begin("two may be two", two, 3)
	refuse("not three", two, 4, 9)
	for i := range 100 {
		begin("no limit", any, 100+i)
	}
	tally.End(one, 2) // which was refused
	refuse("the first is still there", one, 2, 1)
	tally.End(one, 1)
	begin("again", one, 5)
	begin("a reload has raised the limit", &User{Name: "one", Sessions: 2}, 6)
	refuse("and lowered it", one, 7, 5)
	tally.End(one, 5)
	refuse("one is still there", one, 7, 6)
	tally.End(one, 6)
	tally.End(two, 9)
	if got := tally.Sessions("two"); got != 1 || tally.Sessions("any") != 100 {
		t.Errorf("two has %d", got)
	}
	tally.End(two, 3)
	for i := range 100 {
		tally.End(any, 100+i)
	}
	if len(tally.sessions) != 0 {
		t.Errorf("%v: who has no session takes no room", tally.sessions)
	}
}

func TestTallyAtOnce(t *testing.T) {
	var tally Tally[int]
	user := &User{Name: "a", Sessions: 3}
	begun := make(chan bool, 100)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, ok := tally.Begin(user, i)
			begun <- ok
		})
	}
	wg.Wait()
	close(begun)
	n := 0
	for ok := range begun {
		if ok {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d sessions at once, want 3", n)
	}
}

// What one login costs, by what the users file has of the password.
func BenchmarkVerify(b *testing.B) {
	made, err := HashPassword("secret")
	if err != nil {
		b.Fatal(err)
	}
	for name, keys := range map[string]string{"password": "password: secret", "HashPassword": `hash: "` + made + `"`} {
		u, err := Parse("u", []byte("users: [{name: a, "+keys+"}]"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if !u.Verify(pap("a", "secret")).OK {
					b.Fatal("refused")
				}
			}
		})
	}
}
