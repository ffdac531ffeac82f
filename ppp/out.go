package ppp

import (
	"crypto/subtle"
	"net/netip"
)

// Out is one thing a Link wants done or wants known: one of SendFrame, Params,
// LCPUp, LCPDown, AuthRequest, Authenticated, AddressRequest, NetworkUp,
// NetworkDown, IPv6Up, IPv6Down and Finished. Outs are in the order in which
// they take effect: a frame before a Params goes out under the parameters before.
type Out interface{ out() }

// SendFrame is a PPP frame for the peer, starting at a two-octet Protocol
// field. Frame is valid until the Link's next input (any method but Next,
// Deadline and those that only read).
type SendFrame struct{ Frame []byte }

// Params says what LCP settled, when it opens, and that all is back at the
// defaults, when it goes down.
//
// On an async carrier it comes before that, too, with the half for receiving:
// in front of the frame, mostly our Configure-Ack, by which the peer may open,
// since what the peer then sends may be read before LCP is open here; and once
// more if that half changes, or if negotiation goes back. The half for sending
// changes only when LCP opens or goes down. Line matters to no other carrier.
type Params struct {
	Line    LineParams
	SendMRU int // octets of information (behind the Protocol field) the peer takes
	RecvMRU int // and the most it sends
}

// LCPUp says that LCP is open. Authentication follows, if either end asked
// for it, and then the network phase.
type LCPUp struct {
	PeerAuth  AuthMethod // how the peer is to prove itself to us
	LocalAuth AuthMethod // how we are to prove ourselves to the peer
}

// LCPDown says that LCP, once up, is not open any more, and with it everything
// that came up since. An address given for an AddressRequest is free again.
// The Link may go on: after ReasonRenegotiated it is on its way up again.
type LCPDown struct {
	Reason  Reason
	Message string // as in Finished
}

// AuthRequest asks whether the peer is who it says it is. The answer is
// [Link.AuthResult] with the same ID; it may come at any time, or never.
type AuthRequest struct {
	ID     uint32
	Method AuthMethod
	Name   string // as the peer sent it: any octets, at most 255 with PAP; see Printable

	Password string // PAP

	CHAPID    uint8  // CHAP: the packet's Identifier, part of the digest of MD5
	Challenge []byte // CHAP: ours
	Response  []byte // CHAP: the Value of the peer's Response
}

// Verify reports, in constant time, whether the peer knows secret.
func (r AuthRequest) Verify(secret string) bool {
	switch r.Method {
	case AuthPAP:
		return subtle.ConstantTimeCompare([]byte(r.Password), []byte(secret)) == 1
	case AuthCHAPMD5:
		return VerifyCHAPMD5(r.CHAPID, secret, r.Challenge, r.Response)
	case AuthMSCHAPv2:
		return r.VerifyNTHash(NTHash(secret))
	}
	return false
}

// VerifyNTHash is Verify for who keeps the [NTHash] of a secret only. It knows
// PAP and MS-CHAPv2: CHAP with MD5 needs the secret itself. All zeros is no hash,
// and verifies nothing.
func (r AuthRequest) VerifyNTHash(hash [16]byte) bool {
	if hash == ([16]byte{}) {
		return false
	}
	switch r.Method {
	case AuthPAP:
		got := NTHash(r.Password)
		return subtle.ConstantTimeCompare(got[:], hash[:]) == 1
	case AuthMSCHAPv2:
		_, ok := r.msProve(hash)
		return ok
	}
	return false
}

// SuccessMessage is what [Link.AuthResult] is to be given with a good answer, for
// the peer to read text. With AuthMSCHAPv2 it proves that we know the secret, too
// (RFC 2759 section 5: "S=<auth_string> M=<message>"); with any other method it is
// the text alone, as it is to a peer that does not know the secret: who could not
// prove itself gets no proof to guess passwords by.
func (r AuthRequest) SuccessMessage(secret, text string) string {
	return r.SuccessMessageNTHash(NTHash(secret), text)
}

// SuccessMessageNTHash is SuccessMessage for who keeps the [NTHash] of a secret only.
func (r AuthRequest) SuccessMessageNTHash(hash [16]byte, text string) string {
	proof, ok := r.msProve(hash)
	if r.Method != AuthMSCHAPv2 || !ok {
		return text
	}
	return string(appendMSSuccess(nil, proof, text))
}

// Authenticated says that one direction of authentication has succeeded. It
// comes again for each new challenge that is answered well.
type Authenticated struct {
	Local   bool       // we proved ourselves to the peer, rather than the peer to us
	Method  AuthMethod // how
	Name    string     // who was authenticated: the peer's name, or ours
	Message string     // what the peer said to it, printable; only if Local
}

// AddressRequest asks for an IPv4 address for the peer. The answer is
// [Link.Address] with the same ID; it may come at any time, or never.
type AddressRequest struct {
	ID    uint32
	Name  string     // the peer's authenticated name, "" if it was not asked to prove one
	Asked netip.Addr // the address the peer would like; the zero Addr if it has no wish
}

// NetworkUp says that IPCP is open: IPv4 may flow.
type NetworkUp struct {
	Local netip.Addr    // ours; the zero Addr on a link where the peer did not learn of one
	Peer  netip.Addr    // the peer's; the zero Addr if it did not say
	DNS   [2]netip.Addr // name servers the peer gave us; the zero Addr where it gave none
}

// NetworkDown says that IPv4 may flow no longer.
type NetworkDown struct{}

// IPv6Up says that IPV6CP is open: IPv6 may flow. Local and Peer are interface
// identifiers (RFC 5072 section 4.1), the first octet the highest: behind
// fe80::/64 they are the link-local addresses of both ends. They differ.
type IPv6Up struct {
	Local uint64 // ours, also where the peer would not speak of it
	Peer  uint64 // the peer's; 0 if it did not say
}

// IPv6Down says that IPv6 may flow no longer.
type IPv6Down struct{}

// Finished says that the Link is done with its carrier, which may be hung up.
// Down, Open and Up start the Link anew, whatever the reason was. If the carrier
// stays, it goes on when the peer starts anew, unless the link was closed: by
// Close, or by the Link itself for a reason that is not the peer's.
type Finished struct {
	Reason  Reason
	Message string // the peer's words, printable, or ours about what it did wrong
}

func (SendFrame) out()      {}
func (Params) out()         {}
func (LCPUp) out()          {}
func (LCPDown) out()        {}
func (AuthRequest) out()    {}
func (Authenticated) out()  {}
func (AddressRequest) out() {}
func (NetworkUp) out()      {}
func (NetworkDown) out()    {}
func (IPv6Up) out()         {}
func (IPv6Down) out()       {}
func (Finished) out()       {}

// Reason is why a Link went down: one word, the same wherever it is shown.
type Reason string

// The reasons.
const (
	ReasonClosed         Reason = "closed"           // Close was called
	ReasonLowerDown      Reason = "lower-down"       // Down was called: the carrier is lost
	ReasonPeerTerminated Reason = "peer-terminated"  // the peer sent a Terminate-Request
	ReasonRenegotiated   Reason = "renegotiated"     // the peer sent a Configure-Request, or lost its state
	ReasonNoAnswer       Reason = "no-answer"        // not one LCP packet came from the peer
	ReasonNotConverging  Reason = "not-converging"   // the ends do not come to agree
	ReasonLoopback       Reason = "loopback"         // the peer is ourselves: equal magic numbers
	ReasonEchoTimeout    Reason = "echo-timeout"     // Echo-Requests stayed unanswered
	ReasonRejected       Reason = "rejected"         // the peer rejects a packet without which there is no link
	ReasonAuthRefused    Reason = "auth-refused"     // the peer will not authenticate by any method offered
	ReasonAuthFailed     Reason = "auth-failed"      // the peer could not prove who it is
	ReasonAuthDenied     Reason = "auth-denied"      // the peer did not believe us
	ReasonAuthTimedOut   Reason = "auth-timeout"     // authentication took too long
	ReasonNoAddress      Reason = "no-address"       // no address for the peer, or none for us from it
	ReasonNoNetwork      Reason = "no-network-layer" // the peer rejects or ended every network layer there was
)
