package lab

import (
	"time"

	"tributary/pppoe"
)

// Direction is which way a frame goes, seen from an access concentrator.
type Direction bool

// The two directions.
const (
	FromSubscriber Direction = false
	ToSubscriber   Direction = true
)

// Trouble is what an access concentrator does wrong, for those who want to see
// what then happens. The zero value is nothing. Frames that get lost at random
// are ether.Faulty's.
type Trouble struct {
	Deaf bool // it hears nothing
	Mute bool // it says nothing
	// Refuse is an error tag (RFC 2516 appendix A) with which every PADR is
	// answered.
	Refuse *pppoe.Tag
	// PADSDelay is how long each PADS is held back, in steps of 50 ms. The
	// session is open meanwhile.
	PADSDelay time.Duration
	// Packet is asked about each whole Ethernet frame, by any goroutine, and
	// may change it in place; false loses the frame.
	Packet func(d Direction, frame []byte) bool
}

func (t *Trouble) pass(d Direction, frame []byte) bool {
	if d == FromSubscriber && t.Deaf || d == ToSubscriber && t.Mute {
		return false
	}
	return t.Packet == nil || t.Packet(d, frame)
}

// SetTrouble makes trouble from the next frame on, in place of what was set
// before.
func (a *AC) SetTrouble(t Trouble) { a.trouble.Store(&t) }

// refusal is the PADS that refuses the PADR in packet; ok is false if packet is
// none, or is not to be refused.
func (t *Trouble) refusal(packet []byte) (pads []byte, ok bool) {
	if t.Refuse == nil {
		return nil, false
	}
	p, err := pppoe.ParsePacket(packet)
	if err != nil || p.Code != pppoe.PADR {
		return nil, false
	}
	answer := pppoe.Packet{Code: pppoe.PADS}
	for _, tag := range p.Tags {
		switch tag.Type {
		case pppoe.TagServiceName, pppoe.TagHostUniq, pppoe.TagRelaySessionID:
			answer.Tags = append(answer.Tags, tag)
		}
	}
	answer.Tags = append(answer.Tags, *t.Refuse)
	return answer.Append(nil), true
}

// heldPacket is a PADS that waits.
type heldPacket struct {
	at   time.Time
	send pppoe.Send
}

// releaseHeld sends what has waited long enough.
func (a *AC) releaseHeld(now time.Time) {
	for len(a.held) > 0 && due(now, a.held[0].at) {
		a.sendDiscovery(a.held[0].send)
		a.held = a.held[1:]
	}
}
