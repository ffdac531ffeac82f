package pool

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// MaxItems is how many items of a prefix are used: the first ones of a larger
// prefix. It bounds what a pool remembers, and is more than it has lines.
const MaxItems = 1 << 20

// plan numbers the items of a prefix, from 0. An item is an address or a link's
// prefix; both are prefixes of so many bits.
type plan struct {
	first netip.Prefix // item 0
	n     uint32       // how many there are
	bad   [2]netip.Addr
}

// hostsOf is the hosts of an IPv4 prefix. RFC 1812 section 4.2.2.11: an address
// whose host part is 0 or -1 is no host's, but that of the network or a
// broadcast; RFC 3021 makes an exception for 31 bits.
func hostsOf(p netip.Prefix) plan {
	size := uint64(1) << (32 - p.Bits())
	if p.Bits() >= 31 {
		return plan{first: host(p.Addr()), n: uint32(size)}
	}
	return plan{
		first: host(p.Addr().Next()),
		n:     uint32(min(size-2, MaxItems)),
		bad:   [2]netip.Addr{p.Addr(), last(p)},
	}
}

// linksOf is the /64s of an IPv6 prefix of at most 64 bits.
func linksOf(p netip.Prefix) plan {
	n := uint64(MaxItems)
	if p.Bits() > 44 {
		n = 1 << (64 - p.Bits())
	}
	return plan{first: netip.PrefixFrom(p.Addr(), 64), n: uint32(n)}
}

// number is the top 64 bits of an IPv6 address, or the 32 of an IPv4 address:
// what counts the items.
func number(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// nth is item i.
func (p plan) nth(i uint32) netip.Prefix {
	at := number(p.first.Addr()) + uint64(i)
	var a netip.Addr
	if p.first.Addr().Is4() {
		a = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(at))))
	} else {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], at)
		a = netip.AddrFrom16(b)
	}
	return netip.PrefixFrom(a, p.first.Bits())
}

// index is nth's inverse; ok is false for what is no item.
func (p plan) index(item netip.Prefix) (i uint32, ok bool) {
	if !item.IsValid() || item.Bits() != p.first.Bits() || item.Addr().BitLen() != p.first.Addr().BitLen() || item != item.Masked() {
		return 0, false
	}
	d := number(item.Addr()) - number(p.first.Addr()) // huge if it lies before
	return uint32(d), d < uint64(p.n)
}

// usable reports whether item could be somebody's at all: it need not be one of
// the plan's.
func (p plan) usable(item netip.Prefix) bool {
	return item.Bits() == p.first.Bits() && item.Addr().BitLen() == p.first.Addr().BitLen() && item == item.Masked() &&
		item.Addr() != p.bad[0] && item.Addr() != p.bad[1]
}

// span is the items from lo to hi, both of them included.
type span struct{ lo, hi uint32 }

// span is those items that lie in the addresses from one to another, or that
// have a part in them: one span, or none.
func (p plan) span(from, to netip.Addr) []span {
	first := number(p.first.Addr())
	end := first + uint64(p.n) - 1
	lo, hi := max(number(from), first), min(number(to), end)
	if lo > hi {
		return nil
	}
	return []span{{uint32(lo - first), uint32(hi - first)}}
}

// spans is a sorted list of spans that do not touch each other.
type spans []span

func newSpans(in []span) (out spans) {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b span) int { return int(int64(a.lo) - int64(b.lo)) })
	for _, s := range in {
		if n := len(out); n > 0 && uint64(s.lo) <= uint64(out[n-1].hi)+1 {
			out[n-1].hi = max(out[n-1].hi, s.hi)
			continue
		}
		out = append(out, s)
	}
	return out
}

// find returns the span that i is in, if any.
func (s spans) find(i uint32) (span, bool) {
	at, _ := slices.BinarySearchFunc(s, i, func(s span, i uint32) int {
		switch {
		case s.hi < i:
			return -1
		case s.lo > i:
			return 1
		}
		return 0
	})
	if at < len(s) && s[at].lo <= i && i <= s[at].hi {
		return s[at], true
	}
	return span{}, false
}

// len is how many items are in them.
func (s spans) len() (n int) {
	for _, one := range s {
		n += int(one.hi-one.lo) + 1
	}
	return n
}

// last is the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().As16()
	skip := 0
	if p.Addr().Is4() {
		skip = 96
	}
	for bit := skip + p.Bits(); bit < 128; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	if skip > 0 {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
