package ppp

import (
	"bytes"
	"strings"
	"testing"
)

// rewriteTalk is a conversation through a Rewrite: each line is one frame in,
// what has to come out, and why.
type rewriteTalk struct {
	t *testing.T
	r *Rewrite
}

func newRewriteTalk(t *testing.T) *rewriteTalk {
	return &rewriteTalk{t, NewRewrite(RewriteConfig{})}
}

// lcpFrame is an LCP frame with these octets, options or other data, in it.
func lcpFrame(c Code, id uint8, data ...string) []byte {
	return Packet{Code: c, ID: id, Data: []byte(strings.Join(data, ""))}.AppendFrame(nil, ProtoLCP)
}

// rewriteWant is what a frame has to lead to.
type rewriteWant struct {
	toAC, toUser []byte
	params       LineParams // the zero value stands for the default
}

func (c *rewriteTalk) check(why string, got Relayed, w rewriteWant) {
	c.t.Helper()
	if !bytes.Equal(got.ToAC, w.toAC) {
		c.t.Errorf("%s: to the AC\n got %x\nwant %x", why, got.ToAC, w.toAC)
	}
	if !bytes.Equal(got.ToUser, w.toUser) {
		c.t.Errorf("%s: to the user\n got %x\nwant %x", why, got.ToUser, w.toUser)
	}
	if w.params == (LineParams{}) {
		w.params = DefaultLineParams
	}
	if got.Params != w.params || got.Params != c.r.Params() {
		c.t.Errorf("%s: line %+v, want %+v", why, got.Params, w.params)
	}
}

func (c *rewriteTalk) user(why string, frame []byte, w rewriteWant) {
	c.t.Helper()
	before := c.r.Params()
	got := c.r.FromUser(frame)
	if got.ParamsChanged != (before != got.Params) {
		c.t.Errorf("%s: ParamsChanged is %v", why, got.ParamsChanged)
	}
	c.check(why, got, w)
}

func (c *rewriteTalk) ac(why string, frame []byte, w rewriteWant) {
	c.t.Helper()
	c.check(why, c.r.FromAC(frame), w)
}

func (c *rewriteTalk) counts(w RewriteCounters) {
	c.t.Helper()
	if got := c.r.Counters(); got != w {
		c.t.Errorf("counters %+v, want %+v", got, w)
	}
}

const octetsAdded = octetsMRU1492 + octetsACCM0 + octetsPFC + octetsACFC

// Lines that come up again and again.
var (
	lineRecv = LineParams{SendACCM: 0xffffffff, RecvACCM: 0} // the AC has acked, the user is about to
	lineAll  = LineParams{SendACCM: 0x000a0000, RecvACCM: 0, SendPFC: true, SendACFC: true}
)

const octetsUserAll = octetsMRU1500 + octetsACCMxon + octetsMagicU + octetsPFC + octetsACFC

// open brings the link up, the user asking for everything.
func (c *rewriteTalk) open() {
	c.t.Helper()
	c.user("the user's request loses what is the line's, and its MRU is capped",
		lcpFrame(ConfigureRequest, 1, octetsUserAll),
		rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU)})
	c.ac("the AC's request gains what lets the user send short",
		lcpFrame(ConfigureRequest, 7, octetsCHAP, octetsMagicA),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 7, octetsCHAP, octetsMagicA, octetsAdded)})
	c.ac("the AC's Ack gives the user back what he asked, and the way he will send from his own Ack on is known",
		lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU),
		rewriteWant{toUser: lcpFrame(ConfigureAck, 1, octetsUserAll), params: lineRecv})
	c.user("the user's Ack gives the AC back what it asked, and LCP is open",
		lcpFrame(ConfigureAck, 7, octetsCHAP, octetsMagicA, octetsAdded),
		rewriteWant{toAC: lcpFrame(ConfigureAck, 7, octetsCHAP, octetsMagicA), params: lineAll})
}

func TestRewriteOpens(t *testing.T) {
	c := newRewriteTalk(t)
	c.open()
	c.counts(RewriteCounters{})
}

// TestRewriteZero: the zero value is good for PPPoE as it is.
func TestRewriteZero(t *testing.T) {
	c := &rewriteTalk{t, new(Rewrite)}
	if got := c.r.Params(); got != DefaultLineParams {
		t.Errorf("%+v", got)
	}
	c.open()
	c.counts(RewriteCounters{})
	if (&rewriteTalk{t, NewRewrite(RewriteConfig{MaxMRU: 1})}).r.maxMRU != 128 {
		t.Error("an MRU in which nothing fits")
	}
}

func TestRewriteUserAcksFirst(t *testing.T) {
	c := newRewriteTalk(t)
	c.ac("request", lcpFrame(ConfigureRequest, 1, octetsMagicA), rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, octetsMagicA, octetsAdded)})
	c.user("the user's Ack alone opens nothing", lcpFrame(ConfigureAck, 1, octetsMagicA, octetsAdded),
		rewriteWant{toAC: lcpFrame(ConfigureAck, 1, octetsMagicA)})
	c.user("request", lcpFrame(ConfigureRequest, 1, octetsPFC), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1)})
	c.ac("before he can be open, the line knows", lcpFrame(ConfigureAck, 1),
		rewriteWant{toUser: lcpFrame(ConfigureAck, 1, octetsPFC), params: LineParams{SendACCM: 0xffffffff, SendPFC: true}})
}

func TestRewriteRenegotiates(t *testing.T) {
	t.Run("the user, by a new request", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.open()
		c.user("RFC 1661 section 4.3: in Opened a Configure-Request starts anew: the line is at its defaults",
			lcpFrame(ConfigureRequest, 2, octetsACCM1), rewriteWant{toAC: lcpFrame(ConfigureRequest, 2)})
		c.ac("the AC answers with a request of its own", lcpFrame(ConfigureRequest, 8, octetsMagicA),
			rewriteWant{toUser: lcpFrame(ConfigureRequest, 8, octetsMagicA, octetsAdded)})
		c.ac("a late Ack of the request before is nothing to the user", lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU), rewriteWant{})
		c.ac("Ack", lcpFrame(ConfigureAck, 2), rewriteWant{toUser: lcpFrame(ConfigureAck, 2, octetsACCM1), params: lineRecv})
		c.user("Ack", lcpFrame(ConfigureAck, 8, octetsMagicA, octetsAdded), rewriteWant{toAC: lcpFrame(ConfigureAck, 8, octetsMagicA), params: LineParams{SendACCM: 1}})
		c.counts(RewriteCounters{Stale: 1})
	})
	t.Run("the AC, by a new request", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.open()
		c.ac("what the user asked no longer holds; what he may send is the same as before",
			lcpFrame(ConfigureRequest, 8, octetsMagicA),
			rewriteWant{toUser: lcpFrame(ConfigureRequest, 8, octetsMagicA, octetsAdded), params: lineRecv})
		c.user("he starts anew too", lcpFrame(ConfigureRequest, 2, octetsUserAll),
			rewriteWant{toAC: lcpFrame(ConfigureRequest, 2, octetsMRU1492, octetsMagicU)})
	})
	t.Run("the user terminates", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.open()
		c.user("a Terminate-Request ends what was agreed", lcpFrame(TerminateRequest, 9, "bye"), rewriteWant{toAC: lcpFrame(TerminateRequest, 9, "bye")})
	})
	t.Run("the AC terminates", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.open()
		c.ac("a Terminate-Request ends what was agreed", lcpFrame(TerminateRequest, 9, "bye"), rewriteWant{toUser: lcpFrame(TerminateRequest, 9, "bye")})
		c.user("and its Ack passes", lcpFrame(TerminateAck, 9), rewriteWant{toAC: lcpFrame(TerminateAck, 9)})
	})
	t.Run("a Nak behind the Ack takes nothing back by itself", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.open()
		c.ac("the user may have discarded it, and goes on as agreed", lcpFrame(ConfigureNak, 1, octetsMRU1400),
			rewriteWant{toUser: lcpFrame(ConfigureNak, 1, octetsMRU1400), params: lineAll})
		c.ac("a Reject likewise", lcpFrame(ConfigureReject, 1, octetsMagicU),
			rewriteWant{toUser: lcpFrame(ConfigureReject, 1, octetsMagicU), params: lineAll})
		c.user("the AC may discard his", lcpFrame(ConfigureNak, 7, octetsPAP),
			rewriteWant{toAC: lcpFrame(ConfigureNak, 7, octetsPAP), params: lineAll})
		c.user("or his Reject", lcpFrame(ConfigureReject, 7, octetsMagicA),
			rewriteWant{toAC: lcpFrame(ConfigureReject, 7, octetsMagicA), params: lineAll})
		c.user("if he heeds one he starts anew", lcpFrame(ConfigureRequest, 2, octetsACCM1), rewriteWant{toAC: lcpFrame(ConfigureRequest, 2)})
	})
}

func TestRewriteRetransmissions(t *testing.T) {
	c := newRewriteTalk(t)
	c.open()
	c.ac("the AC did not get the Ack and asks again: the same request goes to the user, identifier and all, and nothing is taken back",
		lcpFrame(ConfigureRequest, 7, octetsCHAP, octetsMagicA),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 7, octetsCHAP, octetsMagicA, octetsAdded), params: lineAll})
	c.user("a duplicate of the user's request asks for nothing new either",
		lcpFrame(ConfigureRequest, 1, octetsUserAll),
		rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU), params: lineAll})
}

func TestRewriteAnswersToTheUser(t *testing.T) {
	const asked = octetsMRU1500 + octetsACCM0 + octetsMagicU + octetsPFC
	for _, tt := range []struct {
		name     string
		in, want []byte
		counters RewriteCounters
	}{
		{"a Reject names the capped MRU as the user had sent it",
			lcpFrame(ConfigureReject, 1, octetsMRU1492), lcpFrame(ConfigureReject, 1, octetsMRU1500), RewriteCounters{}},
		{"a Reject of all", lcpFrame(ConfigureReject, 1, octetsMRU1492, octetsMagicU), lcpFrame(ConfigureReject, 1, octetsMRU1500, octetsMagicU), RewriteCounters{}},
		{"a Reject out of order is understood", lcpFrame(ConfigureReject, 1, octetsMagicU, octetsMRU1492), lcpFrame(ConfigureReject, 1, octetsMagicU, octetsMRU1500), RewriteCounters{}},
		{"a Reject of what was not sent is no Reject", lcpFrame(ConfigureReject, 1, octetsMRU1500), nil, RewriteCounters{Mismatched: 1}},
		{"nor of what was taken out", lcpFrame(ConfigureReject, 1, octetsPFC), nil, RewriteCounters{Mismatched: 1}},
		{"nor of an option with other octets", lcpFrame(ConfigureReject, 1, octetsMagicA), nil, RewriteCounters{Mismatched: 1}},
		{"a Nak passes", lcpFrame(ConfigureNak, 1, octetsMRU1400), lcpFrame(ConfigureNak, 1, octetsMRU1400), RewriteCounters{}},
		{"a Nak with too large an MRU is capped", lcpFrame(ConfigureNak, 1, octetsMRU1500), lcpFrame(ConfigureNak, 1, octetsMRU1492), RewriteCounters{}},
		{"a Nak with appended options passes", lcpFrame(ConfigureNak, 1, octetsQuality, octetsACCM4), lcpFrame(ConfigureNak, 1, octetsQuality, octetsACCM4), RewriteCounters{}},
		{"an empty Nak passes", lcpFrame(ConfigureNak, 1), lcpFrame(ConfigureNak, 1), RewriteCounters{}},
		{"a stale Ack does not", lcpFrame(ConfigureAck, 2, octetsMRU1492, octetsMagicU), nil, RewriteCounters{Stale: 1}},
		{"a stale Nak does not", lcpFrame(ConfigureNak, 2, octetsMRU1400), nil, RewriteCounters{Stale: 1}},
		{"a stale Reject does not", lcpFrame(ConfigureReject, 2, octetsMagicU), nil, RewriteCounters{Stale: 1}},
		{"an Ack of something else does not", lcpFrame(ConfigureAck, 1, octetsMagicU), nil, RewriteCounters{Mismatched: 1}},
		{"an Ack of what the AC never saw does not", lcpFrame(ConfigureAck, 1, asked), nil, RewriteCounters{Mismatched: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newRewriteTalk(t)
			c.user("request", lcpFrame(ConfigureRequest, 1, asked), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU)})
			c.ac(tt.name, tt.in, rewriteWant{toUser: tt.want})
			c.counts(tt.counters)
		})
	}
}

// Two options that look the same once capped are told apart by their order.
func TestRewriteRejectOfTwins(t *testing.T) {
	const other = "\x01\x04\xff\xff"
	c := newRewriteTalk(t)
	c.user("request", lcpFrame(ConfigureRequest, 1, octetsMRU1500, other), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMRU1492)})
	c.ac("both come back as they were", lcpFrame(ConfigureReject, 1, octetsMRU1492, octetsMRU1492),
		rewriteWant{toUser: lcpFrame(ConfigureReject, 1, octetsMRU1500, other)})
}

func TestRewriteAnswersToTheAC(t *testing.T) {
	const asked = octetsMRU1500 + octetsMagicA
	const told = octetsMRU1492 + octetsMagicA + octetsACCM0 + octetsPFC + octetsACFC
	for _, tt := range []struct {
		name     string
		in       []byte
		toAC     []byte
		toUser   []byte
		counters RewriteCounters
	}{
		{"a Reject of what was added stays here: the user is asked again without",
			lcpFrame(ConfigureReject, 7, octetsPFC), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA, octetsACCM0, octetsACFC), RewriteCounters{Absorbed: 1}},
		{"of all that was added", lcpFrame(ConfigureReject, 7, octetsACCM0, octetsPFC, octetsACFC), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA), RewriteCounters{Absorbed: 1}},
		{"a mixed Reject loses our part, and names the AC's as it was", lcpFrame(ConfigureReject, 7, octetsMRU1492, octetsACCM0),
			lcpFrame(ConfigureReject, 7, octetsMRU1500), nil, RewriteCounters{}},
		{"a Reject of what was not sent is no Reject", lcpFrame(ConfigureReject, 7, octetsPFC, octetsCHAP), nil, nil, RewriteCounters{Mismatched: 1}},
		{"an empty Reject passes", lcpFrame(ConfigureReject, 7), lcpFrame(ConfigureReject, 7), nil, RewriteCounters{}},
		{"a Nak of ACCM is heeded here", lcpFrame(ConfigureNak, 7, octetsACCMxon), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA, octetsACCMxon, octetsPFC, octetsACFC), RewriteCounters{Absorbed: 1}},
		{"a Nak of ACCM with the same map is a refusal", lcpFrame(ConfigureNak, 7, octetsACCM0), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA, octetsPFC, octetsACFC), RewriteCounters{Absorbed: 1}},
		{"a Nak of a flag is a refusal", lcpFrame(ConfigureNak, 7, octetsPFC, octetsACFC), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA, octetsACCM0), RewriteCounters{Absorbed: 1}},
		{"a mixed Nak loses our part", lcpFrame(ConfigureNak, 7, octetsMRU1400, octetsACCMxon, octetsQuality),
			lcpFrame(ConfigureNak, 7, octetsMRU1400, octetsQuality), nil, RewriteCounters{}},
		{"a Nak of the AC's MRU passes, capped", lcpFrame(ConfigureNak, 7, "\x01\x04\xff\xff"), lcpFrame(ConfigureNak, 7, octetsMRU1492), nil, RewriteCounters{}},
		{"FCS-Alternatives in a Nak stay here", lcpFrame(ConfigureNak, 7, octetsFCS), nil,
			lcpFrame(ConfigureRequest, 8, told), RewriteCounters{Absorbed: 1}},
		{"an ill-formed hint for ACCM is a refusal", lcpFrame(ConfigureNak, 7, "\x02\x03\x00"), nil,
			lcpFrame(ConfigureRequest, 8, octetsMRU1492, octetsMagicA, octetsPFC, octetsACFC), RewriteCounters{Absorbed: 1}},
		{"an Ack of the AC's own octets is none of what he was told", lcpFrame(ConfigureAck, 7, asked), nil, nil, RewriteCounters{Mismatched: 1}},
		{"a stale Ack", lcpFrame(ConfigureAck, 6, told), nil, nil, RewriteCounters{Stale: 1}},
		{"a stale Nak", lcpFrame(ConfigureNak, 6, octetsMRU1400), nil, nil, RewriteCounters{Stale: 1}},
		{"a stale Reject", lcpFrame(ConfigureReject, 6, octetsPFC), nil, nil, RewriteCounters{Stale: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newRewriteTalk(t)
			c.ac("request", lcpFrame(ConfigureRequest, 7, asked), rewriteWant{toUser: lcpFrame(ConfigureRequest, 7, told)})
			c.user(tt.name, tt.in, rewriteWant{toAC: tt.toAC, toUser: tt.toUser})
			c.counts(tt.counters)
		})
	}
}

func TestRewriteRefusedStaysOut(t *testing.T) {
	c := newRewriteTalk(t)
	c.ac("request", lcpFrame(ConfigureRequest, 7), rewriteWant{toUser: lcpFrame(ConfigureRequest, 7, octetsAdded)})
	c.user("he rejects what was added", lcpFrame(ConfigureReject, 7, octetsAdded), rewriteWant{toUser: lcpFrame(ConfigureRequest, 8)})
	c.user("a late Ack of what he was told before counts no more", lcpFrame(ConfigureAck, 7, octetsAdded), rewriteWant{})
	c.user("Ack: the AC hears of it under its own identifier", lcpFrame(ConfigureAck, 8), rewriteWant{toAC: lcpFrame(ConfigureAck, 7)})
	c.ac("the AC starts anew: what was rejected stays out, and the identifier is fresh for the user",
		lcpFrame(ConfigureRequest, 8, octetsMagicA), rewriteWant{toUser: lcpFrame(ConfigureRequest, 9, octetsMagicA)})
	c.user("nor does he get it by asking", lcpFrame(ConfigureNak, 9, octetsPFC), rewriteWant{toUser: lcpFrame(ConfigureRequest, 10, octetsMagicA)})
	c.user("an MRU that nobody asked for is between him and the AC", lcpFrame(ConfigureNak, 10, octetsMRU1400, octetsACFC),
		rewriteWant{toAC: lcpFrame(ConfigureNak, 8, octetsMRU1400)})
}

// What the AC asked for itself, and the user rejected, does not come back as
// something of ours once the AC has left it out.
func TestRewriteRefusedOfTheACs(t *testing.T) {
	c := newRewriteTalk(t)
	c.ac("the AC asks for PFC and an MRU itself", lcpFrame(ConfigureRequest, 1, octetsPFC, octetsMRU1492, octetsMagicA),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, octetsPFC, octetsMRU1492, octetsMagicA, octetsACCM0, octetsACFC)})
	c.user("the user will have neither", lcpFrame(ConfigureReject, 1, octetsPFC, octetsMRU1492),
		rewriteWant{toAC: lcpFrame(ConfigureReject, 1, octetsPFC, octetsMRU1492)})
	c.ac("the AC gives in, and we do not ask again", lcpFrame(ConfigureRequest, 2, octetsMagicA),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 2, octetsMagicA, octetsACCM0, octetsACFC)})
}

func TestRewriteHaggles(t *testing.T) {
	c := newRewriteTalk(t)
	c.ac("request", lcpFrame(ConfigureRequest, 1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, octetsAdded)})
	rest := octetsPFC + octetsACFC
	c.user("a smaller MRU is heeded", lcpFrame(ConfigureNak, 1, octetsMRU1400), rewriteWant{toUser: lcpFrame(ConfigureRequest, 2, octetsMRU1400, octetsACCM0, rest)})
	c.user("a larger one is a refusal", lcpFrame(ConfigureNak, 2, octetsMRU1500), rewriteWant{toUser: lcpFrame(ConfigureRequest, 3, octetsACCM0, rest)})
	c.user("a map", lcpFrame(ConfigureNak, 3, octetsACCM1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 4, octetsACCM1, rest)})
	c.user("another", lcpFrame(ConfigureNak, 4, octetsACCM2), rewriteWant{toUser: lcpFrame(ConfigureRequest, 5, octetsACCM2, rest)})
	c.user("a third", lcpFrame(ConfigureNak, 5, octetsACCM4), rewriteWant{toUser: lcpFrame(ConfigureRequest, 6, octetsACCM4, rest)})
	c.user("enough: the default map it is", lcpFrame(ConfigureNak, 6, octetsACCM1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 7, rest)})
	c.user("he goes on", lcpFrame(ConfigureNak, 7, octetsFCS), rewriteWant{toUser: lcpFrame(ConfigureRequest, 8, rest)})
	c.user("and on", lcpFrame(ConfigureNak, 8, octetsFCS), rewriteWant{toUser: lcpFrame(ConfigureRequest, 9, rest)})
	c.user("until he has to wait for the AC", lcpFrame(ConfigureNak, 9, octetsFCS), rewriteWant{})
	c.ac("which asks again", lcpFrame(ConfigureRequest, 1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 9, rest)})
	c.counts(RewriteCounters{Absorbed: 8, Unanswered: 1})
}

func TestRewriteForbidden(t *testing.T) {
	t.Run("FCS-Alternatives from the user", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.user("rejected here; the AC hears nothing", lcpFrame(ConfigureRequest, 1, octetsMagicU, octetsFCS), rewriteWant{toUser: lcpFrame(ConfigureReject, 1, octetsFCS)})
		c.ac("and has nothing to answer", lcpFrame(ConfigureAck, 1, octetsMagicU), rewriteWant{})
		c.user("without", lcpFrame(ConfigureRequest, 2, octetsMagicU), rewriteWant{toAC: lcpFrame(ConfigureRequest, 2, octetsMagicU)})
		c.counts(RewriteCounters{Rejected: 1, Stale: 1})
	})
	t.Run("ACCM, ACFC and FCS from the AC", func(t *testing.T) {
		c := newRewriteTalk(t)
		c.ac("RFC 2516 section 7: MUST reject", lcpFrame(ConfigureRequest, 1, octetsACCMxon, octetsMagicA, octetsPFC, octetsACFC, octetsFCS),
			rewriteWant{toAC: lcpFrame(ConfigureReject, 1, octetsACCMxon, octetsACFC, octetsFCS)})
		c.ac("PFC is merely not recommended, and the AC's own", lcpFrame(ConfigureRequest, 2, octetsMagicA, octetsPFC),
			rewriteWant{toUser: lcpFrame(ConfigureRequest, 2, octetsMagicA, octetsPFC, octetsMRU1492, octetsACCM0, octetsACFC)})
		c.user("so its Reject is for the AC", lcpFrame(ConfigureReject, 2, octetsPFC, octetsACFC), rewriteWant{toAC: lcpFrame(ConfigureReject, 2, octetsPFC)})
		c.counts(RewriteCounters{Rejected: 1})
	})
}

// TestRewriteIllFormedLineOptions: what says nothing is not granted.
func TestRewriteIllFormedLineOptions(t *testing.T) {
	for name, opt := range map[string]string{
		"an ACCM of one octet":    "\x02\x03\x00",
		"an ACCM of five":         "\x02\x07\x00\x00\x00\x00\x00",
		"PFC with data":           "\x07\x03\x09",
		"ACFC with data":          "\x08\x03\x09",
		"both, and FCS, in order": "\x08\x03\x09" + octetsFCS + "\x07\x03\x09",
	} {
		c := newRewriteTalk(t)
		c.user(name, lcpFrame(ConfigureRequest, 1, octetsMagicU, opt, octetsACCM1), rewriteWant{toUser: lcpFrame(ConfigureReject, 1, opt)})
		c.ac("the AC has not seen it", lcpFrame(ConfigureAck, 1, octetsMagicU), rewriteWant{})
		c.counts(RewriteCounters{Rejected: 1, Stale: 1})
	}
}

// TestRewriteTwins: of two options of one type the last counts, as it does for
// an end that takes them in turn.
func TestRewriteTwins(t *testing.T) {
	c := newRewriteTalk(t)
	c.user("two maps", lcpFrame(ConfigureRequest, 1, octetsACCM0, octetsACCMxon), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1)})
	c.ac("", lcpFrame(ConfigureRequest, 1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, octetsAdded)})
	c.ac("", lcpFrame(ConfigureAck, 1), rewriteWant{toUser: lcpFrame(ConfigureAck, 1, octetsACCM0, octetsACCMxon), params: lineRecv})
	c.user("", lcpFrame(ConfigureAck, 1, octetsAdded), rewriteWant{toAC: lcpFrame(ConfigureAck, 1), params: LineParams{SendACCM: 0x000a0000}})
}

func TestRewriteMaxMRU(t *testing.T) {
	for _, tt := range []struct {
		max  int
		want string
	}{{0, octetsMRU1492}, {-1, octetsMRU1492}, {1500, octetsMRU1500}, {1 << 20, "\x01\x04\xff\xff"}} {
		c := &rewriteTalk{t, NewRewrite(RewriteConfig{MaxMRU: tt.max})}
		c.user("capped", lcpFrame(ConfigureRequest, 1, "\x01\x04\xff\xff"), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, tt.want)})
		c.ac("added", lcpFrame(ConfigureRequest, 1), rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, tt.want, octetsACCM0, octetsPFC, octetsACFC)})
	}
	c := newRewriteTalk(t)
	c.user("an MRU of another length is the AC's to judge", lcpFrame(ConfigureRequest, 1, "\x01\x03\xff"), rewriteWant{toAC: lcpFrame(ConfigureRequest, 1, "\x01\x03\xff")})
	c.ac("and to reject", lcpFrame(ConfigureReject, 1, "\x01\x03\xff"), rewriteWant{toUser: lcpFrame(ConfigureReject, 1, "\x01\x03\xff")})
}

// A line with software flow control eats XON and XOFF.
func TestRewriteLineNeedsACCM(t *testing.T) {
	c := &rewriteTalk{t, NewRewrite(RewriteConfig{ACCM: 0x000a0000})}
	rest := octetsPFC + octetsACFC
	c.ac("the user is asked to escape what the line eats", lcpFrame(ConfigureRequest, 1, octetsMRU1492),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsACCMxon, rest)})
	c.user("also if he would rather escape others", lcpFrame(ConfigureNak, 1, octetsACCM1),
		rewriteWant{toUser: lcpFrame(ConfigureRequest, 2, octetsMRU1492, "\x02\x06\x00\x0a\x00\x01", rest)})
}

func TestRewritePasses(t *testing.T) {
	c := newRewriteTalk(t)
	for _, f := range [][]byte{
		lcpFrame(EchoRequest, 1, "\x00\x00\x00\x00ping"), lcpFrame(EchoReply, 1), lcpFrame(DiscardRequest, 2), lcpFrame(Identification, 3, "\x00\x00\x00\x00Win98"),
		lcpFrame(ProtocolReject, 4, "\x80\xfd"), lcpFrame(CodeReject, 5, "\x01\x07\x00\x06\x07\x02"), lcpFrame(Code(200), 6, "?"), lcpFrame(TerminateAck, 7), lcpFrame(TimeRemaining, 8),
		append(lcpFrame(EchoRequest, 1), 0, 0, 0), // padding and all
		{0x00, 0x21, 0x45}, {0x21, 0x45}, {0x80, 0x21, 1, 1, 0, 4}, {0xc0}, {}, {0, 0},
	} {
		c.user("passes byte for byte", f, rewriteWant{toAC: f})
		c.ac("passes byte for byte", f, rewriteWant{toUser: f})
	}
	c.counts(RewriteCounters{})
}

func TestRewriteDrops(t *testing.T) {
	long := strings.Repeat(octetsQuality, 188) // 1,504 octets
	for _, tt := range []struct {
		name  string
		frame []byte
		want  RewriteCounters
	}{
		{"no header", []byte{0xc0, 0x21, 1, 1, 0}, RewriteCounters{Malformed: 1}},
		{"Length below the header", []byte{0xc0, 0x21, 9, 1, 0, 3}, RewriteCounters{Malformed: 1}},
		{"Length beyond the packet", []byte{0xc0, 0x21, 9, 1, 0, 5}, RewriteCounters{Malformed: 1}},
		{"option of length 0", lcpFrame(ConfigureRequest, 1, "\x07\x00"), RewriteCounters{Malformed: 1}},
		{"option of length 1", lcpFrame(ConfigureAck, 1, "\x07\x01"), RewriteCounters{Malformed: 1}},
		{"option beyond the packet", lcpFrame(ConfigureNak, 1, "\x07\x03"), RewriteCounters{Malformed: 1}},
		{"half an option", lcpFrame(ConfigureReject, 1, "\x07"), RewriteCounters{Malformed: 1}},
		{"too long", lcpFrame(ConfigureRequest, 1, long), RewriteCounters{TooLong: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newRewriteTalk(t)
			c.user(tt.name, tt.frame, rewriteWant{})
			c.counts(tt.want)
			c = newRewriteTalk(t)
			c.ac(tt.name, tt.frame, rewriteWant{})
			c.counts(tt.want)
		})
	}
}

func TestRewriteNoRoomToAdd(t *testing.T) {
	full := strings.Repeat(octetsQuality, 186) // 1,488 octets, and 14 more do not fit
	c := newRewriteTalk(t)
	c.ac("a request that leaves no room goes as it is", lcpFrame(ConfigureRequest, 1, full), rewriteWant{toUser: lcpFrame(ConfigureRequest, 1, full)})
	c.user("and so does its Ack", lcpFrame(ConfigureAck, 1, full), rewriteWant{toAC: lcpFrame(ConfigureAck, 1, full)})
}

func TestRewriteAllocs(t *testing.T) {
	c := newRewriteTalk(t)
	c.open()
	data := append([]byte{0x00, 0x21}, make([]byte, 1400)...)
	request, ack := lcpFrame(ConfigureRequest, 7, octetsCHAP, octetsMagicA), lcpFrame(ConfigureAck, 7, octetsCHAP, octetsMagicA, octetsAdded)
	n := testing.AllocsPerRun(100, func() {
		c.r.FromUser(data)
		c.r.FromAC(data)
		c.r.FromAC(request)
		c.r.FromUser(ack)
	})
	if n != 0 {
		t.Errorf("%v allocations a run, want none", n)
	}
}
