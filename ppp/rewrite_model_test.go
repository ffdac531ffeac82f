package ppp

import "strings"

// The ends of TestRewriteExplored: two RFC 1661 automata, cut down to what
// matters to a Rewrite. Restart counters are gone: a timeout may happen
// whenever an end is waiting, and Max-Configure is never reached.

// modelEvent is a column of RFC 1661 section 4.1's table, turned on its side.
type modelEvent int

const (
	modelOpen modelEvent = iota
	modelClose
	modelTOplus
	modelTOminus
	modelRCRplus
	modelRCRminus
	modelRCA
	modelRCN
	modelRTR
	modelRTA
)

// The states from 2 on; an end whose lower layer is down is of no interest here.
const (
	modelClosed   = 2
	modelStopped  = 3
	modelClosing  = 4
	modelStopping = 5
	modelReqSent  = 6
	modelAckRcvd  = 7
	modelAckSent  = 8
	modelOpened   = 9
)

// modelTable is RFC 1661 section 4.1, states 2 to 9: actions and the new
// state. tlu, tld, tls, tlf, irc and zrc do nothing here and are left out.
var modelTable = [...][8]string{
	//           2 Closed    3 Stopped     4 Closing  5 Stopping  6 Req-Sent  7 Ack-Rcvd  8 Ack-Sent  9 Opened
	modelOpen:     {"scr/6", "/3", "/5", "/5", "/6", "/7", "/8", "/9"},
	modelClose:    {"/2", "/2", "/4", "/4", "str/4", "str/4", "str/4", "str/4"},
	modelTOplus:   {"/2", "/3", "str/4", "str/5", "scr/6", "scr/6", "scr/8", "/9"},
	modelTOminus:  {"/2", "/3", "/2", "/3", "/3", "/3", "/3", "/9"},
	modelRCRplus:  {"sta/2", "scr,sca/8", "/4", "/5", "sca/8", "sca/9", "sca/8", "scr,sca/8"},
	modelRCRminus: {"sta/2", "scr,scn/6", "/4", "/5", "scn/6", "scn/7", "scn/6", "scr,scn/6"},
	modelRCA:      {"sta/2", "sta/3", "/4", "/5", "/7", "scr/6", "/9", "scr/6"},
	modelRCN:      {"sta/2", "sta/3", "/4", "/5", "scr/6", "scr/6", "scr/8", "scr/6"},
	modelRTR:      {"sta/2", "sta/3", "sta/4", "sta/5", "sta/6", "sta/6", "sta/6", "sta/5"},
	modelRTA:      {"/2", "/3", "/2", "/3", "/6", "/6", "/8", "scr/6"},
}

// modelPacket is an LCP packet on a wire; a string so that it can be compared.
type modelPacket struct {
	code Code
	id   uint8
	data string
}

// modelPolicy is what an end wants and how it answers.
type modelPolicy struct {
	name   string
	want   string             // options of its first request
	reject string             // types it rejects
	nak    map[uint8][]string // by type: options it would rather have, one per Nak in turn, the last for good
	add    string             // options it appends to a Nak while the peer does not ask for them
	follow bool               // takes up options appended to a Nak, whatever they are
	fickle bool               // may refuse what it has acked
	fresh  bool               // a new identifier for each retransmission
}

// modelMaxFailure is RFC 1661's Max-Failure: so many Naks, and then Rejects.
const modelMaxFailure = 5

// modelEnd is one end's state. All of it is comparable.
type modelEnd struct {
	st      uint8
	id      uint8  // of its latest request
	asked   bool   // there was one
	replied bool   // and it has been answered
	req     string // its options
	want    string // options of its next request
	peer    string // the options of the peer's that it acked last
	naks    uint8
	termID  uint8
}

// do runs one event of the table; answer is the reply that sca or scn sends.
func (e *modelEnd) do(p *modelPolicy, ev modelEvent, answer modelPacket, id uint8) (out []modelPacket) {
	cell := modelTable[ev][e.st-2]
	actions, state, _ := strings.Cut(cell, "/")
	e.st = state[0] - '0'
	for a := range strings.SplitSeq(actions, ",") {
		switch a {
		case "scr":
			if !e.asked || e.replied || e.req != e.want || p.fresh {
				e.id++
			}
			e.asked, e.replied, e.req = true, false, e.want
			out = append(out, modelPacket{ConfigureRequest, e.id, e.req})
		case "sca", "scn":
			out = append(out, answer)
		case "str":
			e.termID++
			out = append(out, modelPacket{code: TerminateRequest, id: e.termID})
		case "sta":
			out = append(out, modelPacket{code: TerminateAck, id: id})
		}
	}
	return out
}

// waits reports whether the end's restart timer runs.
func (e *modelEnd) waits() bool { return e.st >= modelClosing && e.st != modelOpened }

// timeout is the restart timer's. An end that negotiates goes on for ever, one
// that terminates does not repeat itself.
func (e *modelEnd) timeout(p *modelPolicy) []modelPacket {
	switch {
	case !e.waits():
		return nil
	case e.st == modelClosing || e.st == modelStopping:
		return e.do(p, modelTOminus, modelPacket{}, 0)
	}
	return e.do(p, modelTOplus, modelPacket{}, 0)
}

// receive takes one packet from the wire.
func (e *modelEnd) receive(p *modelPolicy, in modelPacket) []modelPacket {
	switch in.code {
	case ConfigureRequest:
		if e.st == modelClosing || e.st == modelStopping || e.st == modelClosed {
			return e.do(p, modelRCRplus, modelPacket{}, in.id) // not looked at
		}
		answer := e.judge(p, in)
		if answer.code == ConfigureAck {
			e.peer, e.naks = in.data, 0
			return e.do(p, modelRCRplus, answer, in.id)
		}
		return e.do(p, modelRCRminus, answer, in.id)
	case ConfigureAck:
		if in.id != e.id || in.data != e.req {
			return nil
		}
		e.replied = true
		return e.do(p, modelRCA, modelPacket{}, in.id)
	case ConfigureNak, ConfigureReject:
		if in.id != e.id {
			return nil
		}
		e.replied = true
		e.learn(p, in)
		return e.do(p, modelRCN, modelPacket{}, in.id)
	case TerminateRequest:
		return e.do(p, modelRTR, modelPacket{}, in.id)
	case TerminateAck:
		return e.do(p, modelRTA, modelPacket{}, in.id)
	}
	return nil
}

// judge answers a request. RFC 1661 sections 5.2 to 5.4: a Reject if anything
// is to be rejected, else a Nak, else an Ack.
func (e *modelEnd) judge(p *modelPolicy, in modelPacket) modelPacket {
	var reject, nak string
	for o := range modelOptions(in.data) {
		if strings.IndexByte(p.reject, o[0]) >= 0 {
			reject += o
		} else if l := p.nak[o[0]]; l != nil {
			if better := l[min(int(e.naks), len(l)-1)]; better != o {
				if e.naks < modelMaxFailure {
					nak += better
				} else {
					reject += o
				}
			}
		}
	}
	if e.naks < modelMaxFailure {
		for o := range modelOptions(p.add) {
			if !modelHas(in.data, o[0]) {
				nak += o
			}
		}
	}
	switch {
	case reject != "":
		return modelPacket{ConfigureReject, in.id, reject}
	case nak != "":
		e.naks++
		return modelPacket{ConfigureNak, in.id, nak}
	}
	return modelPacket{ConfigureAck, in.id, in.data}
}

// learn changes what is asked for next after a Nak or a Reject.
func (e *modelEnd) learn(p *modelPolicy, in modelPacket) {
	for o := range modelOptions(in.data) {
		var next string
		for w := range modelOptions(e.want) {
			switch {
			case w[0] != o[0]:
				next += w
			case in.code == ConfigureNak:
				next += o
			}
		}
		if in.code == ConfigureNak && p.follow && !modelHas(e.want, o[0]) {
			next += o
		}
		e.want = next
	}
}

// modelOptions yields the options in b, each whole.
func modelOptions(b string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(b) > 0 {
			n := int(b[1])
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func modelHas(b string, t uint8) bool {
	for o := range modelOptions(b) {
		if o[0] == t {
			return true
		}
	}
	return false
}
