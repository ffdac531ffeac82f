package nat

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/ip"
)

// Lines, reader, sweep and teardown at once: the race detector looks on, no packet
// gets to a wrong user, and nothing is left at the end.
func TestParallel(t *testing.T) {
	var assigned, released atomic.Int64
	n, err := New(Config{External: netip.MustParseAddr(shared), HoldDown: -1, Sessions: 200,
		FirstPort: 1024, LastPort: 1024 + 10*16 - 1, BlockSize: 16, // few: they change hands all the time
		OnBlock: func(b Block) {
			if b.Released {
				released.Add(1)
			} else {
				assigned.Add(1)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	const lines, rounds = 8, 3000
	var now atomic.Int64
	clock := func() time.Duration { return time.Duration(now.Load()) }
	toReader := make(chan []byte, 256)
	var senders, others sync.WaitGroup
	for line := range lines {
		senders.Go(func() {
			address := netip.AddrFrom4([4]byte{10, 0, 0, byte(line + 1)})
			addr := address.String()
			packets := [][]byte{
				udpPacket(t, addr, 0, server, 6000), tcpPacket(t, addr, 0, server, 6000, synFlag), icmpPacket(t, addr, server, echo, 0),
			}
			for i := range rounds {
				// Every fifty packets the line is another user's, with the same address.
				user := uint32(i/50*lines + line + 1)
				if i%50 == 0 && !n.Join(User{ID: user, Addr: address}) {
					t.Errorf("user %d is not let in", user)
				}
				b := bytes.Clone(packets[i%3])
				h, _ := ip.Parse4(b)
				at := h.Len
				if i%3 == 2 {
					at += 4
				}
				binary.BigEndian.PutUint16(b[at:], uint16(i/10))
				if _, v := n.Out(clock(), user, b, &h); v == Forward {
					select {
					case toReader <- b:
					default:
					}
				}
				if i%50 == 49 {
					n.Leave(clock(), user)
				}
			}
		})
	}
	others.Go(func() { // the reader: sends each packet back to where it came from
		for b := range toReader {
			h, _ := ip.Parse4(b)
			src, dst := h.Src, h.Dst
			put32(b[12:], dst)
			put32(b[16:], src)
			h.Src, h.Dst = dst, src
			switch h.Protocol {
			case ip.ProtoICMP:
				b[20] = echoReply
			default:
				port := sport(b)
				put16(b[20:], dport(b))
				put16(b[22:], port)
			}
			// Meanwhile the user may have left, and its block be another user's.
			user, v := n.In(clock(), b, &h)
			if v == Forward && h.Dst != 10<<24|((user-1)%lines+1) {
				t.Errorf("user %d gets what is for %v", user, ip.AddrFrom4(h.Dst))
			}
		}
	})
	done := make(chan struct{})
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				n.Tick(time.Duration(now.Add(int64(100 * time.Millisecond))))
				n.Stats()
			}
		}
	})
	senders.Wait()
	close(toReader)
	close(done)
	others.Wait()
	n.Close(clock())
	s := n.Stats()
	if s.Sessions != 0 || s.Mappings != 0 || s.Users != 0 || s.BlocksFree != s.Blocks || assigned.Load() != released.Load() {
		t.Errorf("at the end there is %+v, %d blocks assigned and %d released", s, assigned.Load(), released.Load())
	}
}
