package ppp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLCPOverPPPoE(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.l.Open(k.now)
	k.want("no carrier yet")
	k.l.Up(k.now)
	k.want("the carrier is there: RFC 2516 section 7 has MRU 1492, no ACCM, PFC or ACFC", "LCP Configure-Request 1: 010405d4 050601010101")
	k.in(ProtoLCP, ConfigureRequest, 9, "010405d4 0506aaaaaaaa")
	k.want("an Ack repeats the request", "LCP Configure-Ack 9: 010405d4 0506aaaaaaaa")
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.want("both have agreed", paramsPPPoE, lcpUp)
	if k.l.Phase() != PhaseNetwork {
		t.Errorf("phase %v", k.l.Phase())
	}
}

func TestLCPOverAsync(t *testing.T) {
	k := newTalk(t, LinkConfig{Async: true, ACCM: 0x000a0000, PFC: true, ACFC: true})
	k.l.Open(k.now)
	k.l.Up(k.now)
	k.want("MRU 1500 is the default and not asked for", "LCP Configure-Request 1: 0206000a0000 050601010101 0702 0802")
	k.in(ProtoLCP, ConfigureRequest, 1, "02060000ffff 0702 0802 01040400")
	k.want("an async line has all of these", receiving(0x000a0000), "LCP Configure-Ack 1: 02060000ffff 0702 0802 01040400")
	k.in(ProtoLCP, ConfigureNak, 1, "0206a0000000")
	k.want("what either end wants escaped must be", receiving(0xa00a0000), "LCP Configure-Request 2: 0206a00a0000 050601010101 0702 0802")
	k.in(ProtoLCP, ConfigureReject, 2, "0802")
	k.want("a rejected option is asked for no more", "LCP Configure-Request 3: 0206a00a0000 050601010101 0702")
	k.in(ProtoLCP, ConfigureAck, 3, "0206a00a0000 050601010101 0702")
	k.want("each direction has its own",
		fmt.Sprintf("Params{Line:{SendACCM:%d RecvACCM:%d SendPFC:true SendACFC:true} SendMRU:1024 RecvMRU:1500}", 0xffff, uint32(0xa00a0000)), lcpUp)
	k.in(ProtoLCP, ConfigureRequest, 2, "")
	k.want("a Configure-Request when open takes everything down, and starts anew",
		"Params{Line:{SendACCM:4294967295 RecvACCM:4294967295 SendPFC:false SendACFC:false} SendMRU:1500 RecvMRU:1500}",
		"LCPDown{Reason:renegotiated Message:}",
		"LCP Configure-Request 4: 0206000a0000 050602020202 0702 0802",
		receiving(0x000a0000),
		"LCP Configure-Ack 2:")
	k.in(ProtoLCP, ConfigureReject, 4, "0206000a0000 0702")
	k.want("without ACCM", receiving(0xffffffff), "LCP Configure-Request 5: 050602020202 0802")
	k.in(ProtoLCP, ConfigureAck, 5, "050602020202 0802")
	k.want("the defaults are back",
		"Params{Line:{SendACCM:4294967295 RecvACCM:4294967295 SendPFC:false SendACFC:false} SendMRU:1500 RecvMRU:1500}", lcpUp)
}

// TestLCPVerdicts has one Configure-Request per row, and the answer to it.
func TestLCPVerdicts(t *testing.T) {
	async := LinkConfig{Async: true}
	user := LinkConfig{Name: "u", Secret: "s"}
	tests := []struct {
		name, request, answer string
		config                LinkConfig
	}{
		{"no options", "", "Ack", LinkConfig{}},
		{"RFC 2516 section 7: ACCM, PFC, ACFC and FCS are rejected, as they came", "0206000a0000 0702 0506aaaaaaaa 0802 090301", "Reject 0206000a0000 0702 0802 090301", LinkConfig{}},
		{"old stacks send 1500: capped", "010405dc 0506aaaaaaaa", "Nak 010405d4", LinkConfig{}},
		{"1500 is fine with RFC 4638", "010405dc", "Ack", LinkConfig{MaxMRU: 1500}},
		{"a large MRU is fine on an async line", "0104ffff", "Ack", LinkConfig{Async: true, ACCM: 0xffffffff}},
		{"an MRU in which nothing fits", "01040010", "Nak 01040080", async},
		{"an MRU of the wrong length", "010305", "Nak 010405d4", LinkConfig{}},
		{"what is not implemented: LQR, callback, MRRU, short sequence, endpoint", "0408c02500000000 0d0306 1104ffff 1202 130603112233", "", LinkConfig{}},
		{"Reject goes before Nak", "010405dc 1104ffff", "Reject 1104ffff", LinkConfig{}},
		{"magic number 0 is illegal", "050600000000", "Nak 050602020202", LinkConfig{}},
		{"a magic number of the wrong length", "0504aaaa", "Nak 050602020202", LinkConfig{}},
		{"our own magic number", "050601010101", "Nak 050602020202", LinkConfig{}},
		{"ACCM of the wrong length", "02040000", "Nak 020600000000", async},
		{"PFC with data", "070300", "Reject 070300", async},
		{"an option of length 1", "010405d4 0501", "drop", LinkConfig{}},
		{"an option of length 0", "0500", "drop", LinkConfig{}},
		{"an option beyond the packet", "0506aaaa", "drop", LinkConfig{}},
		{"half an option", "05", "drop", LinkConfig{}},
		{"CHAP with MD5, and we have a secret", "0305c22305", "Ack", user},
		{"PAP", "0304c023", "Ack", user},
		{"MS-CHAPv2", "0305c22381", "Ack", user},
		{"MS-CHAPv2 where it is not wanted: what we would rather have", "0305c22381", "Nak 0305c22305", LinkConfig{Name: "u", Secret: "s", Accept: []AuthMethod{AuthCHAPMD5, AuthPAP}}},
		{"MS-CHAP, version 1, is not spoken", "0305c22380", "Nak 0305c22305", user},
		{"MS-CHAPv2 rather than anything else", "0304c023", "Nak 0305c22381", LinkConfig{Name: "u", Secret: "s", Accept: []AuthMethod{AuthMSCHAPv2}}},
		{"EAP neither", "0304c227", "Nak 0305c22305", user},
		{"PAP, where only CHAP is wanted", "0304c023", "Nak 0305c22305", LinkConfig{Name: "u", Secret: "s", Accept: []AuthMethod{AuthCHAPMD5}}},
		{"CHAP without an algorithm", "0304c223", "Nak 0305c22305", user},
		{"an authentication protocol cut short", "0303c2", "Nak 0305c22305", user},
		{"we have no name", "0305c22305", "Reject 0305c22305", LinkConfig{}},
		{"a flood of one option is Nak'd once", strings.Repeat("0304c227", 300), "Nak 0305c22305", user},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newTalk(t, tt.config)
			k.begin()
			k.in(ProtoLCP, ConfigureRequest, 9, tt.request)
			switch verb, rest, _ := strings.Cut(tt.answer, " "); verb {
			case "":
				k.want("all is rejected", "LCP Configure-Reject 9: "+tt.request)
			case "drop":
				k.want("the whole packet is dropped")
				if k.l.Counters().Malformed != 1 {
					t.Errorf("%+v", k.l.Counters())
				}
			case "Ack":
				k.want("granted", strings.TrimSpace("LCP Configure-Ack 9: "+tt.request))
			default:
				k.want("refused", "LCP Configure-"+verb+" 9: "+rest)
			}
		})
	}
}

func TestConfigureAckMustRepeatTheRequest(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.outs()
	k.in(ProtoLCP, ConfigureAck, 2, "010405d4 050601010101")
	k.want("another Identifier")
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4")
	k.want("fewer options")
	k.in(ProtoLCP, ConfigureAck, 1, "050601010101 010405d4")
	k.want("another order")
	k.in(ProtoLCP, ConfigureReject, 1, "010405dc")
	k.want("a Reject of what was not asked for")
	k.in(ProtoLCP, ConfigureNak, 1, "")
	k.want("a Nak of nothing")
	k.in(ProtoLCP, ConfigureNak, 1, "0501")
	k.want("a malformed Nak")
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.want("the one that counts", paramsPPPoE, lcpUp)
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.want("a duplicate from the network is no crossed connection")
	if c := k.l.Counters(); c.Stale != 5 || c.Malformed != 2 {
		t.Errorf("%+v", c)
	}
}

func TestLCPNaksAreTaken(t *testing.T) {
	k := newTalk(t, LinkConfig{MaxFailure: 2})
	k.begin()
	k.in(ProtoLCP, ConfigureNak, 1, "01040400 0506bbbbbbbb")
	k.want("a smaller MRU, and a magic number of our own choice", "LCP Configure-Request 2: 01040400 050602020202")
	k.in(ProtoLCP, ConfigureNak, 2, "01042000 0304c023 0702")
	k.want("more than we take, and what we do not offer", "LCP Configure-Request 3: 01040400 050602020202")
	k.in(ProtoLCP, ConfigureNak, 3, "01040400")
	k.want("one Nak too many counts as a Reject", "LCP Configure-Request 4: 050602020202")
	k.in(ProtoLCP, ConfigureReject, 4, "050602020202")
	k.want("no magic number, then", "LCP Configure-Request 5:")
	k.in(ProtoLCP, ConfigureRequest, 1, "050601010101")
	k.in(ProtoLCP, ConfigureAck, 5, "")
	k.want("up without any option", "LCP Configure-Ack 1: 050601010101",
		"Params{Line:{SendACCM:4294967295 RecvACCM:4294967295 SendPFC:false SendACFC:false} SendMRU:1492 RecvMRU:1500}", lcpUp)
	k.in(ProtoLCP, EchoRequest, 3, "01010101 6869")
	k.want("without a magic number of ours it is 0 in a reply", "LCP Echo-Reply 3: 000000006869")
}

// TestMaxFailure: RFC 1661 section 4.6: after Max-Failure Naks comes a Reject.
func TestMaxFailure(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	for id := range uint8(5) {
		k.in(ProtoLCP, ConfigureRequest, id, "010405dc 050600000000")
		k.want("a Nak", fmt.Sprintf("LCP Configure-Nak %d: 010405d4 0506%s", id, strings.Repeat(fmt.Sprintf("%02x", id+2), 4)))
	}
	k.in(ProtoLCP, ConfigureRequest, 6, "010405dc 050600000000")
	k.want("the peer does not listen", "LCP Configure-Reject 6: 010405dc 050600000000")
	k.in(ProtoLCP, ConfigureRequest, 7, "")
	k.want("now it does", "LCP Configure-Ack 7:")
	k.in(ProtoLCP, ConfigureRequest, 8, "010405dc")
	k.want("an Ack between starts the count anew", "LCP Configure-Nak 8: 010405d4")
}

// TestFailedNegotiationIsForgotten: a peer that comes back is judged afresh.
func TestFailedNegotiationIsForgotten(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	for id := range uint8(5) {
		k.in(ProtoLCP, ConfigureRequest, id, "010405dc")
	}
	k.wait(30 * time.Second)
	if k.outs(); k.l.lcp.state != stStopped {
		t.Fatalf("state %d", k.l.lcp.state)
	}
	k.in(ProtoLCP, ConfigureRequest, 77, "010405dc")
	k.want("the first Nak of a new negotiation", "LCP Configure-Request 2: 010405d4 050602020202", "LCP Configure-Nak 77: 010405d4")

	k = newTalk(t, LinkConfig{})
	k.begin()
	for id := range uint8(maxRounds * defaultMaxFailure) {
		k.in(ProtoLCP, ConfigureRequest, id, "1104ffff")
	}
	k.wait(30 * time.Second)
	k.outs()
	k.in(ProtoLCP, ConfigureRequest, 77, "1104ffff")
	k.want("nor are its refusals counted on", "LCP Configure-Request 2: 010405d4 050602020202", "LCP Configure-Reject 77: 1104ffff")
}

func TestNoAnswer(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	for i := range 9 {
		k.wait(3 * time.Second)
		k.want(fmt.Sprintf("retransmission %d, with the same Identifier", i+1), "LCP Configure-Request 1: 010405d4 050601010101")
	}
	k.wait(3 * time.Second)
	k.want("Max-Configure is 10", "Finished{Reason:no-answer Message:}")
	if d := k.l.Deadline(); !d.IsZero() {
		t.Errorf("a finished link waits for %v", d)
	}
	k.l.Open(k.now)
	k.want("Open starts anew", "LCP Configure-Request 2: 010405d4 050602020202")
	k.l.Open(k.now)
	k.want("and does nothing twice")
	k.l.Down(k.now)
	k.want("the carrier is lost", "Finished{Reason:lower-down Message:}")
	k.l.Up(k.now)
	k.want("and there again", "LCP Configure-Request 3: 010405d4 050603030303")
}

// TestPeerStartsAnew: RFC 1661 section 4.3 of the RTR event: "The
// implementation MUST be prepared to receive a new Configure-Request without
// network administrator intervention."
func TestPeerStartsAnew(t *testing.T) {
	k := opened(t, LinkConfig{})
	k.in(ProtoLCP, TerminateRequest, 7, "627965 1b5b324a")
	k.want("the peer's words, without what would steer a terminal", paramsDown, "LCPDown{Reason:peer-terminated Message:bye�[2J}", "LCP Terminate-Ack 7:")
	if k.l.Phase() != PhaseTerminate {
		t.Errorf("phase %v", k.l.Phase())
	}
	k.in(ProtoLCP, TerminateRequest, 7, "")
	k.want("the Ack was lost", "LCP Terminate-Ack 7:")
	k.wait(3 * time.Second)
	k.want("the peer has had its time", "Finished{Reason:peer-terminated Message:bye�[2J}")
	if k.l.Phase() != PhaseDead {
		t.Errorf("phase %v", k.l.Phase())
	}
	k.in(ProtoLCP, ConfigureRequest, 8, "")
	k.want("it calls again", "LCP Configure-Request 2: 010405d4 050602020202", "LCP Configure-Ack 8:")
}

func TestClose(t *testing.T) {
	k := opened(t, LinkConfig{})
	k.l.Close(k.now)
	k.want("the peer is told", paramsDown, "LCPDown{Reason:closed Message:}", `LCP Terminate-Request 2: "closed"`)
	k.wait(3 * time.Second)
	k.want("and told again", `LCP Terminate-Request 3: "closed"`)
	k.in(ProtoLCP, ConfigureRequest, 5, "")
	k.want("what it asks now is of no interest")
	k.in(ProtoLCP, TerminateAck, 3, "")
	k.want("it has understood", "Finished{Reason:closed Message:}")
	k.in(ProtoLCP, ConfigureRequest, 6, "")
	k.want("a closed link says so", "LCP Terminate-Ack 6:")
	k.l.Open(k.now)
	k.want("until it is opened", "LCP Configure-Request 4: 010405d4 050602020202")
	k.l.Close(k.now)
	k.wait(6 * time.Second)
	k.want("Max-Terminate is 2", `LCP Terminate-Request 5: "closed"`, `LCP Terminate-Request 6: "closed"`, "Finished{Reason:closed Message:}")
	k.l.Close(k.now)
	k.l.Down(k.now)
	k.l.Close(k.now)
	k.want("there is nothing left to close")
	k.in(ProtoLCP, ConfigureRequest, 5, "")
	k.want("nor a carrier to answer on")
}

// TestEndsBeforeTheCarrier: whoever opened a link is told of its end, also if
// there was nobody to tell of it.
func TestEndsBeforeTheCarrier(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.l.Close(k.now)
	k.want("nothing was wanted, nothing ends")
	k.l.Open(k.now)
	k.l.Close(k.now)
	k.want("no carrier came", "Finished{Reason:closed Message:}")
	k.l.Close(k.now)
	k.want("once")
	k.l.Open(k.now)
	k.l.Down(k.now)
	k.want("the carrier could not be had", "Finished{Reason:lower-down Message:}")
	k.l.Close(k.now)
	k.want("that was the end already")
	k.l.Up(k.now)
	k.want("closed: a carrier is of no use")
	k.l.Open(k.now)
	k.want("until it is opened", "LCP Configure-Request 1: 010405d4 050601010101")
}

func TestTerminateDuringNegotiationIsHistory(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	k.in(ProtoLCP, TerminateRequest, 1, "6e6f")
	k.want("acknowledged", "LCP Terminate-Ack 1:")
	k.in(ProtoLCP, ConfigureRequest, 2, "")
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.want("and yet it comes up", "LCP Configure-Ack 2:", paramsPPPoE, lcpUp)
	k.in(ProtoLCP, TerminateAck, 1, "")
	k.want("the peer has lost its state", paramsDown, "LCPDown{Reason:renegotiated Message:}", "LCP Configure-Request 2: 010405d4 050602020202")
}

func TestEcho(t *testing.T) {
	k := opened(t, LinkConfig{EchoInterval: 10 * time.Second, EchoFailures: 2})
	k.in(ProtoLCP, EchoRequest, 9, "aaaaaaaa 686921")
	k.want("a reply has our magic number and the data", "LCP Echo-Reply 9: 01010101686921")
	k.in(ProtoLCP, EchoRequest, 9, "aaaa")
	k.want("no magic number: malformed")
	k.in(ProtoLCP, DiscardRequest, 9, "aaaaaaaa")
	k.in(ProtoLCP, Identification, 9, "aaaaaaaa 4d5352415356")
	k.in(ProtoLCP, TimeRemaining, 9, "aaaaaaaa 00000000")
	k.want("these say nothing that needs an answer")
	k.wait(10 * time.Second)
	k.want("we ask", "LCP Echo-Request 2: 01010101")
	k.in(ProtoLCP, EchoReply, 2, "aaaaaaaa")
	k.wait(20 * time.Second)
	k.want("answered: the count starts anew", "LCP Echo-Request 3: 01010101", "LCP Echo-Request 4: 01010101")
	k.in(ProtoLCP, EchoReply, 4, "01010101")
	k.wait(20 * time.Second)
	k.want("a peer that sends back our own number in a reply is alive", "LCP Echo-Request 5: 01010101", "LCP Echo-Request 6: 01010101")
	k.wait(10 * time.Second)
	k.want("two unanswered in a row", paramsDown, "LCPDown{Reason:echo-timeout Message:}", `LCP Terminate-Request 7: "echo-timeout"`)
	k.wait(6 * time.Second)
	k.want("nobody there", `LCP Terminate-Request 8: "echo-timeout"`, "Finished{Reason:echo-timeout Message:}")
	k.in(ProtoLCP, EchoRequest, 9, "aaaaaaaa")
	k.want("RFC 1661 section 5.8: no echo unless Opened")
}

func TestEchoReplyFitsTheMRU(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	k.in(ProtoLCP, ConfigureRequest, 1, "01040080")
	k.in(ProtoLCP, ConfigureAck, 1, "010405d4 050601010101")
	k.outs()
	k.in(ProtoLCP, EchoRequest, 1, "aaaaaaaa"+strings.Repeat("55", 1400))
	k.in(ProtoLCP, 77, 1, strings.Repeat("66", 1400))
	k.in(ProtoIPv6, 0x60, 0, strings.Repeat("77", 1400))
	k.outs()
	if len(k.seen) != 3 {
		t.Fatalf("%d outs", len(k.seen))
	}
	for _, o := range k.seen {
		if n := len(o.(SendFrame).Frame) - 2; n != 128 {
			t.Errorf("%d octets for an MRU of 128: %s", n, show(o))
		}
	}
}

func TestCodeReject(t *testing.T) {
	k := opened(t, LinkConfig{EchoInterval: 10 * time.Second})
	k.in(ProtoLCP, 14, 9, "00000005")
	k.want("a code that nobody knows, back as it came", "LCP Code-Reject 2: 0e09000800000005")
	k.wait(10 * time.Second)
	k.want("an echo", "LCP Echo-Request 3: 01010101")
	k.in(ProtoLCP, CodeReject, 1, "09030008 01010101")
	k.wait(time.Minute)
	k.want("the peer knows no echo: no more of them")
	k.in(ProtoLCP, CodeReject, 1, "0901")
	k.want("cut short: malformed")
	k.in(ProtoLCP, CodeReject, 2, "01010004")
	k.want("a peer that knows no Configure-Request is none", paramsDown, "LCPDown{Reason:rejected Message:}", `LCP Terminate-Request 4: "rejected"`)
	k.wait(6 * time.Second)
	k.want("", `LCP Terminate-Request 5: "rejected"`, "Finished{Reason:rejected Message:}")
}

func TestProtocolReject(t *testing.T) {
	k := newTalk(t, LinkConfig{})
	k.begin()
	k.in(ProtoLCP, ProtocolReject, 1, "c021")
	k.in(ProtoCCP, ConfigureRequest, 1, "")
	k.want("RFC 1661 section 5.7: only in the Opened state")

	k = opened(t, LinkConfig{})
	k.in(ProtoCCP, ConfigureRequest, 1, "1206")
	k.want("malformed for CCP, but that is not ours to know", "LCP Protocol-Reject 2: 80fd010100061206")
	k.in(ProtoIPV6CP, ConfigureRequest, 4, "010a 0200000000000001")
	k.want("IPV6CP is not spoken", "LCP Protocol-Reject 3: 80570104000e010a0200000000000001")
	k.in(ProtoIPCP, ConfigureRequest, 4, "")
	k.want("nor IPCP without an IPv4Config", "LCP Protocol-Reject 4: 802101040004")
	k.raw([]byte{0x21, 0x45})
	k.want("nor IPv4, compressed or not", "LCP Protocol-Reject 5: 002145")
	k.in(ProtoLCP, ProtocolReject, 1, "80fd 0101")
	k.in(ProtoLCP, ProtocolReject, 1, "8021 0101")
	k.in(ProtoLCP, ProtocolReject, 1, "c023 0101")
	k.in(ProtoLCP, ProtocolReject, 1, "80")
	k.want("nothing that we use")
	k.in(ProtoLCP, ProtocolReject, 1, "c021 0101")
	k.want("LCP itself", paramsDown, "LCPDown{Reason:rejected Message:}", `LCP Terminate-Request 6: "rejected"`)
	if c := k.l.Counters(); c.Rejected != 4 || c.Malformed != 1 {
		t.Errorf("%+v", c)
	}
}

func TestInputOutOfPlace(t *testing.T) {
	k := newTalk(t, LinkConfig{Auth: []AuthMethod{AuthPAP}, IPv4: &IPv4Config{}})
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.want("no carrier")
	k.begin()
	k.raw(nil)
	k.raw([]byte{0xc0})
	k.raw([]byte{0xc0, 0x21, 1, 1, 0, 3})
	k.raw([]byte{0xc0, 0x21, 1, 1, 0, 5})
	k.want("malformed")
	k.raw(append([]byte{0xc0, 0x21, 1, 1}, make([]byte, 2000)...))
	k.want("longer than we said we take")
	k.in(ProtoIPCP, ConfigureRequest, 1, "")
	k.in(ProtoPAP, papRequest, 1, "0000")
	k.raw([]byte{0x00, 0x21, 0x45})
	k.want("RFC 1661 section 3.4: in this phase, LCP only")
	k.in(ProtoLCP, ConfigureRequest, 1, "")
	k.in(ProtoLCP, ConfigureAck, 1, fmt.Sprintf("%x", k.l.lcp.request))
	k.outs()
	if k.l.Phase() != PhaseAuthenticate {
		t.Errorf("phase %v", k.l.Phase())
	}
	k.in(ProtoIPCP, ConfigureRequest, 1, "")
	k.in(ProtoCCP, ConfigureRequest, 1, "")
	k.in(ProtoCHAP, chapResponse, 1, "0100")
	k.raw([]byte{0xc0, 0x23, 1})
	k.want("and here, LCP and the authentication agreed on")
	if c, want := k.l.Counters(), (LinkCounters{Malformed: 5, TooLong: 1, Unexpected: 7}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
}

func TestLoopback(t *testing.T) {
	l := NewLink(LinkConfig{Random: seeded(1)})
	l.Open(start)
	l.Up(start)
	var finished Finished
	now := start
	for n := 0; finished.Reason == "" && n < 100; n++ {
		o, ok := l.Next()
		switch o := o.(type) {
		case SendFrame:
			l.Input(now, bytes.Clone(o.Frame)) // the line is its own peer
		case LCPUp:
			t.Fatal("a loop came up")
		case Finished:
			finished = o
		}
		if !ok {
			now = l.Deadline()
			l.Tick(now)
		}
	}
	if finished.Reason != ReasonLoopback {
		t.Errorf("%+v", finished)
	}

	k := opened(t, LinkConfig{})
	k.in(ProtoLCP, EchoRequest, 1, "01010101")
	k.want("a loop that was made later", paramsDown, "LCPDown{Reason:loopback Message:}", `LCP Terminate-Request 2: "loopback"`)
}

// TestMagicCollision: two ends that chose alike are no loop.
func TestMagicCollision(t *testing.T) {
	same := func(then uint64) func([]byte) {
		first, r := true, seeded(then)
		return func(b []byte) {
			if r(b); first {
				first = false
				copy(b, []byte{1, 2, 3, 4})
			}
		}
	}
	s, c := server(), client("", "")
	s.Random, c.Random = same(1), same(2)
	p := newISP(t, s, c)
	p.begin()
	p.runUntil("up", time.Minute, p.bothUp)
}

// TestNotConverging: neither a peer that refuses for ever nor one that asks
// for ever what it cannot have keeps a link in negotiation.
func TestNotConverging(t *testing.T) {
	finish := func(t *testing.T, k *talk, rounds int) {
		if rounds > 100 {
			t.Fatalf("%d rounds, and no end", rounds)
		}
		k.wait(10 * time.Second)
		k.outs()
		if f, ok := k.seen[len(k.seen)-1].(Finished); !ok || f.Reason != ReasonNotConverging {
			t.Errorf("%+v", k.seen)
		}
	}
	t.Run("Naks", func(t *testing.T) {
		k := newTalk(t, LinkConfig{})
		k.begin()
		n := 0
		for ; k.l.lcp.state.negotiating() && n < 1000; n++ {
			k.in(ProtoLCP, ConfigureNak, k.l.lcp.requestID, "0304c023")
			k.outs()
		}
		finish(t, k, n)
	})
	t.Run("requests", func(t *testing.T) {
		k := newTalk(t, LinkConfig{})
		k.begin()
		n := 0
		for ; k.l.lcp.state.negotiating() && n < 1000; n++ {
			k.in(ProtoLCP, ConfigureRequest, uint8(n), "1104ffff")
			k.in(ProtoLCP, ConfigureAck, k.l.lcp.requestID, fmt.Sprintf("%x", k.l.lcp.request))
			k.wait(3 * time.Second)
			k.outs()
		}
		finish(t, k, n)
	})
}

// TestFloodIsBounded: an owner that gives input and takes nothing out.
func TestFloodIsBounded(t *testing.T) {
	l := NewLink(LinkConfig{Random: seeded(1)})
	l.Open(start)
	l.Up(start)
	frame := Packet{77, 1, make([]byte, 1400)}.AppendFrame(nil, ProtoLCP)
	for range 10_000 {
		l.Input(start, frame)
	}
	if n := len(l.queue.outs); n > maxQueuedFrames+4 {
		t.Errorf("%d Outs queued", n)
	}
	if c := l.Counters(); c.Overflow == 0 {
		t.Errorf("%+v", c)
	}
}

// TestSteadyStateReusesItsBuffers: a peer that only echoes makes a Link allocate
// no more than the Outs and the replies themselves.
func TestSteadyStateReusesItsBuffers(t *testing.T) {
	k := opened(t, LinkConfig{})
	frame := Packet{EchoRequest, 1, unhex("aaaaaaaa 00112233")}.AppendFrame(nil, ProtoLCP)
	data := []byte{0x00, 0x21, 0x45, 0, 0, 20}
	data6 := []byte{0x57, 0x60, 0, 0, 0}
	k.l.cfg.IPv4, k.l.cfg.IPv6 = &IPv4Config{}, &IPv6Config{}
	for _, tt := range []struct {
		frame []byte
		most  float64
	}{{frame, 2}, {data, 0}, {data6, 0}} {
		if n := testing.AllocsPerRun(100, func() {
			k.l.Input(k.now, tt.frame)
			for _, ok := k.l.Next(); ok; _, ok = k.l.Next() {
			}
		}); n > tt.most {
			t.Errorf("%v allocations for % x", n, tt.frame)
		}
	}
}
