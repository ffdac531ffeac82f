package gateway

import (
	"bytes"
	"testing"

	"tributary/ppp"
)

func TestWithReason(t *testing.T) {
	request := ppp.AppendTerminateRequest(nil, 7, "closed")
	ack := ppp.Packet{Code: ppp.TerminateAck, ID: 7}.AppendFrame(nil, ppp.ProtoLCP)
	ipcp := ppp.Packet{Code: ppp.TerminateRequest, ID: 7}.AppendFrame(nil, ppp.ProtoIPCP)
	for _, tt := range []struct {
		name   string
		frame  []byte
		reason Reason
		want   []byte
	}{
		{"the session is lost", request, ReasonTrunkDown, ppp.AppendTerminateRequest(nil, 7, "the session with the ISP is down")},
		{"the user's own wish", request, ReasonUserTerm, request},
		{"an Ack says nothing", ack, ReasonTrunkDown, ack},
		{"IPCP is not the line", ipcp, ReasonTrunkDown, ipcp},
		{"no packet", request[:3], ReasonTrunkDown, request[:3]},
	} {
		if got := withReason(tt.frame, tt.reason); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
