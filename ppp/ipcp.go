package ppp

import (
	"bytes"
	"net/netip"
	"time"
)

// IPCP Configuration Options (RFC 1332 section 3, RFC 1877 section 1).
const (
	IPCPOptAddresses     uint8 = 1
	IPCPOptCompression   uint8 = 2
	IPCPOptAddress       uint8 = 3
	IPCPOptPrimaryDNS    uint8 = 129
	IPCPOptPrimaryNBNS   uint8 = 130
	IPCPOptSecondaryDNS  uint8 = 131
	IPCPOptSecondaryNBNS uint8 = 132
)

// ipcp is the IP Control Protocol (RFC 1332), with the name servers of RFC 1877.
type ipcp struct {
	ncp

	wantAddr bool // our request has option 3
	addr     netip.Addr
	wantDNS  [2]bool
	dns      [2]netip.Addr

	seen netip.Addr // the address in the peer's last Configure-Request
	peer netip.Addr // the address that is in force

	pending  uint32 // ID of the AddressRequest without an answer; 0 is none
	assigned bool   // assignment holds the owner's answer
	assignment
	held []byte // the Configure-Request that waits for it
}

// assignment is what the peer is told.
type assignment = Assignment

func (y *ipcp) reset() {
	c := y.l.cfg.IPv4
	y.wantAddr, y.addr = true, c.Local
	y.wantDNS = [2]bool{c.AskDNS, c.AskDNS}
	y.dns = [2]netip.Addr{}
}

func (y *ipcp) appendOptions(dst []byte) []byte {
	if y.wantAddr {
		dst = appendAddress(dst, IPCPOptAddress, y.addr)
	}
	if y.wantDNS[0] {
		dst = appendAddress(dst, IPCPOptPrimaryDNS, y.dns[0])
	}
	if y.wantDNS[1] {
		dst = appendAddress(dst, IPCPOptSecondaryDNS, y.dns[1])
	}
	return dst
}

// appendAddress appends an option that carries an address; 0.0.0.0, which asks
// the peer to tell, if a is the zero Addr.
func appendAddress(dst []byte, typ uint8, a netip.Addr) []byte {
	b := octets(a)
	return Option{typ, b[:]}.Append(dst)
}

func octets(a netip.Addr) [4]byte {
	if a = a.Unmap(); a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}

// optionAddress reads an address option; the zero Addr for 0.0.0.0, and ok is
// false if it has the wrong length.
func optionAddress(o Option) (a netip.Addr, ok bool) {
	if len(o.Data) != 4 {
		return a, false
	}
	if a = netip.AddrFrom4([4]byte(o.Data)); a.IsUnspecified() {
		a = netip.Addr{}
	}
	return a, true
}

// usable reports whether a can be the address of one end of a link.
func usable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// naked takes what the peer tells us. An address for us is taken only if we do
// not have one: a configured one stays, even if the peer would rather have another.
func (y *ipcp) naked(o Option) Reason {
	a, ok := optionAddress(o)
	if !ok || !usable(a) {
		return ""
	}
	switch o.Type {
	case IPCPOptAddress:
		if y.wantAddr && !y.l.cfg.IPv4.Local.IsValid() {
			y.addr = a
		}
	case IPCPOptPrimaryDNS:
		if y.wantDNS[0] {
			y.dns[0] = a
		}
	case IPCPOptSecondaryDNS:
		if y.wantDNS[1] {
			y.dns[1] = a
		}
	}
	return ""
}

func (y *ipcp) rejected(o Option) Reason {
	switch o.Type {
	case IPCPOptAddress:
		y.wantAddr = false
	case IPCPOptPrimaryDNS:
		y.wantDNS[0], y.dns[0] = false, netip.Addr{}
	case IPCPOptSecondaryDNS:
		y.wantDNS[1], y.dns[1] = false, netip.Addr{}
	}
	return ""
}

// judge judges a Configure-Request. With AssignPeer, the first one has the
// owner asked, and waits for the answer; later ones take its place.
func (y *ipcp) judge(in Packet, v *verdict) {
	y.seen = netip.Addr{}
	if y.l.cfg.IPv4.AssignPeer && !y.assigned {
		v.hold = true
		y.askAddress(in)
		return
	}
	said := false
	for o, rest, ok, _ := NextOption(in.Data); ok; o, rest, ok, _ = NextOption(rest) {
		switch o.Type {
		case IPCPOptAddress:
			said = true
			y.judgeAddress(o, v)
		case IPCPOptPrimaryDNS:
			judgeServer(o, y.server(y.DNS[0], y.l.cfg.IPv4.DNS[0]), v)
		case IPCPOptSecondaryDNS:
			judgeServer(o, y.server(y.DNS[1], y.l.cfg.IPv4.DNS[1]), v)
		case IPCPOptPrimaryNBNS:
			judgeServer(o, y.server(y.NBNS[0], y.l.cfg.IPv4.NBNS[0]), v)
		case IPCPOptSecondaryNBNS:
			judgeServer(o, y.server(y.NBNS[1], y.l.cfg.IPv4.NBNS[1]), v)
		default:
			v.reject(o) // IP-Addresses, which RFC 1332 deprecates, compression, and what we do not know
		}
	}
	// RFC 1332 section 3.3: "If negotiation about the remote IP-address is
	// required, and the peer did not provide the option in its
	// Configure-Request, the option SHOULD be appended to a Configure-Nak."
	if a := y.given(); a.IsValid() && !said {
		b := octets(a)
		v.suggest(IPCPOptAddress, b[:]...)
	}
}

// given is the address the peer is to have; the zero Addr if it may choose.
func (y *ipcp) given() netip.Addr {
	if y.assigned {
		return y.Peer
	}
	return y.l.cfg.IPv4.Peer
}

func (y *ipcp) server(assigned, configured netip.Addr) netip.Addr {
	if assigned.IsValid() {
		return assigned
	}
	return configured
}

func (y *ipcp) judgeAddress(o Option, v *verdict) {
	a, ok := optionAddress(o)
	given := y.given()
	switch {
	case given.IsValid() && a != given.Unmap():
		b := octets(given)
		v.nak(o, b[:]...)
	case !ok || !usable(a):
		v.reject(o) // the peer asks to be told, and there is nothing to tell
	default:
		y.seen = a
	}
}

// judgeServer: RFC 1877 section 1.1: a peer that asks with another address, or
// 0.0.0.0, is told the right one by a Nak.
func judgeServer(o Option, server netip.Addr, v *verdict) {
	a, ok := optionAddress(o)
	switch {
	case !server.IsValid():
		v.reject(o)
	case !ok || a != server.Unmap():
		b := octets(server)
		v.nak(o, b[:]...)
	}
}

// askAddress emits the AddressRequest, once, and keeps the request it is for.
func (y *ipcp) askAddress(in Packet) {
	y.held = in.Append(y.held[:0])
	if y.pending != 0 {
		return
	}
	r := AddressRequest{Name: y.l.peerName}
	for o, rest, ok, _ := NextOption(in.Data); ok; o, rest, ok, _ = NextOption(rest) {
		if o.Type == IPCPOptAddress {
			r.Asked, _ = optionAddress(o)
		}
	}
	y.l.lastRequest++
	r.ID = y.l.lastRequest
	y.pending = r.ID
	y.l.emit(r)
}

// Address answers the AddressRequest id. It reports whether the assignment is
// in force now; if not (the link went down meanwhile) the address is still the
// caller's. The Link gives an address back with LCPDown.
func (l *Link) Address(now time.Time, id uint32, a Assignment) bool {
	l.queue.begin()
	y := &l.ipcp
	if id == 0 || id != y.pending {
		return false
	}
	y.pending = 0
	switch {
	case !usable(a.Peer.Unmap()):
		y.fail(now, ReasonNoAddress, "")
		return false
	case !y.alive() && y.state != stStopped:
		return false // IPCP was given up meanwhile, the link is there for IPv6
	}
	y.assigned, y.assignment = true, a
	y.input(now, bytes.Clone(y.held))
	return true
}

// forget drops what belongs to one network phase.
func (y *ipcp) forget() {
	y.ncp.forget()
	y.pending, y.assigned, y.assignment, y.held = 0, false, assignment{}, nil
}

func (y *ipcp) granted() { y.peer = y.seen }

func (y *ipcp) up(now time.Time) {
	c := y.l.cfg.IPv4
	n := NetworkUp{Local: c.Local, Peer: y.peer, DNS: y.dns}
	if y.wantAddr {
		n.Local = y.addr
	}
	if given := y.given(); given.IsValid() {
		n.Peer = given
	}
	if !n.Local.IsValid() && !c.AssignPeer && !c.Peer.IsValid() {
		y.fail(now, ReasonNoAddress, "")
		return
	}
	y.opened(n)
}

func (y *ipcp) down(time.Time) { y.closed(NetworkDown{}) }
