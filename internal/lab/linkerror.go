package lab

import (
	"fmt"

	"tributary/ppp"
)

// LinkError is why a link ended that we did not end.
type LinkError struct {
	User    string
	Reason  ppp.Reason
	Message string // the peer's own words
}

func (e *LinkError) Error() string {
	text := map[ppp.Reason]string{
		ppp.ReasonAuthDenied:     fmt.Sprintf("the peer refused user %q", e.User),
		ppp.ReasonAuthRefused:    "the peer asks for a proof that we have no name or method for",
		ppp.ReasonNoAnswer:       "nothing on the line answers PPP",
		ppp.ReasonLowerDown:      "the line was hung up",
		ppp.ReasonPeerTerminated: "the peer ended the link",
		ppp.ReasonLoopback:       "the line is looped back",
		ppp.ReasonEchoTimeout:    "the peer stopped answering",
		ppp.ReasonNoAddress:      "the peer gave no address",
	}[e.Reason]
	if text == "" {
		text = "the link ended: " + string(e.Reason)
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}
