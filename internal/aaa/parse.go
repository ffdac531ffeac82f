package aaa

import (
	"encoding/hex"
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tributary/internal/config"
)

// maxName is the longest name in octets. RFC 1334 section 2.2.1: "The
// Peer-ID-Length field is one octet and indicates the length of the Peer-ID
// field".
const maxName = 255

// Parse checks the users in data. name is what errors call the file. The error
// is a config.Errors; no error repeats a password or a hash.
func Parse(name string, data []byte) (*Users, error) {
	if len(data) > MaxSize {
		return nil, config.Errors{{File: name, Message: "larger than " + strconv.Itoa(MaxSize) + " octets"}}
	}
	p := parser{
		users:     &Users{byName: map[string]*User{}, poolAt: map[*User]config.Error{}, seed: maphash.MakeSeed()},
		names:     map[string]int{},
		addresses: map[netip.Addr]int{},
	}
	err := config.ParseStrict(name, data, `"users:" and a list are needed; "users: []" is nobody`, func(s *config.Strict, root ast.Node) {
		p.Strict = s
		p.Mapping(root, "the users file", map[string]func(ast.Node){
			"users": func(n ast.Node) { p.List(n, "users", p.user) },
		}, "users")
	})
	if err != nil {
		return nil, err
	}
	return p.users, nil
}

// parser is one users file on its way in.
type parser struct {
	*config.Strict
	users     *Users
	names     map[string]int // and the line in which each was first used
	addresses map[netip.Addr]int
}

// user decodes one entry.
func (p *parser) user(_ int, n ast.Node) {
	u := &User{Sessions: 1}
	var clear, hash, ntHash string
	keys := p.Mapping(n, "a user", map[string]func(ast.Node){
		"name":     func(n ast.Node) { p.name(&u.Name, n) },
		"password": p.Secret(&clear, "password", maxPassword),
		"hash":     p.Secret(&hash, "hash", 512),
		"nt_hash":  p.Secret(&ntHash, "nt_hash", 512),
		"address":  func(n ast.Node) { p.address(&u.Address, n) },
		"pool":     p.Name(&u.Pool, "pool"),
		"sessions": p.Integer(&u.Sessions, "sessions", 0, 1_000_000),
		"rate": func(n ast.Node) {
			p.Mapping(n, "rate", map[string]func(ast.Node){
				"down": func(n ast.Node) { p.rate(&u.Rate.Down, "down", n) },
				"up":   func(n ast.Node) { p.rate(&u.Rate.Up, "up", n) },
			})
		},
		"limits": func(n ast.Node) {
			p.Mapping(n, "limits", map[string]func(ast.Node){
				"session": p.Duration(&u.Limits.Session, "session", time.Second, 366*24*time.Hour, true),
				"idle":    p.Duration(&u.Limits.Idle, "idle", time.Second, 366*24*time.Hour, true),
			})
		},
		"disabled": p.Bool(&u.Disabled, "disabled"),
	}, "name")
	if keys == nil {
		return
	}
	p.unique(u, keys)
	p.secret(u, n, keys, clear, hash, ntHash)
	if u.Pool != "" {
		p.users.poolAt[u] = p.ErrorAt(keys["pool"])
	}
	p.users.list = append(p.users.list, u)
	p.users.byName[u.Name] = u
}

// unique complains of a name or an address that an earlier user has, and of what
// cannot be together.
func (p *parser) unique(u *User, keys map[string]ast.Node) {
	if n := keys["name"]; u.Name != "" { // or that is a complaint already
		if line, twice := p.names[u.Name]; twice {
			p.Errorf(n, "user %q is there already, in line %d", u.Name, line)
		} else {
			p.names[u.Name] = p.Line(n)
		}
	}
	if !u.Address.IsValid() {
		return
	}
	n := keys["address"]
	if line, twice := p.addresses[u.Address]; twice {
		p.Errorf(n, "address %s belongs to another user, in line %d", u.Address, line)
	} else {
		p.addresses[u.Address] = p.Line(n)
	}
	if u.Sessions != 1 {
		p.Errorf(keys["sessions"], "sessions is 1 for a user with an address of his own: two sessions cannot have it")
	}
}

// secret makes of one of three keys what proves who u is.
func (p *parser) secret(u *User, n ast.Node, keys map[string]ast.Node, clear, hash, ntHash string) {
	var given []string
	for _, key := range []string{"password", "hash", "nt_hash"} {
		if keys[key] != nil {
			given = append(given, key)
		}
	}
	switch {
	case len(given) == 0:
		p.Errorf(n, `a user needs "password", "hash" or "nt_hash"`)
	case len(given) > 1:
		p.Errorf(keys[given[1]], "a user has one of password, hash and nt_hash, not %s", strings.Join(given, " and "))
	case clear != "":
		u.secret = &password{clear}
	case hash != "":
		h, err := parseHash(hash)
		if err != nil {
			p.Errorf(keys["hash"], "hash %v", err)
			return
		}
		u.secret = &hashOnly{h}
	case ntHash != "":
		b, err := hex.DecodeString(ntHash)
		if err != nil || len(b) != 16 {
			p.Errorf(keys["nt_hash"], "nt_hash is 32 hexadecimal digits: the MD4 digest of the password in UTF-16")
			return
		}
		u.secret = &ntHashOnly{[16]byte(b)}
	}
}

// unread is what no text can be: where it still stands, Text has complained.
const unread = "\x00"

func (p *parser) name(dst *string, n ast.Node) {
	s := unread
	switch p.Text(&s, "name", maxName)(n); s {
	case unread:
	case "":
		p.Errorf(n, "name is empty")
	default:
		*dst = s
	}
}

// address is an address that one host can have.
func (p *parser) address(dst *netip.Addr, n ast.Node) {
	s := unread
	if p.Text(&s, "address", 64)(n); s == unread {
		return
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		p.Errorf(n, "address is the IPv4 address of one host, such as 198.51.100.7, not %.64q", s)
		return
	}
	*dst = a
}

// maxRate is more than any line can carry.
const maxRate = 100_000_000_000

// rate is in bit/s: 64000, 64k or 1.5M; 0 is no limit.
func (p *parser) rate(dst *uint64, key string, n ast.Node) {
	v, ok := uint64(0), false
	switch n.(type) {
	case *ast.IntegerNode, *ast.StringNode:
		v, ok = parseRate(n.GetToken().Value)
	}
	switch {
	case !ok:
		p.Errorf(n, "%s is a rate in bit/s, such as 64000, 256k or 1.5M", key)
	case v != 0 && v < 1000 || v > maxRate:
		p.Errorf(n, "%s is from 1k to 100000M, or 0 for no limit", key)
	default:
		*dst = v
	}
}

// parseRate reads digits, perhaps with a decimal point, and perhaps k, M or G
// for thousands, millions and thousand millions, as rates of lines are told.
func parseRate(s string) (uint64, bool) {
	unit := uint64(1)
	if s != "" {
		switch s[len(s)-1] {
		case 'k':
			unit = 1e3
		case 'M':
			unit = 1e6
		case 'G':
			unit = 1e9
		}
	}
	if unit > 1 {
		s = s[:len(s)-1]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if !isNumber(whole) || point && (!isNumber(fraction) || unit == 1) {
		return 0, false
	}
	v, err := strconv.ParseUint(whole, 10, 64)
	if err != nil || v > maxRate/unit {
		return maxRate + 1, true // out of range, and the product may be, too
	}
	v *= unit
	for i, digit := range []byte(fraction) {
		if i == 9 {
			break // of a bit
		}
		unit /= 10
		v += uint64(digit-'0') * unit
	}
	return v, true
}

// isNumber reports whether s is a decimal number as people write it.
func isNumber(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
