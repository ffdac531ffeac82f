package config

import (
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// maxTimeout bounds the times after which a user is hung up.
const maxTimeout = 31 * 24 * time.Hour

// sharedDecoder decodes what a group of lines has in mode shared.
type sharedDecoder struct {
	*decoder
	*Shared
	sessionsAt []ast.Node // where Sessions[i] stands
}

// keys are the keys that only mode shared has.
func (d *sharedDecoder) keys() map[string]value {
	s := d.Shared
	s.Auth = allAuth() // until finish knows whether there are users
	return map[string]value{
		"session": func(n ast.Node) {
			if _, several := n.(*ast.SequenceNode); several {
				d.errorf(n, "session is one session; several are sessions: [...]")
				return
			}
			d.session(n)
		},
		"sessions": func(n ast.Node) {
			if d.list(n, "sessions", func(_ int, n ast.Node) { d.session(n) }) {
				d.errorf(n, "sessions needs at least one session")
			}
		},
		"auth":            d.auth(&s.Auth),
		"users":           d.path(&s.Users, "users"),
		"pool":            d.name(&s.Pool, "pool"),
		"user_to_user":    word(d.decoder, &s.UserToUser, "user_to_user", UserToUserISP, UserToUserLocal, UserToUserNone),
		"when_busy":       word(d.decoder, &s.WhenBusy, "when_busy", BusyRefuse, BusyReplace),
		"dns":             d.dns(&s.DNS),
		"mtu":             d.mtu(&s.MTU, false),
		"login_timeout":   d.duration(&s.LoginTimeout, "login_timeout", time.Second, maxTimeout, true),
		"idle_timeout":    d.duration(&s.IdleTimeout, "idle_timeout", time.Second, maxTimeout, true),
		"session_timeout": d.duration(&s.SessionTimeout, "session_timeout", time.Second, maxTimeout, true),
		"user_echo":       d.echo(&s.UserEcho, "user_echo"),
		"ipv6":            d.boolean(&s.IPv6, "ipv6"),
	}
}

// session is one session that the group uses.
func (d *sharedDecoder) session(n ast.Node) {
	var name string
	d.name(&name, "session")(n)
	switch {
	case name == "":
	case slices.Contains(d.Sessions, name):
		d.errorf(n, "sessions has %q twice", name)
	default:
		d.Sessions, d.sessionsAt = append(d.Sessions, name), append(d.sessionsAt, n)
	}
}

// finish is what is checked and defaulted when all keys of a group are known.
func (d *sharedDecoder) finish(l *Lines, n ast.Node, keys given) {
	switch {
	case keys["session"] == nil && keys["sessions"] == nil:
		d.errorf(n, "a group of lines in mode shared needs \"session\"")
	case keys["session"] != nil && keys["sessions"] != nil:
		d.errorf(keys["sessions"], "a group of lines has session, or sessions for several, not both")
	}
	if keys["pool"] == nil {
		d.errorf(n, "a group of lines in mode shared needs \"pool\"")
	}
	switch {
	case keys["users"] == nil && len(d.Auth) > 0:
		d.errorf(or(keys["auth"], n), "a group of lines in mode shared needs \"users\", or auth: [] to let in everyone")
	case keys["users"] != nil && len(d.Auth) == 0:
		d.errorf(keys["users"], "users are for nothing with auth: [], which asks nobody who they are")
	}
	if len(d.Auth) == 0 && keys["when_busy"] != nil {
		d.errorf(keys["when_busy"], "when_busy is about users, and auth: [] asks nobody who they are")
	}
	// A line that is always up has nobody on it for as long as it likes, and
	// who comes at the end of a minute is not to be hung up at once.
	if l.Serial != nil && !l.Serial.Carrier && keys["login_timeout"] == nil {
		d.LoginTimeout = 0
	}
	if d.IPv6 && d.MTU < minMTU6 {
		d.errorf(keys["mtu"], "mtu is at least %d with ipv6: true", minMTU6)
	}
	for _, a := range d.DNS {
		if a.Is6() && !d.IPv6 {
			d.errorf(keys["dns"], "dns: users hear of %s only with ipv6: true", a)
		}
	}
}

func or(a, b ast.Node) ast.Node {
	if a != nil {
		return a
	}
	return b
}

// session decodes one entry of sessions.
func (d *decoder) session(s *Session, n ast.Node) given {
	s.Auth = allAuth()
	keys := d.mapping(n, "a session", map[string]value{
		"name":          d.name(&s.Name, "name"),
		"uplink":        d.name(&s.Uplink, "uplink"),
		"user":          d.user(&s.User),
		"password_file": d.path(&s.PasswordFile, "password_file"),
		"auth":          d.auth(&s.Auth),
		"service_name":  d.text(&s.ServiceName, "service_name", maxServiceName),
		"max_users":     d.integer(&s.MaxUsers, "max_users", 0, 1_000_000),
		"nat":           d.boolean(&s.NAT, "nat"),
		"nat_ports": func(n ast.Node) {
			d.mapping(n, "nat_ports", map[string]value{
				"block":  d.natBlock(&s.NATPorts.Block),
				"blocks": d.integer(&s.NATPorts.Blocks, "blocks", 1, 256),
			})
			if s.NATPorts.Block*s.NATPorts.Blocks > natPorts {
				d.errorf(n, "nat_ports: %d blocks of %d ports are more than the %d that an address has", s.NATPorts.Blocks, s.NATPorts.Block, natPorts)
			}
		},
		"mtu": d.mtu(&s.MTU, true),
		"redial": func(n ast.Node) {
			d.mapping(n, "redial", map[string]value{
				"min": d.duration(&s.Redial.Min, "min", 100*time.Millisecond, time.Hour, false),
				"max": d.duration(&s.Redial.Max, "max", 100*time.Millisecond, 24*time.Hour, false),
			})
			if s.Redial.Max < s.Redial.Min {
				d.errorf(n, "redial: max is %s, which is less than min, %s", short(s.Redial.Max), short(s.Redial.Min))
			}
		},
		"ipv6": d.boolean(&s.IPv6, "ipv6"),
	}, "name", "uplink")
	if keys == nil {
		return nil
	}
	d.proof(s, keys)
	if keys["nat_ports"] != nil && !s.NAT {
		d.errorf(keys["nat_ports"], "nat_ports is for a session with nat: true")
	}
	if s.NAT && s.MaxUsers > s.NATPorts.Users() {
		d.errorf(keys["max_users"], "max_users is %d, but one address has blocks of %d ports for %d users only", s.MaxUsers, s.NATPorts.Block, s.NATPorts.Users())
	}
	if s.IPv6 && s.MTU > 0 && s.MTU < minMTU6 {
		d.errorf(keys["mtu"], "mtu is at least %d with ipv6: true", minMTU6)
	}
	return keys
}

// natBlock is how many ports a block has: the number of a port's block is a
// shift away, so it is a power of two.
func (d *decoder) natBlock(dst *int) value {
	return func(n ast.Node) {
		switch v, ok := d.number(n, "block", 16, 8192); {
		case !ok:
		case v&(v-1) != 0:
			d.errorf(n, "block is a power of two, such as %d, not %d", 1<<bits.Len(uint(v)), v)
		default:
			*dst = v
		}
	}
}

// proof holds a session to a user with a password and a way to prove it, or to
// nothing of that.
func (d *decoder) proof(s *Session, keys given) {
	user, file, auth := keys["user"], keys["password_file"], keys["auth"]
	switch {
	case user != nil && file == nil:
		d.errorf(user, "user needs \"password_file\"")
	case user == nil && file != nil:
		d.errorf(file, "password_file needs \"user\"")
	case user != nil && len(s.Auth) == 0:
		d.errorf(auth, "auth: [] proves nothing, so there is no use for user and password_file")
	case user == nil && auth != nil && len(s.Auth) > 0:
		d.errorf(auth, "auth needs \"user\" and \"password_file\"")
	}
	if user == nil {
		s.Auth = nil
	}
}

// user is a name by which we prove ourselves.
func (d *decoder) user(dst *string) value {
	return func(n ast.Node) {
		// RFC 1334 section 2.2.1: the Peer-ID-Length field is one octet.
		before := len(d.errs)
		d.text(dst, "user", 255)(n)
		if len(d.errs) == before && *dst == "" {
			d.errorf(n, "user is the name that the ISP knows us by")
		}
	}
}

// auth is a list of ways to prove who one is; empty is none.
func (d *decoder) auth(dst *[]Auth) value {
	return func(n ast.Node) {
		var methods []Auth
		before := len(d.errs)
		d.list(n, "auth", func(_ int, n ast.Node) {
			var a Auth
			word(d, &a, "auth", allAuth()...)(n)
			if a != "" && slices.Contains(methods, a) {
				d.errorf(n, "auth has %s twice", a)
			}
			methods = append(methods, a)
		})
		if len(d.errs) == before {
			*dst = methods
		}
	}
}

// minMTU and minMTU6 are the least that a path is expected to carry. RFC 1122
// section 3.3.2: the size that every host must reassemble, "EMTU_R MUST be
// greater than or equal to 576". RFC 8200 section 5: "IPv6 requires that every
// link in the Internet have an MTU of 1280 octets or greater."
const (
	minMTU  = 576
	minMTU6 = 1280
)

// mtu is the size of an IP packet; 0 is allowed if it has a meaning.
func (d *decoder) mtu(dst *int, zeroToo bool) value {
	return func(n ast.Node) {
		if _, ok := n.(*ast.IntegerNode); ok && zeroToo && n.GetToken().Value == "0" {
			*dst = 0
			return
		}
		d.integer(dst, "mtu", minMTU, 1500)(n)
	}
}

// echo is when a silent peer is asked, and how often in vain.
func (d *decoder) echo(e *Echo, key string) value {
	return func(n ast.Node) {
		d.mapping(n, key, map[string]value{
			"interval": d.duration(&e.Interval, "interval", time.Second, time.Hour, true),
			"failures": d.integer(&e.Failures, "failures", 1, 100),
		})
	}
}

// dns is a list of servers' addresses; empty is the ISP's.
func (d *decoder) dns(dst *[]netip.Addr) value {
	return func(n ast.Node) {
		var servers []netip.Addr
		of4 := 0
		d.list(n, "dns", func(_ int, n ast.Node) {
			s, ok := d.scalar(n, "dns")
			if !ok {
				return
			}
			a, err := netip.ParseAddr(s)
			switch {
			case err != nil || a.Zone() != "" || a.Is4In6():
				d.errorf(n, "dns is a list of addresses such as 192.0.2.53 or \"2001:db8::53\", not %.80q", s)
			case notUnicast(netip.PrefixFrom(a, a.BitLen())) != "":
				d.errorf(n, "dns: %s is %s", a, notUnicast(netip.PrefixFrom(a, a.BitLen())))
			case slices.Contains(servers, a):
				d.errorf(n, "dns has %s twice", a)
			default:
				if servers = append(servers, a); a.Is4() {
					of4++
				}
				if a.Is4() && of4 > MaxDNS || a.Is6() && len(servers)-of4 > MaxDNS {
					d.errorf(n, "dns has at most %d servers of each kind, IPv4 and IPv6", MaxDNS)
				}
			}
		})
		*dst = servers
	}
}
