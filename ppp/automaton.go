package ppp

// state is a state of the automaton (RFC 1661 section 4.2), with the RFC's number.
type state uint8

const (
	stInitial  state = 0
	stStarting state = 1
	stClosed   state = 2
	stStopped  state = 3
	stClosing  state = 4
	stStopping state = 5
	stReqSent  state = 6
	stAckRcvd  state = 7
	stAckSent  state = 8
	stOpened   state = 9

	stateCount = 10
)

// negotiating reports whether Configure packets are under way in s.
func (s state) negotiating() bool { return s == stReqSent || s == stAckRcvd || s == stAckSent }

// timed reports whether the Restart timer runs in s. RFC 1661 section 4.1:
// "The states in which the Restart timer is running are identifiable by the
// presence of TO events."
func (s state) timed() bool { return s == stClosing || s == stStopping || s.negotiating() }

// event is an event of the automaton (RFC 1661 section 4.3).
type event uint8

const (
	evUp    event = iota // lower layer is up
	evDown               // lower layer is down
	evOpen               // administrative open
	evClose              // administrative close
	evTOp                // TO+: timeout with counter > 0
	evTOm                // TO-: timeout with counter expired
	evRCRp               // RCR+: Receive-Configure-Request (good)
	evRCRm               // RCR-: Receive-Configure-Request (bad)
	evRCA                // Receive-Configure-Ack
	evRCN                // Receive-Configure-Nak/Rej
	evRTR                // Receive-Terminate-Request
	evRTA                // Receive-Terminate-Ack
	evRUC                // Receive-Unknown-Code
	evRXJp               // RXJ+: Receive-Code-Reject (permitted) or Receive-Protocol-Reject
	evRXJm               // RXJ-: Receive-Code-Reject (catastrophic) or Receive-Protocol-Reject
	evRXR                // Receive-Echo-Request, -Reply or -Discard-Request

	eventCount = 16
)

// cell is one transition of the table: the actions, a footnote, and the state
// that follows. It is written as in the RFC, with "|" for "," and "/".
type cell uint32

// The actions (RFC 1661 section 4.4), by the RFC's abbreviations. The order
// here is the one in which a cell's actions are done: "multiple actions may be
// implemented in any convenient order". This-Layer-Up and -Finished come last,
// since what they cause may be a next event.
const (
	tld cell = 1 << (8 + iota) // This-Layer-Down
	irc                        // Initialize-Restart-Count
	zrc                        // Zero-Restart-Count
	tls                        // This-Layer-Started
	scr                        // Send-Configure-Request
	str                        // Send-Terminate-Request
	sca                        // Send-Configure-Ack
	scn                        // Send-Configure-Nak/Rej
	sta                        // Send-Terminate-Ack
	scj                        // Send-Code-Reject
	ser                        // Send-Echo-Reply
	tlf                        // This-Layer-Finished
	tlu                        // This-Layer-Up

	passive // [p] Passive option; see Stopped state discussion. Not taken.
	restart // [r] Restart option; see Open event discussion. Taken, except in Opened.
	crossed // [x] Crossed connection; see RCA event discussion.

	illegal cell = 0xff // "-"
)

// next is the state that the cell leads to.
func (c cell) next() state { return state(c & 0x0f) }

// automaton is the State Transition Table of RFC 1661 section 4.1, row for row
// and column for column, its two halves side by side.
var automaton = [eventCount][stateCount]cell{
	//      0 Initial, 1 Starting, 2 Closed, 3 Stopped, 4 Closing, 5 Stopping,   6 Req-Sent, 7 Ack-Rcvd, 8 Ack-Sent, 9 Opened
	evUp:   {2, irc | scr | 6, illegal, illegal, illegal, illegal /**/, illegal, illegal, illegal, illegal},
	evDown: {illegal, illegal, 0, tls | 1, 0, 1 /**/, 1, 1, 1, tld | 1},
	evOpen: {tls | 1, 1, irc | scr | 6, 3 | restart, 5 | restart, 5 | restart /**/, 6, 7, 8, 9 | restart},
	//lint:ignore SA4016 "tlf/0" is what the RFC prints
	evClose: {0, tlf | 0, 2, 2, 4, 4 /**/, irc | str | 4, irc | str | 4, irc | str | 4, tld | irc | str | 4},

	evTOp: {illegal, illegal, illegal, illegal, str | 4, str | 5 /**/, scr | 6, scr | 6, scr | 8, illegal},
	evTOm: {illegal, illegal, illegal, illegal, tlf | 2, tlf | 3 /**/, tlf | 3 | passive, tlf | 3 | passive, tlf | 3 | passive, illegal},

	evRCRp: {illegal, illegal, sta | 2, irc | scr | sca | 8, 4, 5 /**/, sca | 8, sca | tlu | 9, sca | 8, tld | scr | sca | 8},
	evRCRm: {illegal, illegal, sta | 2, irc | scr | scn | 6, 4, 5 /**/, scn | 6, scn | 7, scn | 6, tld | scr | scn | 6},
	evRCA:  {illegal, illegal, sta | 2, sta | 3, 4, 5 /**/, irc | 7, scr | 6 | crossed, irc | tlu | 9, tld | scr | 6 | crossed},
	evRCN:  {illegal, illegal, sta | 2, sta | 3, 4, 5 /**/, irc | scr | 6, scr | 6 | crossed, irc | scr | 8, tld | scr | 6 | crossed},

	evRTR: {illegal, illegal, sta | 2, sta | 3, sta | 4, sta | 5 /**/, sta | 6, sta | 6, sta | 6, tld | zrc | sta | 5},
	evRTA: {illegal, illegal, 2, 3, tlf | 2, tlf | 3 /**/, 6, 6, 8, tld | scr | 6},

	evRUC:  {illegal, illegal, scj | 2, scj | 3, scj | 4, scj | 5 /**/, scj | 6, scj | 7, scj | 8, scj | 9},
	evRXJp: {illegal, illegal, 2, 3, 4, 5 /**/, 6, 6, 8, 9},
	evRXJm: {illegal, illegal, tlf | 2, tlf | 3, tlf | 2, tlf | 3 /**/, tlf | 3, tlf | 3, tlf | 3, tld | irc | str | 5},

	evRXR: {illegal, illegal, 2, 3, 4, 5 /**/, 6, 7, 8, ser | 9},
}
