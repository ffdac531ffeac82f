package aaa

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tributary/internal/config"
	"tributary/ppp"
)

// Hashes of "secret": one made by libxcrypt, one with as little work as there is.
const (
	bcryptOfSecret = "$2b$04$DQZX4P6qstw0sIVZSOb/3ea2msvEnGskLDre9CeppUo51pdV0is8m"
	argonOfSecret  = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$4mqQiyq0VpIzuZmp+8eSF3YJ7Av58TkEJ4LIdOVsAc4"
)

func parse(t *testing.T, yaml string) *Users {
	t.Helper()
	u, err := Parse("users.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestEveryKey(t *testing.T) {
	got := parse(t, `
users:
  - name: alice
    password: "clear text"
    address: 198.51.100.7
    sessions: 1
    rate: {down: 256k, up: 64000}
    limits: {session: 8h, idle: 30m}
    disabled: true
  - name: "OFFICE\\bob"
    hash: "`+bcryptOfSecret+`"
    pool: other
    sessions: 0
    rate: {down: 1.5M}
  - {name: "7", nt_hash: "878D8014606CDA29677A44EFA1353FC7", disabled: false, limits: {idle: 0}}
  - {name: carol, hash: "`+argonOfSecret+`", sessions: 3}
`)
	want := []*User{
		{
			Name: "alice", Address: netip.MustParseAddr("198.51.100.7"), Sessions: 1, Disabled: true,
			Rate: Rate{Down: 256_000, Up: 64_000}, Limits: Limits{Session: 8 * time.Hour, Idle: 30 * time.Minute},
		},
		{Name: `OFFICE\bob`, Pool: "other", Rate: Rate{Down: 1_500_000}},
		{Name: "7", Sessions: 1},
		{Name: "carol", Sessions: 3},
	}
	if diff := cmp.Diff(want, slices.Collect(got.All()), cmpopts.IgnoreUnexported(User{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Len() != 4 || fmt.Sprint(got.Fixed()) != "[198.51.100.7]" {
		t.Errorf("%d users, fixed %v", got.Len(), got.Fixed())
	}
	for _, u := range want {
		if found, ok := got.Lookup(u.Name); !ok || found.Name != u.Name {
			t.Errorf("no user %q", u.Name)
		}
	}
	if _, ok := got.Lookup("ALICE"); ok {
		t.Error("a name is its octets")
	}
	for _, u := range want {
		found, _ := got.Lookup(u.Name)
		for _, s := range []string{fmt.Sprintf("%+v", found), fmt.Sprintf("%+v", *found), fmt.Sprintf("%#v", *found)} {
			if strings.Contains(s, "clear text") || strings.Contains(s, "$2b$") {
				t.Errorf("a user who is printed prints his password: %s", s)
			}
		}
	}
	if nobody := parse(t, "users: []\n"); nobody.Len() != 0 || nobody.Fixed() != nil {
		t.Error("nobody is a number of users, too")
	}
}

func user(keys string) string { return "users: [{name: a, password: x, " + keys + "}]\n" }
func hash(h string) string    { return "users: [{name: a, hash: \"" + h + "\"}]\n" }

// badUsers are files with mistakes, and what Parse says: line, column, and a
// part of the message.
var badUsers = []struct {
	name, yaml string
	want       []string
}{
	{"empty", "", []string{`1:1: empty: "users:" and a list are needed`}},
	{"a list", "- name: a\n", []string{"1:1: want keys and values"}},
	{"not YAML", "users: [\n", []string{"1:8: "}},
	{"another key", "user: []\n", []string{`1:1: the users file has no key "user"; did you mean "users"?`, `1:1: the users file needs "users"`}},
	{"users by name", "users: {alice: {password: x}}\n", []string{"1:8: users is a list, not keys and values"}},
	{"a name alone", "users: [alice]\n", []string{`1:9: a user needs keys and values, not "alice"`}},
	{"nothing", "users: [{}]\n", []string{`1:9: a user needs "name"`, `1:9: a user needs "password", "hash" or "nt_hash"`}},
	{"no secret", "users: [{name: a}]\n", []string{`1:9: a user needs "password", "hash" or "nt_hash"`}},
	{"two secrets", "users: [{name: a, password: x, nt_hash: y}]\n", []string{"1:41: a user has one of password, hash and nt_hash, not password and nt_hash"}},
	{"unknown key", user("adress: 10.0.0.1"), []string{`1:32: a user has no key "adress"; did you mean "address"?`}},
	{"name twice", "users:\n- {name: a, password: x}\n- {name: b, password: x}\n- {name: a, password: y}\n", []string{`4:10: user "a" is there already, in line 2`}},
	{"name of a number", "users: [{name: 7, password: x}]\n", []string{"1:16: name is text: put 7 in quotes"}},
	{"name of nothing", `users: [{name: "", password: x}]`, []string{"1:16: name is empty"}},
	{"long name", "users: [{name: " + strings.Repeat("x", 256) + ", password: x}]\n", []string{"1:16: name has 256 octets, at most 255"}},
	{"name of two lines", `users: [{name: "a\nb", password: x}]`, []string{"1:16: name must be one line"}},

	{"password of nothing", `users: [{name: a, password: ""}]`, []string{"1:29: password is empty"}},
	{"password of a number", "users: [{name: a, password: 271828}]\n", []string{"1:29: password is text on one line: put it in quotes"}},
	{"password of a block", "users:\n- name: a\n  password: |\n    x\n", []string{"3:13: password is text on one line"}},
	{"long password", "users: [{name: a, password: " + strings.Repeat("x", 256) + "}]\n", []string{"1:29: password has 256 octets, at most 255"}},
	{"crypt", hash("$6$salt$hash"), []string{`1:25: hash begins with "$2b$" (bcrypt) or "$argon2id$"`}},
	{"MD5", hash("5ebe2294ecd0e0f08eab7690d2a6ee69"), []string{`1:25: hash begins with`}},
	{"bcrypt cut off", hash(bcryptOfSecret[:59]), []string{"1:25: hash is no bcrypt hash"}},
	{"bcrypt of an old kind", hash("$2x" + bcryptOfSecret[3:]), []string{"1:25: hash is no bcrypt hash"}},
	{"bcrypt too cheap", hash("$2b$03" + bcryptOfSecret[6:]), []string{"1:25: hash has bcrypt cost 03, from 4 to 14"}},
	{"bcrypt for hours", hash("$2b$31" + bcryptOfSecret[6:]), []string{"1:25: hash has bcrypt cost 31, from 4 to 14"}},
	{"argon2i", hash("$argon2i" + argonOfSecret[9:]), []string{`1:25: hash begins with`}},
	{"argon2 version 16", hash(strings.Replace(argonOfSecret, "v=19", "v=16", 1)), []string{"1:25: hash is no argon2id hash of version 19"}},
	{"argon2 for hours", hash(strings.Replace(argonOfSecret, "t=1", "t=999999", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 of all memory", hash(strings.Replace(argonOfSecret, "m=64", "m=4000000", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 of no memory", hash(strings.Replace(argonOfSecret, "m=64", "m=7", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 of no pass", hash(strings.Replace(argonOfSecret, "t=1", "t=0", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 of no lane", hash(strings.Replace(argonOfSecret, "p=1", "p=0", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 of 99 lanes", hash(strings.Replace(argonOfSecret, "m=64,t=1,p=1", "m=9999,t=1,p=99", 1)), []string{"1:25: hash has argon2id parameters out of bounds"}},
	{"argon2 with little salt", hash("$argon2id$v=19$m=64,t=1,p=1$c2FsdA$" + strings.Repeat("A", 43)), []string{"1:25: hash has an argon2id salt that"}},
	{"argon2 with little hash", hash("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA"), []string{"1:25: hash has an argon2id salt that"}},
	{"argon2 that is no base64", hash("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$A"), []string{"1:25: hash has an argon2id salt or hash that is no base64"}},
	{"NT hash of 31", `users: [{name: a, nt_hash: "878d8014606cda29677a44efa1353fc"}]`, []string{"1:28: nt_hash is 32 hexadecimal digits"}},
	{"NT hash of letters", "users: [{name: a, nt_hash: " + strings.Repeat("x", 32) + "}]", []string{"1:28: nt_hash is 32 hexadecimal digits"}},

	{"address of nothing", user(`address: ""`), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of a name", user("address: example.com"), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of IPv6", user(`address: "2001:db8::1"`), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of many", user("address: 224.0.0.1"), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of all", user("address: 255.255.255.255"), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of oneself", user("address: 127.0.0.1"), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of none", user("address: 0.0.0.0"), []string{"1:41: address is the IPv4 address of one host"}},
	{"address of a list", user("address: [10.0.0.1]"), []string{"1:41: address is text, not a list"}},
	{"address twice", "users:\n- {name: a, password: x, address: 10.0.0.1}\n- {name: b, password: x, address: 10.0.0.1}\n",
		[]string{"3:35: address 10.0.0.1 belongs to another user, in line 2"}},
	{"an address for two sessions", user("address: 10.0.0.1, sessions: 2"), []string{"1:61: sessions is 1 for a user with an address of his own"}},
	{"an address for any number of sessions", user("address: 10.0.0.1, sessions: 0"), []string{"1:61: sessions is 1 for a user with an address of his own"}},
	{"pool", user("pool: Other"), []string{"1:38: pool is made of a-z, 0-9"}},
	{"sessions", user("sessions: -1"), []string{"1:42: sessions is from 0 to 1000000, not -1"}},
	{"disabled", user("disabled: yes"), []string{`1:42: disabled is true or false, not "yes"`}},
	{"limits", user("limits: {session: 8, idle: 10ms, login: 1h}"),
		[]string{"1:50: session needs a unit", "1:59: idle is from 1s to 8784h, or 0", `1:65: limits has no key "login"`}},
	{"rates", user("rate: {down: fast, up: 1e6}"), []string{"1:45: down is a rate in bit/s, such as", "1:55: up is a rate in bit/s"}},
	{"rates of nothing", user("rate: {down: [], up: ''}"), []string{"1:45: down is a rate", "1:53: up is a rate"}},
	{"rates out of range", user("rate: {down: 999, up: 101G}"), []string{"1:45: down is from 1k to 100000M, or 0", "1:54: up is from 1k"}},

	{"all at once", "users:\n- {name: a, password: 1}\n- {name: b, hash: x, foo: 1}\n- {name: c}\n",
		[]string{"2:23: password is text", `3:19: hash begins with`, `3:22: a user has no key "foo"`, `4:3: a user needs "password"`}},
}

func TestBadUsers(t *testing.T) {
	for _, tt := range badUsers {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("u", []byte(tt.yaml))
			var errs config.Errors
			if !errors.As(err, &errs) {
				t.Fatalf("%v is no config.Errors", err)
			}
			if len(errs) != len(tt.want) {
				t.Fatalf("got\n%v\nwant\n%s", err, strings.Join(tt.want, "\n"))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(errs[i].Error(), "u:"+want) {
					t.Errorf("got  %v\nwant u:%s", errs[i], want)
				}
			}
			for _, secret := range []string{"271828", bcryptOfSecret[7:40], argonOfSecret[30:50]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("a complaint tells a secret: %v", err)
				}
			}
		})
	}
	if _, err := Parse("u", make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
}

func TestRates(t *testing.T) {
	for s, want := range map[string]uint64{
		"0": 0, "64000": 64_000, "64k": 64_000, "33.6k": 33_600, "1M": 1_000_000, "2.5G": 2_500_000_000,
		"1.23456789M": 1_234_567, "1.00000000001G": 1_000_000_000, "99999999999999999999": maxRate + 1, "18446744073709551615G": maxRate + 1,
	} {
		if got, ok := parseRate(s); !ok || got != want {
			t.Errorf("%s is %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "k", ".5M", "5.M", "1.5", "-1k", "1K", "1m", "1 M", "1.5.5M", "0x10", "1_000"} {
		if got, ok := parseRate(s); ok {
			t.Errorf("%q is %d", s, got)
		}
	}
}

func TestMethods(t *testing.T) {
	all := []ppp.AuthMethod{ppp.AuthMSCHAPv2, ppp.AuthCHAPMD5, ppp.AuthPAP, ppp.AuthNone}
	const (
		clear  = "- {name: a, password: secret}\n"
		bcrypt = "- {name: b, hash: \"" + bcryptOfSecret + "\"}\n"
		nt     = "- {name: c, nt_hash: \"878d8014606cda29677a44efa1353fc7\"}\n"
	)
	for users, want := range map[string]string{
		clear:               "[]",
		bcrypt:              "[ms-chapv2 chap-md5]",
		nt:                  "[chap-md5]",
		nt + bcrypt:         "[chap-md5]",
		bcrypt + nt + clear: "[]",
		"- []\n"[:0]:        "[ms-chapv2 chap-md5 pap]",
	} {
		yaml := "users:\n" + users
		if users == "" {
			yaml = "users: []\n"
		}
		if got := fmt.Sprint(parse(t, yaml).Methods(all)); got != want {
			t.Errorf("%s cannot do %s, want %s", users, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range badUsers {
		f.Add([]byte(tt.yaml))
	}
	f.Add([]byte(user("rate: {down: 1.5M}, limits: {idle: 1m}")))
	f.Add([]byte(hash(argonOfSecret)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		u, err := Parse("u", data)
		var errs config.Errors
		if err != nil {
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("%v is no config.Errors", err)
			}
			return
		}
		seen := map[netip.Addr]bool{}
		for user := range u.All() {
			if got, ok := u.Lookup(user.Name); !ok || got != user || user.Name == "" || user.secret == nil || user.Rate.Up > maxRate {
				t.Fatalf("%+v", user)
			}
			if user.Address.IsValid() && seen[user.Address] {
				t.Fatalf("%v twice", user.Address)
			}
			seen[user.Address] = true
		}
	})
}
