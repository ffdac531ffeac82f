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
	open    int            // how many have LCP open
	asking  []uint16       // sessions that want a Configure-Request of ours
	cursor  uint16         // the session that the last Echo-Request went to
	started time.Time      // of the Echo-Requests; zero if none are sent
	sent    int64          // since then
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
	p.set(sid, lcpClosed)
	p.board.opened.Add(1)
}

func (p *lcpPeer) closed(sid uint16) {
	p.set(sid, lcpNone)
	p.board.lastPADT.Store(int64(monotonic()))
	p.board.closed.Add(1) // after the time: who sees the count may read it
}

func (p *lcpPeer) set(sid uint16, state uint8) {
	if p.state[sid] == lcpOpened {
		p.open--
	}
	if state == lcpOpened {
		p.open++
	}
	p.state[sid] = state
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
			p.set(sid, lcpOpened)
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
// Echo-Requests that are due.
func (p *lcpPeer) speak(fd int, out *batch, now time.Time) error {
	for _, sid := range p.asking {
		if err := p.say(fd, out, sid, ppp.ConfigureRequest, ppp.Option{Type: ppp.LCPOptMagic, Data: lcpMagic}.Append(nil)); err != nil {
			return err
		}
	}
	p.asking = p.asking[:0]

	for range p.due(now, time.Duration(p.board.echoEvery.Load())) {
		p.board.echoSent.Add(1)
		if err := p.say(fd, out, p.next(), ppp.EchoRequest, lcpMagic); err != nil {
			return err
		}
	}
	return out.send(fd)
}

// due is how many Echo-Requests are to be sent now, so that every session that is
// open has one in each period and none comes on the heels of another.
func (p *lcpPeer) due(now time.Time, every time.Duration) int {
	switch {
	case every == 0 || p.open == 0:
		p.started = time.Time{}
	case p.started.IsZero():
		p.started, p.sent = now, 0
	default:
		n := max(0, now.Sub(p.started).Nanoseconds()*int64(p.open)/every.Nanoseconds()-p.sent)
		p.sent += n
		return int(n)
	}
	return 0
}

// next is the next session that is open, of which there is one.
func (p *lcpPeer) next() uint16 {
	for {
		if p.cursor++; p.state[p.cursor] == lcpOpened {
			return p.cursor
		}
	}
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
