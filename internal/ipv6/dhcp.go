package ipv6

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// UDP ports of DHCPv6 (RFC 8415 section 7.2).
const (
	clientPort = 546
	serverPort = 547
)

// messageType is a DHCPv6 message's type (RFC 8415 section 7.3).
type messageType uint8

const (
	msgSolicit   messageType = 1
	msgAdvertise messageType = 2
	msgRequest   messageType = 3
	msgRenew     messageType = 5
	msgRebind    messageType = 6
	msgReply     messageType = 7
	msgRelease   messageType = 8
	msgInform    messageType = 11 // INFORMATION-REQUEST
)

// DHCPv6 options (RFC 8415 section 21, RFC 3646).
const (
	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optORO         = 6
	optPreference  = 7
	optElapsed     = 8
	optStatus      = 13
	optRapidCommit = 14
	optDNS         = 23
	optIAPD        = 25
	optIAPrefix    = 26
	optRefresh     = 32 // Information Refresh Time
	optSolMaxRT    = 82
	optInfMaxRT    = 83
)

// Bounds on what one message can make us remember. What is beyond them is not
// read.
const (
	maxIAs        = 4
	maxIAPrefixes = 8
	maxDUID       = 130 // RFC 8415 section 11.1: 128 octets and the type code
	maxStatusText = 256
)

// Status is a DHCPv6 status code (RFC 8415 section 21.13).
type Status uint16

// Status codes that occur where prefixes are delegated.
const (
	StatusSuccess       Status = 0
	StatusUnspecFail    Status = 1
	StatusNoAddrsAvail  Status = 2
	StatusNoBinding     Status = 3
	StatusUseMulticast  Status = 5
	StatusNoPrefixAvail Status = 6
)

// status is a Status Code option; without one it is success.
type status struct {
	code Status
	text string
}

// dhcpMessage is a DHCPv6 message with the options that are of use here. What was
// parsed borrows its identifiers from the message. Lifetimes are in seconds.
type dhcpMessage struct {
	kind      messageType
	xid       uint32 // 24 bits
	clientID  []byte // DUIDs; nil if there is none
	serverID  []byte
	requested []uint16 // options asked for
	elapsed   uint16   // hundredths of a second
	hasTime   bool     // there is an Elapsed Time option
	pref      uint8    // Preference
	rapid     bool     // Rapid Commit
	status    status
	prefixes  []iaPD // IA_PDs
	addresses []iaNA // IA_NAs: nobody gets an address here, but is to be told so
	dns       []netip.Addr
	refresh   uint32 // Information Refresh Time; 0 if there is none
	solMaxRT  uint32 // 0 if there is none
	infMaxRT  uint32
}

// iaPD is an identity association for prefixes (RFC 8415 section 21.21).
type iaPD struct {
	iaid     uint32
	t1, t2   uint32
	prefixes []iaPrefix
	status   status
}

// iaPrefix is an IA Prefix option in an IA_PD (RFC 8415 section 21.22). As a hint,
// its address may be zero and only its length count.
type iaPrefix struct {
	preferred, valid uint32
	prefix           netip.Prefix
}

// iaNA is an identity association for addresses, of which only the identifier
// is read.
type iaNA struct {
	iaid   uint32
	status status
}

// nextDHCPOption takes the first DHCPv6 option off the front of b. more is false
// at the end; ok is false where the rest is not a list of options.
func nextDHCPOption(b []byte) (code uint16, data, rest []byte, more, ok bool) {
	if len(b) == 0 {
		return 0, nil, nil, false, true
	}
	if len(b) < 4 {
		return 0, nil, nil, false, false
	}
	n := 4 + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return 0, nil, nil, false, false
	}
	return binary.BigEndian.Uint16(b), b[4:n:n], b[n:], true, true
}

// parseDHCP reads a message. It is refused if it is not a list of options or if
// one that is of use here is not what it must be; what is in all others is
// nobody's business. Of an option that may be there once, the first counts.
func parseDHCP(b []byte) (m dhcpMessage, ok bool) {
	if len(b) < 4 {
		return m, false
	}
	m.kind, m.xid = messageType(b[0]), uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3])
	var seen [2]uint64 // options that there may be one of, a bit for each code
	for b = b[4:]; ; {
		code, data, rest, more, ok := nextDHCPOption(b)
		if !more {
			return m, ok
		}
		b = rest
		if code < 128 && code != optIANA && code != optIAPD {
			word, bit := &seen[code/64], uint64(1)<<(code%64)
			if *word&bit != 0 {
				continue
			}
			*word |= bit
		}
		if !m.setOption(code, data) {
			return m, false
		}
	}
}

// setOption takes over one option; ok is false if it is ill-formed.
func (m *dhcpMessage) setOption(code uint16, data []byte) (ok bool) {
	switch code {
	case optClientID:
		m.clientID, ok = data, isDUID(data)
	case optServerID:
		m.serverID, ok = data, isDUID(data)
	case optORO:
		for ok = len(data)%2 == 0; ok && len(data) > 0; data = data[2:] {
			m.requested = append(m.requested, binary.BigEndian.Uint16(data))
		}
	case optPreference:
		if ok = len(data) == 1; ok {
			m.pref = data[0]
		}
	case optElapsed:
		if ok = len(data) == 2; ok {
			m.elapsed, m.hasTime = binary.BigEndian.Uint16(data), true
		}
	case optStatus:
		m.status, ok = parseStatus(data)
	case optRapidCommit:
		m.rapid, ok = true, len(data) == 0
	case optDNS:
		ok = len(data)%16 == 0
		for ; ok && len(data) > 0 && len(m.dns) < maxDNS; data = data[16:] {
			m.dns = append(m.dns, netip.AddrFrom16([16]byte(data)))
		}
	case optRefresh:
		m.refresh, ok = parseSeconds(data)
	case optSolMaxRT:
		m.solMaxRT, ok = parseSeconds(data)
	case optInfMaxRT:
		m.infMaxRT, ok = parseSeconds(data)
	case optIAPD:
		ia, good := parseIAPD(data)
		if ok = good; ok && len(m.prefixes) < maxIAs {
			m.prefixes = append(m.prefixes, ia)
		}
	case optIANA:
		if ok = len(data) >= 12; ok && len(m.addresses) < maxIAs {
			m.addresses = append(m.addresses, iaNA{iaid: binary.BigEndian.Uint32(data)})
		}
	default:
		ok = true
	}
	return ok
}

// isDUID: RFC 8415 section 11.1: "The length of the DUID (not including the type
// code) is at least 1 octet and at most 128 octets." The type code has two.
func isDUID(b []byte) bool { return len(b) >= 3 && len(b) <= maxDUID }

func parseSeconds(data []byte) (v uint32, ok bool) {
	if len(data) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(data), true
}

func parseStatus(data []byte) (s status, ok bool) {
	if len(data) < 2 {
		return s, false
	}
	text := data[2:]
	return status{Status(binary.BigEndian.Uint16(data)), printable(text[:min(len(text), maxStatusText)])}, true
}

// printable is text fit for terminals.
func printable(b []byte) string {
	out := make([]rune, 0, len(b))
	for _, r := range string(b) {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0xfffd || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			r = '.'
		}
		out = append(out, r)
	}
	return string(out)
}

func parseIAPD(data []byte) (ia iaPD, ok bool) {
	if len(data) < 12 {
		return ia, false
	}
	ia.iaid, ia.t1, ia.t2 = binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	hasStatus := false
	for b := data[12:]; ; {
		code, data, rest, more, ok := nextDHCPOption(b)
		if !more {
			return ia, ok
		}
		switch b = rest; code {
		case optStatus:
			s, ok := parseStatus(data)
			if !ok {
				return ia, false
			}
			if !hasStatus {
				ia.status, hasStatus = s, true
			}
		case optIAPrefix:
			p, ok := parseIAPrefix(data)
			if !ok {
				return ia, false
			}
			if len(ia.prefixes) < maxIAPrefixes {
				ia.prefixes = append(ia.prefixes, p)
			}
		}
	}
}

func parseIAPrefix(data []byte) (p iaPrefix, ok bool) {
	if len(data) < 25 || data[8] > 128 {
		return p, false
	}
	return iaPrefix{
		preferred: binary.BigEndian.Uint32(data),
		valid:     binary.BigEndian.Uint32(data[4:]),
		prefix:    netip.PrefixFrom(netip.AddrFrom16([16]byte(data[9:25])), int(data[8])).Masked(),
	}, true
}

// append appends the message's wire form.
func (m *dhcpMessage) append(dst []byte) []byte {
	dst = append(dst, byte(m.kind), byte(m.xid>>16), byte(m.xid>>8), byte(m.xid))
	if m.clientID != nil {
		dst = append(appendOption(dst, optClientID, len(m.clientID)), m.clientID...)
	}
	if m.serverID != nil {
		dst = append(appendOption(dst, optServerID, len(m.serverID)), m.serverID...)
	}
	if m.hasTime {
		dst = binary.BigEndian.AppendUint16(appendOption(dst, optElapsed, 2), m.elapsed)
	}
	if len(m.requested) > 0 {
		dst = appendOption(dst, optORO, 2*len(m.requested))
		for _, code := range m.requested {
			dst = binary.BigEndian.AppendUint16(dst, code)
		}
	}
	if m.pref != 0 {
		dst = append(appendOption(dst, optPreference, 1), m.pref)
	}
	if m.rapid {
		dst = appendOption(dst, optRapidCommit, 0)
	}
	dst = m.status.append(dst)
	for _, ia := range m.prefixes {
		dst = ia.append(dst)
	}
	for _, ia := range m.addresses {
		at := len(dst)
		dst = binary.BigEndian.AppendUint32(appendOption(dst, optIANA, 0), ia.iaid)
		dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
		dst = endOption(ia.status.append(dst), at)
	}
	if len(m.dns) > 0 {
		dst = appendOption(dst, optDNS, 16*len(m.dns))
		for _, s := range m.dns {
			a := s.As16()
			dst = append(dst, a[:]...)
		}
	}
	dst = appendSeconds(dst, optRefresh, m.refresh)
	dst = appendSeconds(dst, optSolMaxRT, m.solMaxRT)
	return appendSeconds(dst, optInfMaxRT, m.infMaxRT)
}

func appendSeconds(dst []byte, code uint16, v uint32) []byte {
	if v == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint32(appendOption(dst, code, 4), v)
}

func appendOption(dst []byte, code uint16, n int) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, code), uint16(n))
}

// endOption fills in the length of the option that begins at at and ends here.
func endOption(dst []byte, at int) []byte {
	binary.BigEndian.PutUint16(dst[at+2:], uint16(len(dst)-at-4))
	return dst
}

func (s status) append(dst []byte) []byte {
	if s == (status{}) {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(appendOption(dst, optStatus, 2+len(s.text)), uint16(s.code))
	return append(dst, s.text...)
}

func (ia *iaPD) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(appendOption(dst, optIAPD, 0), ia.iaid)
	dst = binary.BigEndian.AppendUint32(dst, ia.t1)
	dst = binary.BigEndian.AppendUint32(dst, ia.t2)
	for _, p := range ia.prefixes {
		addr := p.prefix.Addr().As16()
		dst = binary.BigEndian.AppendUint32(appendOption(dst, optIAPrefix, 25), p.preferred)
		dst = binary.BigEndian.AppendUint32(dst, p.valid)
		dst = append(dst, byte(p.prefix.Bits()))
		dst = append(dst, addr[:]...)
	}
	return endOption(ia.status.append(dst), at)
}

// asks reports whether the message's Option Request option names code.
func (m *dhcpMessage) asks(code uint16) bool { return slices.Contains(m.requested, code) }

// ia is the IA_PD with that identifier, nil if there is none.
func (m *dhcpMessage) ia(iaid uint32) *iaPD {
	for i := range m.prefixes {
		if m.prefixes[i].iaid == iaid {
			return &m.prefixes[i]
		}
	}
	return nil
}
