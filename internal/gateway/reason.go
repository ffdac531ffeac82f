package gateway

// Reason is why a line or session ended: one word that is the same in log,
// metric, API and web.
type Reason string

// Reasons. Each has its RFC 3145 value in reasonCodes.
const (
	ReasonHangup      Reason = "user-hangup"      // the line went down: carrier lost, TCP closed
	ReasonLineError   Reason = "line-error"       // the line failed in another way
	ReasonUserTerm    Reason = "user-terminated"  // LCP Terminate-Request from the user
	ReasonACTerm      Reason = "ac-terminated"    // LCP Terminate-Request from the AC
	ReasonPADT        Reason = "ac-padt"          // PADT from the AC
	ReasonAuthFailed  Reason = "auth-failed"      // the ISP refused the user
	ReasonNoAC        Reason = "no-ac"            // no AC answered
	ReasonRefused     Reason = "ac-refused"       // the AC answered with an error tag
	ReasonACSilent    Reason = "ac-silent"        // a session was open, and the AC stopped answering
	ReasonNoLCP       Reason = "lcp-timeout"      // user and AC talked and did not open LCP
	ReasonFirstFrame  Reason = "nothing-received" // the line said nothing that opens a session
	ReasonAdmin       Reason = "admin-hangup"     // the operator
	ReasonStop        Reason = "shutdown"         // the gateway stops
	ReasonUplinkDown  Reason = "uplink-down"      // the Ethernet port is gone
	ReasonService     Reason = "other-service"    // the user's realm has another service: one with that follows
	ReasonLocalLimits Reason = "no-resources"     // our own bounds were reached

	// Of mode shared, where PPP ends here.
	ReasonTrunkDown      Reason = "session-lost"    // the session with the ISP that the user shared is down
	ReasonNoAddress      Reason = "no-address"      // no address for the user, or he would not have it
	ReasonUserSilent     Reason = "user-silent"     // Echo-Requests to the user stayed unanswered
	ReasonLoopback       Reason = "loopback"        // the line sends back what is sent to it
	ReasonIdle           Reason = "idle-timeout"    // the user sent nothing for too long
	ReasonSessionTimeout Reason = "session-timeout" // the user's time is up
	ReasonLoginTimeout   Reason = "login-timeout"   // the user did not get as far as an address in time
	ReasonReplaced       Reason = "replaced"        // the user dialled in once more than he may: when_busy
)

// reasonCodes are the PPP Disconnect Cause Codes of RFC 3145 section 3: "Each
// value defines a specific disconnect cause".
var reasonCodes = map[Reason]uint16{
	ReasonHangup:      0, // no information: the line says nothing of why
	ReasonLineError:   0,
	ReasonUserTerm:    3, // normal disconnection, LCP Terminate-Request sent
	ReasonACTerm:      3,
	ReasonPADT:        0,
	ReasonAuthFailed:  16, // authentication failed (bad name, password, or secret)
	ReasonNoAC:        5,  // FSM timeout
	ReasonRefused:     0,
	ReasonACSilent:    8, // LCP link failure: Echo-Request timeout
	ReasonNoLCP:       5, // FSM timeout
	ReasonFirstFrame:  6, // no recognizable LCP packets were received
	ReasonAdmin:       1, // administrative disconnect
	ReasonStop:        1,
	ReasonUplinkDown:  0,
	ReasonService:     0,
	ReasonLocalLimits: 0,

	ReasonTrunkDown:      0,
	ReasonNoAddress:      20, // no NCP of the link could be opened
	ReasonUserSilent:     8,  // LCP link failure: Echo-Request timeout
	ReasonLoopback:       7,  // LCP negotiation failed: loopback
	ReasonIdle:           3,  // normal disconnection, which has time limits in it
	ReasonSessionTimeout: 3,
	ReasonLoginTimeout:   5, // FSM timeout
	ReasonReplaced:       0,
}

// Code is the reason's RFC 3145 PPP Disconnect Cause Code.
func (r Reason) Code() uint16 { return reasonCodes[r] }

// userWords is what the user's PPP is told in the Terminate-Request that ends his link.
var userWords = map[Reason]string{
	ReasonACTerm:      "terminated by the ISP",
	ReasonPADT:        "session ended by the ISP",
	ReasonNoAC:        "the ISP does not answer",
	ReasonRefused:     "refused by the ISP",
	ReasonACSilent:    "the ISP stopped answering",
	ReasonNoLCP:       "no agreement with the ISP",
	ReasonAdmin:       "ended by the operator",
	ReasonStop:        "the access gateway is going down",
	ReasonUplinkDown:  "the link to the ISP is down",
	ReasonLocalLimits: "the access gateway has no room",

	ReasonTrunkDown:      "the session with the ISP is down",
	ReasonIdle:           "idle for too long",
	ReasonSessionTimeout: "the time is up",
	ReasonLoginTimeout:   "no address in time",
	ReasonReplaced:       "you have dialled in once more",
}
