package lab

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"tributary/internal/ether"
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
	// DuplicatePADS is how many more copies of each PADS are sent, one every 50 ms.
	DuplicatePADS int
	// PADOFlood is how many PADOs come in front of each one of its own: from
	// invented addresses, with invented names, and otherwise as good as true. Nobody
	// answers what is sent to them.
	PADOFlood int
	// PADSDelay is how long each PADS is held back, in steps of 50 ms. The
	// session is open meanwhile.
	PADSDelay time.Duration
	// Packet is asked about each whole Ethernet frame, by any goroutine, and
	// may change it in place; false loses the frame.
	Packet func(d Direction, frame []byte) bool
}

// Lose is a Trouble.Packet that loses what goes in direction d: discovery packets
// of the codes given, and, for pppoe.SessionStage, PPP.
func Lose(d Direction, codes ...pppoe.Code) func(Direction, []byte) bool {
	return func(at Direction, f []byte) bool {
		_, payload, ok := ether.Parse(f)
		if at != d || !ok {
			return true
		}
		h, _, err := pppoe.ParseHeader(payload)
		return err != nil || !slices.Contains(codes, h.Code)
	}
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

// heldPacket is a PADS that waits.
type heldPacket struct {
	at   time.Time
	send pppoe.Send
}

// sendPADS sends a PADS, or has it wait, as often as trouble has it.
func (a *AC) sendPADS(now time.Time, out pppoe.Send) {
	t := a.trouble.Load()
	if t.PADSDelay > 0 {
		a.held = append(a.held, heldPacket{now.Add(t.PADSDelay), out})
	} else {
		a.sendDiscovery(out)
	}
	for n := range t.DuplicatePADS {
		a.held = append(a.held, heldPacket{now.Add(t.PADSDelay + time.Duration(n+1)*acTick), out})
	}
}

// releaseHeld sends what has waited long enough.
func (a *AC) releaseHeld(now time.Time) {
	a.held = slices.DeleteFunc(a.held, func(h heldPacket) bool {
		if !due(now, h.at) {
			return false
		}
		a.sendDiscovery(h.send)
		return true
	})
}

// flood offers in the names of access concentrators that do not exist.
func (a *AC) flood(src pppoe.MAC, padi pppoe.Packet) {
	for range a.trouble.Load().PADOFlood {
		n := a.chance.Uint64()
		// IEEE 802: the local bit is set, the group bit is not.
		mac := pppoe.MAC{0x0a, byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
		pado := pppoe.Packet{Code: pppoe.PADO, Tags: []pppoe.Tag{
			pppoe.StringTag(pppoe.TagACName, fmt.Sprintf("%s-%08x", a.cfg.Name, uint32(n))),
			{Type: pppoe.TagACCookie, Data: binary.BigEndian.AppendUint64(nil, n)},
		}}
		pado.Tags = append(pado.Tags, repeated(padi)...)
		a.counters.flood.Add(1)
		a.sendPacket(mac, pppoe.Send{Dst: src, Code: pppoe.PADO, Packet: pado.Append(nil)})
	}
}
