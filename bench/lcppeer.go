//go:build linux

package main

import (
	"encoding/binary"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// lcpPeer is the access concentrator's end of LCP for any number of sessions. It
// takes whatever is asked for and remembers one octet a session, so that 50,000
// of them cost the machine next to nothing. It has no timers but the one for its
// Echo-Requests: a user who has no answer asks again.
type lcpPeer struct {
	board   *board
	state   [1 << 16]uint8 // by session id
	asking  []uint16       // sessions that want a Configure-Request of ours
	cursor  uint16         // the session to send the next Echo-Request to
	started time.Time      // of the Echo-Requests; zero if none are sent
	steps   int64          // of the cursor since then
	frames  [maxBatch][64]byte
}

// State of one session's LCP.
const (
	lcpNone   uint8 = iota // no session
	lcpClosed              // a session, LCP not open
	lcpOpened
)

// lcpTick is how long the access concentrator waits for a frame before it looks
// whether Echo-Requests are due.
const lcpTick = 5 * time.Millisecond

// Places in an Ethernet frame without tags that carries LCP.
const (
	protoAt = ether.HeaderLen + pppoe.HeaderLen
	codeAt  = protoAt + 2
	magicAt = codeAt + 4
)

var lcpMagic = []byte("isp!")

func newLCPPeer(b *board) *lcpPeer { return &lcpPeer{board: b} }

func (p *lcpPeer) opened(sid uint16) {
	p.state[sid] = lcpClosed
	p.board.opened.Add(1)
}

func (p *lcpPeer) closed(sid uint16) {
	p.state[sid] = lcpNone
	p.board.lastPADT.Store(int64(monotonic()))
	p.board.closed.Add(1) // after the time: who sees the count may read it
}

// input takes one session frame, makes it the answer if it has one, and reports
// whether it is to be sent back.
func (p *lcpPeer) input(f []byte) bool {
	if len(f) < magicAt || ppp.Protocol(binary.BigEndian.Uint16(f[protoAt:])) != ppp.ProtoLCP {
		return true
	}
	sid := binary.BigEndian.Uint16(f[sidAt:])
	if p.state[sid] == lcpNone {
		return false
	}
	switch ppp.Code(f[codeAt]) {
	case ppp.ConfigureRequest:
		f[codeAt] = byte(ppp.ConfigureAck)
		p.asking = append(p.asking, sid)
		return true
	case ppp.ConfigureAck:
		if p.state[sid] == lcpClosed {
			p.state[sid] = lcpOpened
			p.board.lcpOpen.Add(1)
		}
	case ppp.EchoRequest:
		p.board.asked.Add(1)
		if len(f) >= magicAt+len(lcpMagic) {
			f[codeAt] = byte(ppp.EchoReply)
			copy(f[magicAt:], lcpMagic)
			return true
		}
	case ppp.EchoReply:
		p.board.answered.Add(1)
	case ppp.TerminateRequest:
		p.board.terminated.Add(1)
		f[codeAt] = byte(ppp.TerminateAck)
		return true
	}
	return false
}

// speak sends what the AC says of itself: its Configure-Requests, and the
// Echo-Requests that are due, spread evenly over all ids.
func (p *lcpPeer) speak(fd int, out *batch, now time.Time) error {
	for _, sid := range p.asking {
		if err := p.say(fd, out, sid, ppp.ConfigureRequest, ppp.Option{Type: ppp.LCPOptMagic, Data: lcpMagic}.Append(nil)); err != nil {
			return err
		}
	}
	p.asking = p.asking[:0]

	every := p.board.echoEvery.Load()
	if every == 0 {
		p.started = time.Time{}
	} else if p.started.IsZero() {
		p.started, p.steps = now, 0
	} else {
		for due := now.Sub(p.started).Nanoseconds() * int64(len(p.state)) / every; p.steps < due; p.steps++ {
			p.cursor++
			if p.state[p.cursor] != lcpOpened {
				continue
			}
			p.board.echoSent.Add(1)
			if err := p.say(fd, out, p.cursor, ppp.EchoRequest, lcpMagic); err != nil {
				return err
			}
		}
	}
	return out.send(fd)
}

// say adds one LCP packet to out, and sends out when it is full.
func (p *lcpPeer) say(fd int, out *batch, sid uint16, code ppp.Code, data []byte) error {
	if out.n == maxBatch {
		if err := out.send(fd); err != nil {
			return err
		}
	}
	eth := ether.Header{Dst: userMAC, Src: acMAC, Type: ether.TypeSession}
	f := eth.Append(p.frames[out.n][:0])
	var h [pppoe.HeaderLen]byte
	pppoe.PutHeader(h[:], pppoe.SessionStage, sid, codeAt-protoAt+4+len(data))
	f = ppp.Packet{Code: code, ID: 1, Data: data}.AppendFrame(append(f, h[:]...), ppp.ProtoLCP)
	out.add(f)
	return nil
}
