package pppoe

// Send is a discovery packet to be sent to Dst, from the PPPoE header on. Code
// tells without parsing whether it is a PADI, which the owner may want to hold
// back: machines repeat what is not answered, so a PADI that is dropped is
// only late.
type Send struct {
	Dst    MAC
	Code   Code
	Packet []byte
}

// ClientOut is what Client.Next yields: Send, ClientOffer, ClientRefused,
// ClientUnanswered, ClientOpened, ClientFailed, ClientClosed, ClientDone or TagDropped.
type ClientOut interface{ clientOut() }

// ServerOut is what Server.Next yields: Send, ServerOpened or ServerClosed.
type ServerOut interface{ serverOut() }

// ClientOffer is a PADO that has come in, acceptable or not.
type ClientOffer struct{ Offer Offer }

// ClientRefused says that an AC refused, by an error tag or a session id that
// cannot be, in the AC's own words. The client goes on to another AC if it can.
type ClientRefused struct {
	AC      MAC
	ACName  string // fit for terminals; empty if no PADO told it
	Code    Code   // the packet that refused: PADO or PADS
	Message string // fit for terminals
}

// ClientUnanswered says that an AC which had made an offer answered no PADR.
type ClientUnanswered struct {
	AC     MAC
	ACName string // fit for terminals
}

// ClientOpened says that there is a session now: PPP may begin.
type ClientOpened struct{ Session Session }

// ClientFailed says that there will be no session. ClientDone follows, perhaps
// only after a while.
type ClientFailed struct {
	Reason  FailReason
	Message string // the last refusal, in the AC's own words; may be empty
}

// ClientClosed says that the AC ended the session by PADT. RFC 2516 section
// 5.5: "Even normal PPP termination packets MUST NOT be sent after sending or
// receiving a PADT."
type ClientClosed struct {
	Session Session
	Message string // the AC's own words, fit for terminals; usually empty
}

// ClientDone is the last event of every client that was started or closed: no
// packet for it can arrive any more that would need an answer.
type ClientDone struct{}

// TagDropped says that a tag did not fit into a packet and was left out of it,
// and of all repetitions of it.
type TagDropped struct {
	Code Code
	Type TagType
}

// ServerOpened says that a session was granted and its PADS is on its way. The
// peer's first PPP frame may come before anything else does; tell the server
// of it with Received.
type ServerOpened struct {
	Peer        MAC
	SessionID   uint16
	ServiceName string // as asked for; fit for terminals
	HostUniq    []byte // nil if the peer sent none
	AccessLine  AccessLine
	MaxPayload  int // octets of PPP payload, DefaultMaxPayload or more
}

// ServerClosed says that the peer ended a session by PADT.
type ServerClosed struct {
	Peer      MAC
	SessionID uint16
	Message   string // the peer's own words, fit for terminals; usually empty
}

func (Send) clientOut()             {}
func (ClientOffer) clientOut()      {}
func (ClientRefused) clientOut()    {}
func (ClientUnanswered) clientOut() {}
func (ClientOpened) clientOut()     {}
func (ClientFailed) clientOut()     {}
func (ClientClosed) clientOut()     {}
func (ClientDone) clientOut()       {}
func (TagDropped) clientOut()       {}

func (Send) serverOut()         {}
func (ServerOpened) serverOut() {}
func (ServerClosed) serverOut() {}

// FailReason is why a client gave up, as one word fit for logs and metrics.
type FailReason string

const (
	// FailNoOffer: no AC answered at all.
	FailNoOffer FailReason = "no-offer"
	// FailNotAcceptable: ACs answered, none that was asked for, or none with
	// the service that was asked for.
	FailNotAcceptable FailReason = "no-acceptable-offer"
	// FailRefused: every AC that came into question refused.
	FailRefused FailReason = "refused"
	// FailLeftAlone: ACs offered that would do, and Rank had all of them left alone.
	FailLeftAlone FailReason = "left-alone"
	// FailNoSession: an AC offered but never answered the PADR.
	FailNoSession FailReason = "no-confirmation"
	// FailConfig: Service-Name and Host-Uniq alone are too long for a PADI.
	FailConfig FailReason = "too-long"
)

// Session is one PPPoE session, seen from the host. RFC 2516 section 4: the
// SESSION_ID "defines a PPP session along with the Ethernet SOURCE_ADDR and
// DESTINATION_ADDR", so the id alone names nothing.
type Session struct {
	AC          MAC
	SessionID   uint16 // 1 to 0xfffe
	ACName      string // fit for terminals
	ServiceName string // as the AC granted it; fit for terminals
	MaxPayload  int    // octets of PPP payload, DefaultMaxPayload or more
	Tags        []Tag  // all tags of the PADS, in their order
}

// queue is a machine's outbox.
type queue[T any] struct{ items []T }

func (q *queue[T]) push(v T) { q.items = append(q.items, v) }

// next takes the oldest item, and lets go of the array once it is empty.
func (q *queue[T]) next() (v T, ok bool) {
	if len(q.items) == 0 {
		q.items = nil
		return v, false
	}
	v = q.items[0]
	var zero T
	q.items[0] = zero
	q.items = q.items[1:]
	return v, true
}
