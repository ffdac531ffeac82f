package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"sync"

	"tributary/internal/config"
	"tributary/internal/line"
	"tributary/pppoe"
)

// perLineMAC is the source address of one line's sessions under `mac:
// per-line`: locally administered, unicast, and the same each time that line
// comes up on that port, so that an ISP can know the line by it.
func perLineMAC(port pppoe.MAC, lineName string) pppoe.MAC {
	h := sha256.New()
	h.Write(port[:])
	h.Write([]byte(lineName))
	var m pppoe.MAC
	copy(m[:], h.Sum(nil))
	m[0] = m[0]&^0x01 | 0x02 // IEEE 802: clear the group bit, set the local bit
	return m
}

// sourceMAC is our address in the sessions of one line; extra says that it is not
// the port's own.
func (u *uplink) sourceMAC(info line.Info) (mac pppoe.MAC, extra bool) {
	port := u.port.mac()
	switch u.cfg.MAC {
	case config.MACPerLine:
		return perLineMAC(port, info.Name), true
	case config.MACPooled:
		return pooledMAC(port, u.macs.take(info.Name, u.cfg.MACPool)), true
	}
	return port, false
}

// pooledMAC is one address of the pools on a port: made as those of lines, by a
// name that no line has.
func pooledMAC(port pppoe.MAC, slot int) pppoe.MAC {
	return perLineMAC(port, "\x00pool/"+strconv.Itoa(slot))
}

// macPool spreads lines over the addresses of a pool: one after the other, since an
// AC may bear so many sessions of one address, or so many PADIs, and the fullest counts. A
// hash of the name would fill one by a fifth more than another. What a line once had it has
// again as long as the gateway runs, so that an ISP's records of it hang together. There
// are only so many names: the configuration bounds them.
type macPool struct {
	mu sync.Mutex
	of map[string]int
}

// take is the place of the line called name among size addresses.
func (p *macPool) take(name string, size int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot, known := p.of[name]
	if !known {
		if p.of == nil {
			p.of = make(map[string]int)
		}
		slot = len(p.of) % size
		p.of[name] = slot
	}
	return slot
}

// hostUniqLen is the length of our Host-Uniq: an index, and a nonce that no
// stranger on the wire can guess.
const hostUniqLen = 12

type hostUniq [hostUniqLen]byte

func newHostUniq(index uint32, random func([]byte)) (h hostUniq) {
	binary.BigEndian.PutUint32(h[:], index)
	random(h[4:])
	return h
}
