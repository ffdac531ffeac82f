package ppp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// snoopAsk is one side's latest Configure-Request.
type snoopAsk struct {
	valid, acked bool
	id           uint8
	options      []byte
}

// snoopNegotiation is LCP or one NCP: its two Configure-Requests, by the side
// that sent them.
type snoopNegotiation struct {
	ask  [2]snoopAsk
	open bool
}

// input takes a packet of this protocol and reports whether that opened it,
// closed it, or gave one side the Ack of its request.
//
// An Ack counts if it repeats the latest Request (RFC 1661 section 5.2). A
// Request that repeats the acked one, identifier and all, takes nothing back:
// it is a retransmission, and if its sender starts afresh, the other side does
// too and asks for something new. A Nak or Reject takes nothing back either: of
// a request that is acked it is late, and discarded; and should its receiver
// heed it all the same, that one asks for something new.
func (n *snoopNegotiation) input(from snoopSide, p Packet) (opened, closed, acked bool) {
	mine, theirs := &n.ask[from], &n.ask[from.other()]
	switch p.Code {
	case ConfigureRequest:
		if HeaderLen+len(p.Data) > rewriteMaxConfigure || mine.valid && mine.id == p.ID && bytes.Equal(mine.options, p.Data) {
			return false, false, false
		}
		mine.valid, mine.acked, mine.id = true, false, p.ID
		mine.options = append(mine.options[:0], p.Data...)
	case ConfigureAck:
		if theirs.valid && theirs.id == p.ID && bytes.Equal(theirs.options, p.Data) {
			theirs.acked, acked = true, true
		}
	case TerminateRequest:
		n.ask[0].acked, n.ask[1].acked = false, false
	}
	was := n.open
	n.open = n.ask[0].acked && n.ask[1].acked
	return n.open && !was, was && !n.open, acked
}

// reset forgets both requests: the layer below went down.
func (n *snoopNegotiation) reset() {
	n.ask[0].valid, n.ask[0].acked = false, false
	n.ask[1].valid, n.ask[1].acked = false, false
	n.open = false
}

// option is the Data of the last well-formed option of type t that side asked
// for, if it is n octets long; nil otherwise.
func (n *snoopNegotiation) option(side snoopSide, t uint8, size int) (data []byte) {
	for b := n.ask[side].options; ; {
		opt, rest, ok, err := NextOption(b)
		if err != nil || !ok {
			return data
		}
		if opt.Type == t && len(opt.Data) == size {
			data = opt.Data
		}
		b = rest
	}
}

func (s *Snoop) inputLCP(from snoopSide, p Packet) (ev SnoopEvents) {
	switch p.Code {
	case EchoRequest, EchoReply:
		return s.inputEcho(from, p.Code)
	case TerminateRequest:
		ev |= s.terminateRequest(from, p)
	case TerminateAck:
		return s.terminateAck(from, p.ID)
	case ConfigureRequest:
		// One that crosses the other side's Terminate-Request opens nothing.
		if !s.lcp.open && !s.term[from.other()].pending {
			s.state.Phase = PhaseEstablish
		}
	}
	opened, closed, _ := s.lcp.input(from, p)
	switch {
	case opened:
		ev |= s.lcpOpened()
	case closed:
		ev |= s.lcpClosed()
		if p.Code != TerminateRequest {
			s.state.Phase = PhaseEstablish
		}
	}
	return ev
}

// lcpOpened reads what was agreed.
func (s *Snoop) lcpOpened() SnoopEvents {
	st := &s.state
	st.LCPOpen, st.AuthOK = true, false
	st.TerminateByUser, st.TerminateByAC = false, false
	s.term = [2]snoopTerminate{}
	st.UserMagic, st.UserMRU = s.magicAndMRU(snoopUser)
	st.ACMagic, st.ACMRU = s.magicAndMRU(snoopAC)
	s.auth = snoopAuth{}
	st.Auth, s.auth.proto = s.authAskedByAC()
	st.User, st.Message = "", ""
	st.Phase = PhaseAuthenticate
	if s.auth.proto == 0 {
		st.Phase = PhaseNetwork
	}
	return SnoopLCPOpened
}

// lcpClosed takes the layers above down. RFC 1661 section 3.4: a
// Configure-Request "causes a return to the Link Establishment phase from the
// Network-Layer Protocol phase or Authentication phase".
func (s *Snoop) lcpClosed() SnoopEvents {
	ev := SnoopLCPClosed
	if s.ipcp.open {
		ev |= SnoopNetworkClosed
	}
	if s.ipv6cp.open {
		ev |= SnoopIPv6Closed
	}
	s.ipcp.reset()
	s.ipv6cp.reset()
	s.clearIPCP()
	s.clearIPV6CP()
	s.state.LCPOpen, s.state.AuthOK = false, false
	return ev
}

func (s *Snoop) magicAndMRU(side snoopSide) (magic uint32, mru int) {
	mru = DefaultMRU
	if d := s.lcp.option(side, LCPOptMRU, 2); d != nil {
		mru = int(binary.BigEndian.Uint16(d))
	}
	if d := s.lcp.option(side, LCPOptMagic, 4); d != nil {
		magic = binary.BigEndian.Uint32(d)
	}
	return magic, mru
}

// terminateRequest notes who wants the link to end, and why.
func (s *Snoop) terminateRequest(from snoopSide, p Packet) SnoopEvents {
	s.term[from] = snoopTerminate{pending: true, id: p.ID}
	s.state.Phase = PhaseTerminate
	s.state.TerminateText = Printable(p.Data)
	if from == snoopUser {
		s.state.TerminateByUser = true
		return SnoopTerminateByUser
	}
	s.state.TerminateByAC = true
	return SnoopTerminateByAC
}

// terminateAck counts only if it answers a Terminate-Request of the other
// side. RFC 1661 section 5.5: "the Identifier field of the Terminate-Request is
// copied into the Identifier field of the Terminate-Ack packet."
func (s *Snoop) terminateAck(from snoopSide, id uint8) SnoopEvents {
	t := &s.term[from.other()]
	if !t.pending || t.id != id {
		return 0
	}
	t.pending = false
	if s.state.Phase == PhaseTerminate {
		s.state.Phase = PhaseDead
	}
	return SnoopTerminateAcked
}

func (s *Snoop) inputEcho(from snoopSide, c Code) SnoopEvents {
	st := &s.state
	switch {
	case from == snoopUser && c == EchoRequest:
		st.UserEchoRequests++
	case from == snoopAC && c == EchoRequest:
		st.ACEchoRequests++
	case from == snoopAC:
		st.ACEchoReplies++
		return SnoopEchoReplyFromAC
	default:
		st.UserEchoReplies++
		return SnoopEchoReplyByUser
	}
	return 0
}

// Options of IPCP (RFC 1332 section 3.3, RFC 1877 section 1) and IPV6CP (RFC 5072 section 4.1).
const (
	snoopIPCPAddress    uint8 = 3
	snoopIPCPDNS        uint8 = 129
	snoopIPCPDNS2       uint8 = 131
	snoopIPV6CPInterfID uint8 = 1
)

func (s *Snoop) inputIPCP(from snoopSide, p Packet) (ev SnoopEvents) {
	opened, closed, acked := s.ipcp.input(from, p)
	if closed {
		s.clearIPCP()
		ev = SnoopNetworkClosed
	}
	if acked && from == snoopAC {
		s.state.Address = s.ipcpAddress(snoopUser, snoopIPCPAddress)
		s.state.DNS[0] = s.ipcpAddress(snoopUser, snoopIPCPDNS)
		s.state.DNS[1] = s.ipcpAddress(snoopUser, snoopIPCPDNS2)
	}
	if acked && from == snoopUser {
		s.state.Peer = s.ipcpAddress(snoopAC, snoopIPCPAddress)
	}
	if opened {
		s.state.NetworkOpen = true
		s.state.Phase = PhaseNetwork
		ev = SnoopNetworkOpened
	}
	return ev
}

// ipcpAddress is the address in an option of side's request; 0.0.0.0, by which
// an end asks to be told (RFC 1332 section 3.3), is none.
func (s *Snoop) ipcpAddress(side snoopSide, option uint8) netip.Addr {
	a, ok := netip.AddrFromSlice(s.ipcp.option(side, option, 4))
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func (s *Snoop) clearIPCP() {
	s.state.NetworkOpen = false
	s.state.Address, s.state.Peer, s.state.DNS = netip.Addr{}, netip.Addr{}, [2]netip.Addr{}
}

func (s *Snoop) inputIPV6CP(from snoopSide, p Packet) (ev SnoopEvents) {
	opened, closed, _ := s.ipv6cp.input(from, p)
	if closed {
		s.clearIPV6CP()
		ev = SnoopIPv6Closed
	}
	if opened {
		s.state.IPv6Open = true
		s.state.Phase = PhaseNetwork
		s.state.UserInterfaceID = s.interfaceID(snoopUser)
		s.state.ACInterfaceID = s.interfaceID(snoopAC)
		ev = SnoopIPv6Opened
	}
	return ev
}

func (s *Snoop) interfaceID(side snoopSide) uint64 {
	if d := s.ipv6cp.option(side, snoopIPV6CPInterfID, 8); d != nil {
		return binary.BigEndian.Uint64(d)
	}
	return 0
}

func (s *Snoop) clearIPV6CP() {
	s.state.IPv6Open = false
	s.state.UserInterfaceID, s.state.ACInterfaceID = 0, 0
}
