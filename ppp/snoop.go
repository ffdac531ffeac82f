package ppp

import (
	"net/netip"
	"strings"
)

// SnoopEvents is the set of things that one frame brought about; zero is none.
type SnoopEvents uint16

// What a frame can bring about. The words "the user" and "the AC" say who sent it.
const (
	SnoopLCPOpened       SnoopEvents = 1 << iota // both Configure-Requests have been acked
	SnoopLCPClosed                               // LCP was open: one side negotiates anew, or terminates
	SnoopAuthenticated                           // the AC said that the user is who he says
	SnoopAuthFailed                              // the AC said that he is not
	SnoopNetworkOpened                           // IPCP: both Configure-Requests have been acked
	SnoopNetworkClosed                           // IPCP was open
	SnoopIPv6Opened                              // IPV6CP: both Configure-Requests have been acked
	SnoopIPv6Closed                              // IPV6CP was open
	SnoopTerminateByUser                         // the user sent an LCP Terminate-Request
	SnoopTerminateByAC                           // the AC sent an LCP Terminate-Request
	SnoopTerminateAcked                          // the other side acked the latest Terminate-Request
	SnoopEchoReplyFromAC                         // the AC is alive
	SnoopEchoReplyByUser                         // the user is alive
)

var snoopEventNames = [...]string{
	"lcp-opened", "lcp-closed", "authenticated", "auth-failed", "network-opened", "network-closed", "ipv6-opened", "ipv6-closed",
	"terminate-by-user", "terminate-by-ac", "terminate-acked", "echo-reply-from-ac", "echo-reply-by-user",
}

// Has reports whether all of the events in e are in s.
func (s SnoopEvents) Has(e SnoopEvents) bool { return s&e == e }

// String is the events' names, with a space between them.
func (s SnoopEvents) String() string {
	var names []string
	for i, n := range snoopEventNames {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, " ")
}

// SnoopState is what a Snoop knows, as a copy. All text in it comes from a
// peer; it is printable UTF-8 on one line and of bounded length.
type SnoopState struct {
	Phase   Phase // where the two ends stand, as far as frames have told
	LCPOpen bool  // LCP is open, from both sides

	UserMagic, ACMagic uint32 // of the acked requests; 0 is none
	UserMRU, ACMRU     int    // octets; what the user, and the AC, is ready to receive

	Auth    string // once LCP was open: "pap", "chap-md5", "ms-chap", "ms-chapv2", "eap", "none"
	User    string // PAP's Peer-ID, CHAP's Name, EAP's Identity; once AuthOK the name the AC believed, before it the last the user gave
	AuthOK  bool   // the AC said that the user is who he says, and has not taken that back
	Message string // the AC's words that came with success or failure

	NetworkOpen bool          // IPCP is open, from both sides
	Address     netip.Addr    // the user's, from his acked request; the zero Addr is none
	Peer        netip.Addr    // the AC's, from its acked request; the zero Addr is none
	DNS         [2]netip.Addr // the user's name servers: primary, secondary; the zero Addr is none

	IPv6Open                        bool   // IPV6CP is open, from both sides
	UserInterfaceID, ACInterfaceID  uint64 // RFC 5072; 0 is none
	TerminateByUser, TerminateByAC  bool   // a Terminate-Request has passed
	TerminateText                   string // of the latest Terminate-Request
	UserEchoRequests, ACEchoReplies uint64 // packets that have passed
	ACEchoRequests, UserEchoReplies uint64 // the same, the other way round
}

// Snoop watches the frames of a relayed PPP link and knows how far it is: it
// changes nothing and sends nothing.
//
// It watches on the AC's side of a Rewrite: FromUser gets what Rewrite sends
// to the AC, FromAC gets a frame before Rewrite does. There every Ack repeats
// its Request as both are on the wire, and the MRUs are those in force.
//
// A frame counts once it passes, which may be a little before, and if it is
// then lost, instead of, its arrival. What follows puts that right: an end that
// missed something asks again.
//
// A Snoop belongs to one goroutine. Its memory is bounded. Frames of network
// protocols cost a comparison and no allocation. The zero Snoop is as NewSnoop
// makes it.
type Snoop struct {
	state             SnoopState
	lcp, ipcp, ipv6cp snoopNegotiation
	auth              snoopAuth
	term              [2]snoopTerminate
}

// snoopSide says who sent a frame.
type snoopSide uint8

const (
	snoopUser snoopSide = iota
	snoopAC
)

// other is the side that receives what s sends.
func (s snoopSide) other() snoopSide { return 1 - s }

// snoopTerminate is one side's latest Terminate-Request, not yet acked.
type snoopTerminate struct {
	pending bool
	id      uint8
}

// NewSnoop makes a Snoop for a link that is dead.
func NewSnoop() *Snoop { return new(Snoop) }

// State is what is known now.
func (s *Snoop) State() SnoopState { return s.state }

// FromUser watches a frame from the user, as it goes to the AC. frame starts
// at its Protocol field and is not kept.
func (s *Snoop) FromUser(frame []byte) SnoopEvents { return s.input(snoopUser, frame) }

// FromAC watches a frame from the AC, as it came. frame starts at its Protocol
// field and is not kept.
func (s *Snoop) FromAC(frame []byte) SnoopEvents { return s.input(snoopAC, frame) }

// isConfigure reports whether a packet of p with this code is a list of
// options; p is LCP or an NCP named here.
func (p Protocol) isConfigure(c Code) bool {
	return (p == ProtoLCP || p == ProtoIPCP || p == ProtoIPV6CP) && c >= ConfigureRequest && c <= ConfigureReject
}

func (s *Snoop) input(from snoopSide, frame []byte) SnoopEvents {
	proto, info, ok := Split(frame)
	if !ok || proto.IsData() {
		return 0
	}
	switch proto {
	case ProtoLCP, ProtoIPCP, ProtoIPV6CP, ProtoPAP, ProtoCHAP, ProtoEAP:
	default:
		return 0
	}
	p, err := ParsePacket(info)
	if err != nil || proto.isConfigure(p.Code) && !wellFormed(p.Data) {
		return 0
	}
	if proto == ProtoLCP {
		return s.inputLCP(from, p)
	}
	if !s.state.LCPOpen {
		// RFC 1661 section 3.4: "Any non-LCP packets received during
		// this phase MUST be silently discarded."
		return 0
	}
	switch proto {
	case ProtoIPCP:
		return s.inputIPCP(from, p)
	case ProtoIPV6CP:
		return s.inputIPV6CP(from, p)
	}
	if proto != s.auth.proto {
		return 0
	}
	return s.inputAuth(from, proto, p)
}
