package ppp

import (
	"fmt"
	"strings"
)

// Options of the ends.
const (
	octetsMRU1500  = "\x01\x04\x05\xdc"
	octetsMRU1492  = "\x01\x04\x05\xd4"
	octetsMRU1400  = "\x01\x04\x05\x78"
	octetsACCM0    = "\x02\x06\x00\x00\x00\x00"
	octetsACCMxon  = "\x02\x06\x00\x0a\x00\x00"
	octetsACCM1    = "\x02\x06\x00\x00\x00\x01"
	octetsACCM2    = "\x02\x06\x00\x00\x00\x02"
	octetsACCM4    = "\x02\x06\x00\x00\x00\x04"
	octetsPAP      = "\x03\x04\xc0\x23"
	octetsCHAP     = "\x03\x05\xc2\x23\x05"
	octetsQuality  = "\x04\x08\xc0\x25\x00\x00\x00\x64"
	octetsMagicU   = "\x05\x06\x11\x22\x33\x44"
	octetsMagicA   = "\x05\x06\xaa\xbb\xcc\xdd"
	octetsPFC      = "\x07\x02"
	octetsACFC     = "\x08\x02"
	octetsFCS      = "\x09\x03\x04"
	octetsEndpoint = "\x13\x03\x00"
)

// checkToUser checks what arrives at the user.
func (s *modelScenario) checkToUser(w *modelWorld, p modelPacket) error {
	if p.id != w.user.id {
		return nil // stale: he discards it
	}
	switch p.code {
	case ConfigureAck:
		if p.data != w.user.req {
			return fmt.Errorf("the user asked for %x and gets an Ack of %x", w.user.req, p.data)
		}
	case ConfigureReject:
		return modelIsPart("the user", p.data, w.user.req)
	}
	return nil
}

// checkRejected checks a request that goes to the user: of what he has rejected
// he is asked for nothing but what the AC itself asks for.
func (w *modelWorld) checkRejected(p modelPacket) error {
	if p.code != ConfigureRequest {
		return nil
	}
	for o := range modelOptions(p.data) {
		if w.rejected&rewriteSetOf(o[0]) != 0 && !modelHas(string(w.rw.ac.asked), o[0]) {
			return fmt.Errorf("the user is asked for %x, which he has rejected, though the AC does not ask for it", o)
		}
	}
	return nil
}

// checkToAC checks what arrives at the AC.
func (s *modelScenario) checkToAC(w *modelWorld, p modelPacket) error {
	for o := range modelOptions(p.data) {
		switch {
		case p.code == ConfigureRequest && rewriteOfLine(o[0]):
			return fmt.Errorf("option %x of the line in a request to the AC", o)
		case p.code == ConfigureRequest && o[0] == LCPOptMRU && o > octetsMRU1492:
			return fmt.Errorf("MRU %x in a request to the AC", o)
		case p.code > ConfigureReject:
			return nil
		case p.code != ConfigureRequest && p.id == w.ac.id && (rewriteOfLine(o[0]) || o[0] == LCPOptMRU) &&
			!modelHas(w.ac.req, o[0]) && !modelHas(s.user.add, o[0]):
			return fmt.Errorf("%v of option %x, which the AC never asked for", p.code, o)
		}
	}
	if p.id != w.ac.id {
		return nil
	}
	switch p.code {
	case ConfigureAck:
		if p.data != w.ac.req {
			return fmt.Errorf("the AC asked for %x and gets an Ack of %x", w.ac.req, p.data)
		}
	case ConfigureReject:
		return modelIsPart("the AC", p.data, w.ac.req)
	}
	return nil
}

// modelIsPart checks that a Reject names options of the request, as they were and in their order.
func modelIsPart(who, reject, req string) error {
	for o := range modelOptions(reject) {
		at := strings.Index(req, o)
		if at < 0 {
			return fmt.Errorf("%s gets a Reject of %x for its request %x", who, reject, req)
		}
		req = req[at+len(o):]
	}
	return nil
}

// agree checks, with both ends open and nothing under way, that all three
// have the same idea of the line.
func (s *modelScenario) agree(w *modelWorld) error {
	got := w.rw.Params()
	want := LineParams{
		SendACCM: rewriteACCM([]byte(w.user.req)),
		RecvACCM: rewriteACCM([]byte(w.user.peer)),
		SendPFC:  modelHas(w.user.req, LCPOptPFC),
		SendACFC: modelHas(w.user.req, LCPOptACFC),
	}
	if s.user.fickle && got.SendACCM == DefaultLineParams.SendACCM && !got.SendPFC && !got.SendACFC {
		// He acked what the AC asked, then refused what had been added to it,
		// was asked again from here, and his last Ack got lost, which the AC
		// had no need of: to send as if nothing had been negotiated is right,
		// if not as short as could be.
		want.SendACCM, want.SendPFC, want.SendACFC = got.SendACCM, false, false
	}
	if got != want {
		return fmt.Errorf("the line is %+v, the user's idea of it %+v", got, want)
	}
	if sent := string(w.rw.user.sent); w.ac.peer != sent {
		return fmt.Errorf("the AC acked %x, the user's request is %x", w.ac.peer, sent)
	}
	if sent := string(w.rw.ac.sent); w.user.peer != sent {
		return fmt.Errorf("the user acked %x, the AC's request is %x", w.user.peer, sent)
	}
	return nil
}

// modelPairs are the ends to be paired: each way to ask with each way to
// answer, in both directions.
func modelPairs() (pairs [][2]modelPolicy) {
	userAsks := []modelPolicy{
		{name: "asks nothing", want: ""},
		{name: "asks ACCM", want: octetsACCMxon + octetsMagicU},
		{name: "asks PFC ACFC", want: octetsPFC + octetsACFC},
		{name: "asks MRU 1500", want: octetsMRU1500, fresh: true},
		{name: "asks all", want: octetsMRU1500 + octetsACCM0 + octetsMagicU + octetsPFC + octetsACFC, follow: true},
		{name: "asks FCS", want: octetsFCS + octetsACCM0 + octetsMagicU},
	}
	acAnswers := []modelPolicy{
		{name: "accepts"},
		{name: "naks MRU", nak: map[uint8][]string{LCPOptMRU: {octetsMRU1400}}},
		{name: "insists on MRU 1500", nak: map[uint8][]string{LCPOptMRU: {octetsMRU1500}}},
		{name: "rejects magic", reject: "\x05"},
		{name: "rejects magic and MRU", reject: "\x05\x01"},
		{name: "appends quality", add: octetsQuality},
		{name: "appends ACCM", add: octetsACCM4},
	}
	for _, u := range userAsks {
		for _, a := range acAnswers {
			a.want = octetsCHAP + octetsMagicA
			pairs = append(pairs, [2]modelPolicy{u, a})
		}
	}
	acAsks := []modelPolicy{
		{name: "asks nothing", want: ""},
		{name: "asks auth MRU magic", want: octetsMRU1492 + octetsCHAP + octetsMagicA, follow: true},
		{name: "asks MRU 1500", want: octetsMRU1500 + octetsMagicA, fresh: true},
		{name: "asks ACCM PFC ACFC", want: octetsACCM0 + octetsMagicA + octetsPFC + octetsACFC},
	}
	userAnswers := []modelPolicy{
		{name: "accepts"},
		{name: "rejects MRU", reject: "\x01"},
		{name: "rejects ACCM", reject: "\x02"},
		{name: "rejects PFC", reject: "\x07"},
		{name: "rejects ACFC", reject: "\x08"},
		{name: "rejects all of them", reject: "\x01\x02\x07\x08"},
		{name: "rejects magic and ACCM", reject: "\x02\x05"},
		{name: "naks ACCM", nak: map[uint8][]string{LCPOptACCM: {octetsACCMxon}}},
		{name: "naks ACCM and auth", nak: map[uint8][]string{LCPOptACCM: {octetsACCMxon}, LCPOptAuth: {octetsPAP}}},
		{name: "naks ACCM ever anew", nak: map[uint8][]string{LCPOptACCM: {octetsACCM1, octetsACCM2, octetsACCM4, octetsACCM1, octetsACCM2}}},
		{name: "naks MRU", nak: map[uint8][]string{LCPOptMRU: {octetsMRU1400}}},
		{name: "naks MRU up", nak: map[uint8][]string{LCPOptMRU: {octetsMRU1500}}},
		{name: "appends quality and endpoint", add: octetsQuality + octetsEndpoint},
		{name: "rejects ACFC, then wants it", reject: "\x08", add: octetsACFC, fickle: true},
	}
	for _, u := range userAnswers {
		for _, a := range acAsks {
			u.want = octetsMagicU + octetsACCM0 + octetsPFC
			pairs = append(pairs, [2]modelPolicy{u, a})
		}
	}
	return pairs
}
