package ppp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// The wires, in the order of their names in a path.
const (
	modelWireUserOut = iota // user -> Rewrite
	modelWireUserIn         // Rewrite -> user
	modelWireACOut          // AC -> Rewrite
	modelWireACIn           // Rewrite -> AC
)

// modelBudget is how much may go wrong on one path.
type modelBudget struct {
	loss, dup, timeout, again, terminate uint8
}

// modelWireCap bounds a wire; what does not fit is lost.
const modelWireCap = 4

// modelWorld is one state of the whole: two ends, the Rewrite, four wires.
type modelWorld struct {
	user, ac modelEnd
	rw       Rewrite
	wires    [4][]modelPacket
	left     modelBudget

	rejected rewriteOptionSet // by the user, so far
}

func (w *modelWorld) clone() *modelWorld {
	c := *w
	for _, a := range []*rewriteAsk{&c.rw.user, &c.rw.ac} {
		a.asked, a.sent = bytes.Clone(a.asked), bytes.Clone(a.sent)
	}
	c.rw.toAC, c.rw.toUser, c.rw.scratch = nil, nil, nil
	for i := range c.wires {
		c.wires[i] = slices.Clone(c.wires[i])
	}
	return &c
}

// key is the state's fingerprint: everything that decides what can happen next.
func (w *modelWorld) key(b []byte) []byte {
	str := func(s string) { b = append(append(b, byte(len(s))), s...) }
	flag := func(f bool) {
		if f {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	for _, e := range []*modelEnd{&w.user, &w.ac} {
		b = append(b, e.st, e.id, e.naks, e.termID)
		flag(e.asked)
		flag(e.replied)
		str(e.req)
		str(e.want)
		str(e.peer)
	}
	r := &w.rw
	for _, a := range []*rewriteAsk{&r.user, &r.ac} {
		b = append(b, a.id, a.sentID)
		flag(a.told)
		flag(a.valid)
		flag(a.acked)
		str(string(a.asked))
		str(string(a.sent))
	}
	b = append(b, byte(w.rejected), byte(r.refused), r.accmNaks, r.skew, r.resends)
	b = binary.BigEndian.AppendUint32(b, r.accm)
	b = binary.BigEndian.AppendUint16(b, r.mru)
	for _, wire := range w.wires {
		b = append(b, byte(len(wire)))
		for _, p := range wire {
			b = append(b, byte(p.code), p.id)
			str(p.data)
		}
	}
	l := w.left
	return append(b, l.loss, l.dup, l.timeout, l.again, l.terminate)
}

func (w *modelWorld) send(wire int, packets ...modelPacket) {
	for _, p := range packets {
		if len(w.wires[wire]) < modelWireCap {
			w.wires[wire] = append(w.wires[wire], p)
		}
	}
}

func (w *modelWorld) idle() bool {
	return len(w.wires[0])+len(w.wires[1])+len(w.wires[2])+len(w.wires[3]) == 0
}

// successors yields every state that one step leads to. costs says that the
// step is one of those that go wrong, taken from the budget.
func (s *modelScenario) successors(w *modelWorld, yield func(what string, costs bool, to *modelWorld, err error) error) error {
	for i := range w.wires {
		if len(w.wires[i]) == 0 {
			continue
		}
		c := w.clone()
		p := c.wires[i][0]
		c.wires[i] = c.wires[i][1:]
		what, err := s.deliver(c, i, p)
		if err := yield(what, false, c, err); err != nil {
			return err
		}
		if w.left.loss > 0 {
			c := w.clone()
			c.left.loss--
			c.wires[i] = c.wires[i][1:]
			if err := yield("lost: "+modelWireNames[i]+" "+p.String(), true, c, nil); err != nil {
				return err
			}
		}
		if w.left.dup > 0 && len(w.wires[i]) < modelWireCap {
			c := w.clone()
			c.left.dup--
			c.wires[i] = append([]modelPacket{p}, c.wires[i]...)
			if err := yield("duplicated: "+modelWireNames[i]+" "+p.String(), true, c, nil); err != nil {
				return err
			}
		}
	}
	if w.idle() && w.user.st != modelClosed && w.ac.st != modelClosed && (w.user.waits() || w.ac.waits()) {
		// Nothing is under way: whoever waits has waited long enough.
		c := w.clone()
		c.send(modelWireUserOut, c.user.timeout(&s.user)...)
		c.send(modelWireACOut, c.ac.timeout(&s.ac)...)
		if err := yield("timeout", false, c, nil); err != nil {
			return err
		}
	}
	if err := s.endSteps(w, "user", yield); err != nil {
		return err
	}
	return s.endSteps(w, "AC", yield)
}

// endSteps yields what one end may do by itself.
func (s *modelScenario) endSteps(w *modelWorld, who string, yield func(string, bool, *modelWorld, error) error) error {
	pick := func(w *modelWorld) (*modelEnd, *modelPolicy, int) {
		if who == "user" {
			return &w.user, &s.user, modelWireUserOut
		}
		return &w.ac, &s.ac, modelWireACOut
	}
	act := func(what string, costs bool, change func(*modelWorld, *modelEnd, *modelPolicy) []modelPacket) error {
		c := w.clone()
		e, p, wire := pick(c)
		c.send(wire, change(c, e, p)...)
		return yield(who+" "+what, costs, c, nil)
	}
	e, _, _ := pick(w)
	event := func(ev modelEvent) func(*modelWorld, *modelEnd, *modelPolicy) []modelPacket {
		return func(_ *modelWorld, e *modelEnd, p *modelPolicy) []modelPacket { return e.do(p, ev, modelPacket{}, 0) }
	}
	switch e.st {
	case modelClosed:
		// Who closed wants to open again, sooner or later.
		if err := act("opens", false, event(modelOpen)); err != nil {
			return err
		}
	case modelClosing, modelStopping, modelReqSent, modelAckRcvd, modelAckSent:
		if w.left.timeout > 0 {
			err := act("times out early", true, func(c *modelWorld, e *modelEnd, p *modelPolicy) []modelPacket {
				c.left.timeout--
				return e.timeout(p)
			})
			if err != nil {
				return err
			}
		}
	}
	if w.left.again > 0 && e.st == modelOpened {
		// It only wants to negotiate once more, or has forgotten everything,
		// the identifier too. What is on its way to it meanwhile is lost: else
		// an Ack from before could pass for one of the new request.
		for _, reboot := range []bool{false, true} {
			what := "negotiates anew"
			if reboot {
				what = "reboots"
			}
			err := act(what, true, func(c *modelWorld, e *modelEnd, p *modelPolicy) []modelPacket {
				c.left.again--
				if reboot {
					fresh := modelEnd{st: modelClosed, want: p.want}
					if who == "AC" {
						fresh.id = 100
					}
					*e = fresh
					in := modelWireUserIn
					if who == "AC" {
						in = modelWireACIn
					}
					c.wires[in] = nil
				}
				e.st = modelClosed
				return e.do(p, modelOpen, modelPacket{}, 0)
			})
			if err != nil {
				return err
			}
		}
	}
	if w.left.terminate > 0 && e.st == modelOpened {
		return act("closes", true, func(c *modelWorld, e *modelEnd, p *modelPolicy) []modelPacket {
			c.left.terminate--
			return e.do(p, modelClose, modelPacket{}, 0)
		})
	}
	return nil
}

var modelWireNames = [4]string{"user->", "->user", "AC->", "->AC"}

func (p modelPacket) String() string { return fmt.Sprintf("%v %d [%x]", p.code, p.id, p.data) }

// deliver takes p from a wire to whoever is at its end.
func (s *modelScenario) deliver(w *modelWorld, wire int, p modelPacket) (string, error) {
	what := modelWireNames[wire] + " " + p.String()
	switch wire {
	case modelWireUserIn:
		if err := s.checkToUser(w, p); err != nil {
			return what, err
		}
		w.send(modelWireUserOut, w.user.receive(&s.user, p)...)
		return what, nil
	case modelWireACIn:
		if err := s.checkToAC(w, p); err != nil {
			return what, err
		}
		w.send(modelWireACOut, w.ac.receive(&s.ac, p)...)
		return what, nil
	}
	frame := Packet{Code: p.code, ID: p.id, Data: []byte(p.data)}.AppendFrame(nil, ProtoLCP)
	var out Relayed
	if wire == modelWireUserOut {
		dropped := w.rw.Counters()
		out = w.rw.FromUser(frame)
		if p.code == ConfigureReject && w.rw.Counters().Stale == dropped.Stale && w.rw.Counters().Mismatched == dropped.Mismatched {
			for o := range modelOptions(p.data) {
				w.rejected |= rewriteSetOf(o[0])
			}
		}
	} else {
		out = w.rw.FromAC(frame)
	}
	if out.ToUser != nil {
		toUser := modelParse(out.ToUser)
		if err := w.checkRejected(toUser); err != nil {
			return what, err
		}
		w.send(modelWireUserIn, toUser)
	}
	if out.ToAC != nil {
		w.send(modelWireACIn, modelParse(out.ToAC))
	}
	return what, nil
}

func modelParse(frame []byte) modelPacket {
	p, err := ParsePacket(frame[2:])
	if err != nil {
		panic(err) // a Rewrite that makes ill-formed packets
	}
	return modelPacket{p.Code, p.ID, string(p.Data)}
}
