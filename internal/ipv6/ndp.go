package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// ICMPv6 types (RFC 4443, RFC 4861 section 4).
const (
	icmpEchoRequest     = 128
	icmpEchoReply       = 129
	icmpRouterSolicit   = 133
	icmpRouterAdvert    = 134
	icmpNeighborSolicit = 135
	icmpNeighborAdvert  = 136
)

// Neighbor Discovery options (RFC 4861 section 4.6, RFC 8106 section 5).
const (
	optSourceLinkAddr = 1
	optPrefixInfo     = 3
	optMTU            = 5
	optRDNSS          = 25
)

// Flags of a Prefix Information option.
const (
	flagOnLink     = 0x80
	flagAutonomous = 0x40
)

// Flags of a Router Advertisement.
const (
	flagManaged = 0x80
	flagOther   = 0x40
)

// Bounds on what one advertisement can make us remember. What is beyond them is
// not read.
const (
	maxPrefixes = 4
	maxDNS      = 4
)

// nextOption takes the first Neighbor Discovery option off the front of b; data
// is all behind its Length. At the end, and at an ill-formed option, ok is false.
func nextOption(b []byte) (kind uint8, data, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	n := 8 * int(b[1])
	if n == 0 || n > len(b) {
		return 0, nil, nil, false
	}
	return b[0], b[2:n:n], b[n:], true
}

// optionsOK reports whether a list of options is well formed. RFC 4861 section
// 4.6: "Nodes MUST silently discard an ND packet that contains an option with
// length zero."
func optionsOK(b []byte) bool {
	for len(b) > 0 {
		_, _, rest, ok := nextOption(b)
		if !ok {
			return false
		}
		b = rest
	}
	return true
}

// hasOption reports whether there is an option of that kind in a list.
func hasOption(b []byte, kind uint8) bool {
	for {
		k, _, rest, ok := nextOption(b)
		if !ok || k == kind {
			return ok
		}
		b = rest
	}
}

// ndMessage is the ICMPv6 message in p, if it is a Neighbor Discovery message of
// that kind that every node accepts: RFC 4861 section 6.1.1 and its like ask for
// a hop limit of 255, a right checksum, code 0, the full length, and options
// whose length is not 0. min is the length without options.
func ndMessage(p *packet, kind uint8, min int) (msg []byte, ok bool) {
	m := p.payload
	if p.proto != protoICMP || p.hopLimit != ndHopLimit || len(m) < min || m[0] != kind || m[1] != 0 {
		return nil, false
	}
	if !optionsOK(m[min:]) || !p.sumOK() {
		return nil, false
	}
	return m, true
}

// routerSolicit is the length of a Router Solicitation without options.
const routerSolicitLen = 8

// parseRouterSolicit reports whether p is a Router Solicitation to be answered.
// RFC 4861 section 6.1.1: "If the IP source address is the unspecified address,
// there is no source link-layer address option in the message." Any other source
// on a link to one peer is its link-local address.
func parseRouterSolicit(p *packet) bool {
	m, ok := ndMessage(p, icmpRouterSolicit, routerSolicitLen)
	if !ok {
		return false
	}
	if p.src.IsUnspecified() {
		return !hasOption(m[routerSolicitLen:], optSourceLinkAddr)
	}
	return p.src.IsLinkLocalUnicast()
}

func appendRouterSolicit(dst []byte, from netip.Addr) []byte {
	at := len(dst)
	dst = appendHeader(dst, from, allRouters(), protoICMP, ndHopLimit)
	dst = append(dst, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0)
	finish(dst[at:], 2)
	return dst
}

// routerAdvert is a Router Advertisement (RFC 4861 section 4.2) with the options
// that matter on a point-to-point link. Lifetimes are in seconds.
type routerAdvert struct {
	hopLimit uint8 // 0: unspecified
	flags    uint8
	lifetime uint16
	mtu      uint32 // 0: none
	prefixes []prefixInfo
	dns      []dnsInfo
}

// prefixInfo is a Prefix Information option.
type prefixInfo struct {
	prefix           netip.Prefix
	flags            uint8
	valid, preferred uint32
}

// dnsInfo is an RDNSS option. Only the first server's are kept beyond maxDNS.
type dnsInfo struct {
	lifetime uint32
	servers  []netip.Addr
}

const routerAdvertLen = 16

// parseRouterAdvert reads a Router Advertisement. Options that are unknown, or
// whose content is not what it must be, are ignored. RFC 4861 section 6.1.2: "IP
// Source Address is a link-local address."
func parseRouterAdvert(p *packet) (ra routerAdvert, ok bool) {
	m, ok := ndMessage(p, icmpRouterAdvert, routerAdvertLen)
	if !ok || !p.src.IsLinkLocalUnicast() {
		return ra, false
	}
	ra = routerAdvert{hopLimit: m[4], flags: m[5], lifetime: binary.BigEndian.Uint16(m[6:])}
	for b := m[routerAdvertLen:]; ; {
		kind, data, rest, ok := nextOption(b)
		if !ok {
			return ra, true
		}
		switch b = rest; kind {
		case optPrefixInfo:
			ra.addPrefix(data)
		case optMTU:
			if len(data) == 6 {
				ra.mtu = binary.BigEndian.Uint32(data[2:])
			}
		case optRDNSS:
			ra.addDNS(data)
		}
	}
}

func (ra *routerAdvert) addPrefix(data []byte) {
	if len(data) != 30 || data[0] > 128 || len(ra.prefixes) == maxPrefixes {
		return
	}
	ra.prefixes = append(ra.prefixes, prefixInfo{
		// RFC 4861 section 4.6.2: "The bits in the prefix after the prefix length
		// are reserved and MUST be [...] ignored by the receiver."
		prefix:    netip.PrefixFrom(netip.AddrFrom16([16]byte(data[14:30])), int(data[0])).Masked(),
		flags:     data[1],
		valid:     binary.BigEndian.Uint32(data[2:]),
		preferred: binary.BigEndian.Uint32(data[6:]),
	})
}

// addDNS reads an RDNSS option, whose length is that of whole addresses: RFC 8106
// section 5.3.1 has a host check that it is 3 or more and odd.
func (ra *routerAdvert) addDNS(data []byte) {
	if len(data) < 6+16 || (len(data)-6)%16 != 0 || len(ra.dns) == maxDNS {
		return
	}
	info := dnsInfo{lifetime: binary.BigEndian.Uint32(data[2:])}
	for b := data[6:]; len(b) > 0 && len(info.servers) < maxDNS; b = b[16:] {
		info.servers = append(info.servers, netip.AddrFrom16([16]byte(b)))
	}
	ra.dns = append(ra.dns, info)
}

// append appends a whole packet. There is no source link-layer address: RFC 4861
// section 4.2: it is "only used on link layers that have addresses".
func (ra *routerAdvert) append(dst []byte, from, to netip.Addr) []byte {
	at := len(dst)
	dst = appendHeader(dst, from, to, protoICMP, ndHopLimit)
	dst = append(dst, icmpRouterAdvert, 0, 0, 0, ra.hopLimit, ra.flags)
	dst = binary.BigEndian.AppendUint16(dst, ra.lifetime)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0) // Reachable Time and Retrans Timer: unspecified
	if ra.mtu != 0 {
		dst = append(dst, optMTU, 1, 0, 0)
		dst = binary.BigEndian.AppendUint32(dst, ra.mtu)
	}
	for _, p := range ra.prefixes {
		addr := p.prefix.Addr().As16()
		dst = append(dst, optPrefixInfo, 4, byte(p.prefix.Bits()), p.flags)
		dst = binary.BigEndian.AppendUint32(dst, p.valid)
		dst = binary.BigEndian.AppendUint32(dst, p.preferred)
		dst = append(dst, 0, 0, 0, 0)
		dst = append(dst, addr[:]...)
	}
	for _, d := range ra.dns {
		dst = append(dst, optRDNSS, byte(1+2*len(d.servers)), 0, 0)
		dst = binary.BigEndian.AppendUint32(dst, d.lifetime)
		for _, s := range d.servers {
			addr := s.As16()
			dst = append(dst, addr[:]...)
		}
	}
	finish(dst[at:], 2)
	return dst
}
