package ppp

import "time"

// Link is one end of a PPP link: LCP, authentication and IPCP in one machine.
// It does no I/O, starts no goroutine and reads no clock; it is not safe for
// use by more than one goroutine at a time.
//
// The owner gives it what happens, each with the time it happens at:
//
//   - Up and Down: the carrier is there, the carrier is gone.
//   - Open and Close: the link is wanted, the link is not wanted.
//   - Input: a frame arrived from the peer.
//   - Tick: the time that Deadline named has come. Early and late calls do no harm.
//   - AuthResult and Address: the answers to AuthRequest and AddressRequest,
//     whenever they are known.
//
// After each of these, the owner calls Next until it yields nothing more, does
// what the Outs say, and reads Deadline again for its timer. Open and Up may
// come in either order.
//
// Data frames pass beside the Link: the owner carries IPv4 between NetworkUp
// and NetworkDown itself. It may give them to Input too; they are dropped there.
type Link struct {
	cfg LinkConfig
}

// NewLink returns a Link that is closed and whose carrier is down.
func NewLink(c LinkConfig) *Link { return &Link{cfg: c.withDefaults()} }

// Up says that the carrier is there. If the link is open, negotiation begins.
func (l *Link) Up(now time.Time) {}

// Down says that the carrier is gone. What was up comes down, without a word
// to the peer, and Finished follows with ReasonLowerDown.
func (l *Link) Down(now time.Time) {}

// Open says that the link is wanted. Open on an open link does nothing, on a
// finished one it starts anew.
func (l *Link) Open(now time.Time) {}

// Close says that the link is not wanted any longer. The peer is told; Finished
// follows when it has acknowledged that, or has not for long enough.
func (l *Link) Close(now time.Time) {}

// Input takes a frame from the peer, starting at its Protocol field, which may
// be compressed. The Link keeps no reference to it. What is malformed or comes
// at the wrong time is dropped and counted.
func (l *Link) Input(now time.Time, frame []byte) {}

// Tick lets happen what Deadline was for.
func (l *Link) Tick(now time.Time) {}

// Deadline is when Tick is to be called next; zero if nothing waits for time.
func (l *Link) Deadline() time.Time { return time.Time{} }

// Next yields the next Out, false if there is none.
func (l *Link) Next() (Out, bool) { return nil, false }

// AuthResult answers the AuthRequest id: whether the peer is who it says it
// is, and a text for it (at most 253 octets are sent). It reports whether the
// answer was still wanted; one that is late or given twice is ignored.
func (l *Link) AuthResult(now time.Time, id uint32, ok bool, message string) bool { return false }

// Address answers the AddressRequest id. It reports whether the assignment is
// in force now; if not (the link went down meanwhile) the address is still the
// caller's. The Link gives an address back with LCPDown.
func (l *Link) Address(now time.Time, id uint32, a Assignment) bool { return false }

// Phase is where the link stands (RFC 1661 section 3.2).
func (l *Link) Phase() Phase { return PhaseDead }

// IPv4Open reports whether IPv4 may flow: it is true from NetworkUp to NetworkDown.
func (l *Link) IPv4Open() bool { return false }

// Counters says what was dropped, since NewLink.
func (l *Link) Counters() LinkCounters { return LinkCounters{} }

// LinkCounters counts the frames that a Link did not act upon, and why.
type LinkCounters struct {
	Malformed  uint64 // the frame, packet or an option is ill-formed
	TooLong    uint64 // longer than any peer may send
	Unexpected uint64 // the protocol or packet has no place in this phase
	Stale      uint64 // an answer to nothing we asked, or to what we asked before
	Rejected   uint64 // answered with a Code-Reject or Protocol-Reject
	Overflow   uint64 // frames not sent because Next was not called
}
