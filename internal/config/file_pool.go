package config

import (
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// pool decodes one entry of pools.
func (d *decoder) pool(p *Pool, n ast.Node) given {
	keys := d.mapping(n, "a pool", map[string]value{
		"name":   d.name(&p.Name, "name"),
		"prefix": d.prefix4(&p.Prefix),
		"exclude": func(n ast.Node) {
			d.list(n, "exclude", func(_ int, n ast.Node) {
				if r, ok := d.addrRange(n); ok {
					p.Exclude = append(p.Exclude, r)
				}
			})
		},
		"gateway":      d.gateway(&p.Gateway),
		"prefix6":      d.prefix6(&p.Prefix6),
		"delegated_by": d.name(&p.DelegatedBy, "delegated_by"),
	}, "name", "prefix")
	if keys == nil {
		return nil
	}
	if keys["prefix6"] != nil && keys["delegated_by"] != nil {
		d.errorf(keys["delegated_by"], "a pool has prefix6, or delegated_by for one that the ISP gives, not both")
	}
	if p.Prefix.IsValid() {
		d.insidePool(p, keys)
	}
	if !p.Gateway.IsValid() && keys["gateway"] == nil && len(p.Exclude) > 0 {
		p.Gateway = p.Exclude[0].First
	}
	return keys
}

// insidePool checks what a pool says of its prefix.
func (d *decoder) insidePool(p *Pool, keys given) {
	inside := true
	if seq, ok := keys["exclude"].(*ast.SequenceNode); ok && len(seq.Values) == len(p.Exclude) {
		for i, r := range p.Exclude {
			if !p.Prefix.Contains(r.First) || !p.Prefix.Contains(r.Last) {
				d.errorf(seq.Values[i], "exclude: %s is not inside the prefix, %s", r, p.Prefix)
				inside = false
			}
		}
	}
	if inside && p.Room() == 0 {
		d.errorf(or(keys["exclude"], keys["prefix"]), "pool %q has no address for any user", p.Name)
	}
	if p.Gateway.IsValid() && p.Prefix.Contains(p.Gateway) && !p.Excludes(p.Gateway) {
		d.errorf(keys["gateway"], "gateway: %s is an address for users until exclude has it", p.Gateway)
	}
}

// addrRange is an address or first-last, both IPv4.
func (d *decoder) addrRange(n ast.Node) (AddrRange, bool) {
	s, ok := d.scalar(n, "exclude")
	if !ok {
		return AddrRange{}, false
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, err := netip.ParseAddr(first)
	b, err2 := netip.ParseAddr(last)
	switch {
	case err != nil || err2 != nil || !a.Is4() || !b.Is4():
		d.errorf(n, "exclude is a list of IPv4 addresses and ranges such as 192.0.2.1 or 192.0.2.250-192.0.2.254, not %.80q", s)
	case b.Less(a):
		d.errorf(n, "exclude: %s is behind %s; did you mean \"%s-%s\"?", a, b, b, a)
	default:
		return AddrRange{a, b}, true
	}
	return AddrRange{}, false
}

// gateway is an address that users know us by.
func (d *decoder) gateway(dst *netip.Addr) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, "gateway")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is4() {
			d.errorf(n, "gateway is an IPv4 address such as 192.0.2.1, not %.80q", s)
		} else if why := notUnicast(netip.PrefixFrom(a, 32)); why != "" {
			d.errorf(n, "gateway: %s is %s", a, why)
		} else {
			*dst = a
		}
	}
}

// prefix4 is where a pool's addresses come from.
func (d *decoder) prefix4(dst *netip.Prefix) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, "prefix")
		if !ok {
			return
		}
		const what = "a range of IPv4 addresses such as 198.51.100.0/24"
		p, ok := d.masked(n, "prefix", s, what)
		switch {
		case !ok:
		case !p.Addr().Is4():
			d.errorf(n, "prefix is %s, not %.80q; IPv6 has prefix6", what, s)
		case p.Bits() < 16:
			d.errorf(n, "prefix: %s is too large: a pool has at most %d addresses, which is a /16", p, MaxPool)
		case notUnicast(p) != "":
			d.errorf(n, "prefix: %s is %s", p, notUnicast(p))
		default:
			*dst = p
		}
	}
}

// prefix6 is where users' /64s come from.
func (d *decoder) prefix6(dst *netip.Prefix) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, "prefix6")
		if !ok {
			return
		}
		const what = "a range of IPv6 addresses such as 2001:db8:1::/48"
		p, ok := d.masked(n, "prefix6", s, what)
		switch {
		case !ok:
		case !p.Addr().Is6():
			d.errorf(n, "prefix6 is %s, not %.80q", what, s)
		case p.Bits() < 48:
			d.errorf(n, "prefix6: %s is too large: a pool has at most %d /64s, which is a /48", p, MaxPool)
		case p.Bits() > 64:
			d.errorf(n, "prefix6: %s is too small: each user has a /64", p)
		case notUnicast(p) != "":
			d.errorf(n, "prefix6: %s is %s", p, notUnicast(p))
		default:
			*dst = p
		}
	}
}

// notUnicast says what is wrong with p as addresses of hosts that a router
// reaches (RFC 6890 section 2.2), or nothing.
func notUnicast(p netip.Prefix) string {
	if p.Addr().Is6() {
		for _, unicast := range []string{"2000::/3", "fc00::/7"} {
			if u := netip.MustParsePrefix(unicast); p.Bits() >= u.Bits() && u.Contains(p.Addr()) {
				return ""
			}
		}
		return "no global unicast address"
	}
	for _, special := range []struct{ prefix, what string }{
		{"0.0.0.0/8", "of \"this network\""},
		{"127.0.0.0/8", "a loopback address"},
		{"169.254.0.0/16", "link-local"},
		{"224.0.0.0/4", "multicast"},
		{"240.0.0.0/4", "reserved"},
	} {
		if p.Overlaps(netip.MustParsePrefix(special.prefix)) {
			return special.what
		}
	}
	return ""
}
