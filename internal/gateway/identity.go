package gateway

import (
	"crypto/sha256"
	"encoding/binary"

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

// sourceMAC is our address in the sessions of one line.
func (u *uplink) sourceMAC(info line.Info) pppoe.MAC {
	if u.cfg.MAC == config.MACPerLine {
		return perLineMAC(u.port.mac(), info.Name)
	}
	return u.port.mac()
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
