package config

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tributary/pppoe"
)

// maxPath is Linux' PATH_MAX without the final zero.
const maxPath = 4095

// name is the name of a group or an uplink. It becomes part of the names of
// lines, of URLs and of logs, so it is plain.
func (d *decoder) name(dst *string, key string) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, key)
		if !ok {
			return
		}
		if !isName(s) {
			d.errorf(n, "%s is made of a-z, 0-9, '.', '_' and '-', begins with a letter or digit and has at most 32; not %.80q", key, s)
			return
		}
		*dst = s
	}
}

func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 32
}

// networkInterface is a name that Linux could give to an interface.
func (d *decoder) networkInterface(dst *string) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, "interface")
		if !ok {
			return
		}
		if s == "" || len(s) > 15 || s == "." || s == ".." || strings.ContainsFunc(s, notInterface) {
			d.errorf(n, "interface is the name of a network interface, such as eth1; %.80q cannot be one", s)
			return
		}
		*dst = s
	}
}

func notInterface(r rune) bool { return r == '/' || r == ':' || r <= ' ' || isControl(r) }

// mac is a unicast Ethernet address.
func (d *decoder) mac(dst *pppoe.MAC) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, "mac")
		if !ok {
			return
		}
		m, ok := parseMAC(s)
		switch {
		case !ok:
			d.errorf(n, "mac is an Ethernet address such as 02:00:5e:00:00:01, not %.80q", s)
		case m.IsMulticast() || m == pppoe.MAC{}:
			d.errorf(n, "mac is the address of one access concentrator; %s is no unicast address", m)
		default:
			*dst = m
		}
	}
}

func parseMAC(s string) (m pppoe.MAC, ok bool) {
	if len(s) != 17 {
		return m, false
	}
	for i := range m {
		if i > 0 && (s[3*i-1] != s[2] || s[2] != ':' && s[2] != '-') {
			return m, false
		}
		v, err := strconv.ParseUint(s[3*i:3*i+2], 16, 8)
		if err != nil {
			return m, false
		}
		m[i] = byte(v)
	}
	return m, true
}

// listen is a TCP address to listen on: an IP address or nothing, and a port.
// Host names are no addresses: what they mean may change after the check.
func (d *decoder) listen(dst *string, key string, n ast.Node) (netip.AddrPort, bool) {
	s, ok := d.scalar(n, key)
	if !ok {
		return netip.AddrPort{}, false
	}
	at, err := parseListen(s)
	if err != nil {
		d.errorf(n, "%s is an IP address and a port, such as 127.0.0.1:2323, [::1]:2323 or :2323, not %.80q", key, s)
		return netip.AddrPort{}, false
	}
	*dst = s
	return at, true
}

// parseListen gives an invalid address for "every address".
func parseListen(s string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(s, ":"); ok {
		v, err := strconv.ParseUint(port, 10, 16)
		return netip.AddrPortFrom(netip.Addr{}, uint16(v)), err
	}
	return netip.ParseAddrPort(s)
}

// prefix is an address range; a lone address is a range of one.
func (d *decoder) prefix(n ast.Node, key string) (netip.Prefix, bool) {
	s, ok := d.scalar(n, key)
	if !ok {
		return netip.Prefix{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return d.masked(n, key, s, "a list of prefixes such as 192.0.2.0/24 or 2001:db8::/32")
}

// masked is the prefix that s says, or a complaint that key is what.
func (d *decoder) masked(n ast.Node, key, s, what string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		d.errorf(n, "%s is %s, not %.80q", key, what, s)
		return netip.Prefix{}, false
	}
	if p != p.Masked() {
		d.errorf(n, "%s: %s has bits set behind the prefix; did you mean %q?", key, p, p.Masked())
		return netip.Prefix{}, false
	}
	return p, true
}

// path is the absolute path of one file. A relative one would depend on where
// the gateway is started.
func (d *decoder) path(dst *string, key string) value {
	return func(n ast.Node) {
		var p string
		before := len(d.errs)
		d.text(&p, key, maxPath)(n)
		switch {
		case len(d.errs) > before:
		case !path.IsAbs(p) || strings.HasSuffix(p, "/"):
			d.errorf(n, "%s is the absolute path of a file, not %.80q", key, p)
		default:
			*dst = path.Clean(p)
		}
	}
}

// paths is a list of absolute paths, each of which use accepts.
func (d *decoder) paths(dst *[]string, n ast.Node, key string, use func(p string, n ast.Node) bool) {
	if s, ok := n.(*ast.StringNode); ok {
		d.errorf(n, "%s is a list: [%.80q]", key, s.Value)
		return
	}
	if d.list(n, key, func(_ int, n ast.Node) {
		var p string
		before := len(d.errs)
		d.text(&p, key, maxPath)(n)
		switch {
		case len(d.errs) > before:
		case !path.IsAbs(p) || strings.HasSuffix(p, "/"):
			d.errorf(n, "%s has absolute paths, such as /dev/ttyS0, not %.80q", key, p)
		case use(path.Clean(p), n):
			*dst = append(*dst, path.Clean(p))
		}
	}) {
		d.errorf(n, "%s needs at least one path", key)
	}
}

// permissions is a file mode in octal, as chmod takes it.
func (d *decoder) permissions(dst *uint32, key string) value {
	return func(n ast.Node) {
		text := n.GetToken().Value
		v, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
		switch n.(type) {
		case *ast.IntegerNode, *ast.StringNode:
		default:
			err = fmt.Errorf("not a number")
		}
		if err != nil || v > 0o777 {
			d.errorf(n, "%s is permissions in octal, such as 0600 or 0660, not %s", key, describeNode(n))
			return
		}
		// 600 may be meant in decimal by someone who does not know the
		// difference, and in octal by everyone else: nothing is guessed.
		if !strings.HasPrefix(text, "0") {
			d.errorf(n, "%s is in octal: write 0%s", key, text)
			return
		}
		*dst = uint32(v)
	}
}
