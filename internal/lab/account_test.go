package lab

import (
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestAccount(t *testing.T) {
	for _, i := range []int{0, 7, 12345} {
		user, want := Account(i)
		if secret, ok := Secret(user); !ok || secret != want {
			t.Errorf("Secret(%q) = %q, %v", user, secret, ok)
		}
	}
	for _, user := range []string{"", "u", "x1", "u-1", "u+1", "u01", "u1 ", "u99999999999", "uu1"} {
		if secret, ok := Secret(user); ok {
			t.Errorf("%q is let in with %q", user, secret)
		}
	}
}

func TestParseUsers(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Users
		err        string
	}{
		{"nothing", "", Users{}, ""},
		{"comments and blank lines", "# pppd's\n\n \t\r\n", Users{}, ""},
		{"pppd's form", "joe * secret *\nann\tserver\txyzzy\t192.0.2.7 # hers\n", Users{
			"joe": {Secret: "secret"}, "ann": {Secret: "xyzzy", Address: netip.MustParseAddr("192.0.2.7")},
		}, ""},
		{"quotes", `"joe \"j\" doe" * "two words" -`, Users{`joe "j" doe`: {Secret: "two words"}}, ""},
		{"a secret with # in it", `joe * "a#b"`, Users{"joe": {Secret: "a#b"}}, ""},
		{"an empty secret", `joe * ""`, Users{"joe": {}}, ""},
		{"no secret", "# first\njoe *\n", nil, "line 2: want a name"},
		{"too many words", "joe * s * *", nil, "line 1: want one address"},
		{"twice", "joe * s\njoe * t", nil, `line 2: user "joe" is there twice`},
		{"open quotes", `joe * "s`, nil, "line 1: a quotation mark"},
		{"no name", `"" * s`, nil, "line 1: the name is empty"},
		{"no address", "joe * s 192.0.2", nil, `line 1: "192.0.2" is no IPv4 address`},
		{"IPv6", "joe * s 2001:db8::1", nil, "no IPv4 address"},
		{"a line without end", strings.Repeat("x", 1<<17), nil, "token too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseUsers(strings.NewReader(tt.text))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// Whoever was read is read again from what he would be written as.
func FuzzParseUsers(f *testing.F) {
	f.Add("joe * secret 192.0.2.1\n\"a b\" * \"c\\\"d\" -\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := ParseUsers(strings.NewReader(text))
		if err != nil {
			return
		}
		quote := func(s string) string {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
		var b strings.Builder
		for name, u := range users {
			b.WriteString(quote(name) + " * " + quote(u.Secret))
			if u.Address.IsValid() {
				b.WriteString(" " + u.Address.String())
			}
			b.WriteString("\n")
		}
		again, err := ParseUsers(strings.NewReader(b.String()))
		if err != nil || !reflect.DeepEqual(again, users) {
			t.Errorf("%s\nbecame %v, %v, not %v", strconv.Quote(b.String()), again, err, users)
		}
	})
}
