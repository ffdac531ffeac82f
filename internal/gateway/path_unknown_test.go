package gateway

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
)

// ipx is a packet of a protocol that there is no way for.
func ipx(n int) []byte {
	return append(binary.BigEndian.AppendUint16(nil, 0x002b), bytes.Repeat([]byte{0xff}, n)...)
}

// rejected are the Protocol-Rejects among LCP packets, and the frame that each returns.
func rejected(t *testing.T, packets [][]byte) (frames [][]byte) {
	t.Helper()
	for _, info := range packets {
		if p, err := ppp.ParsePacket(info); err != nil {
			t.Errorf("% x: %v", info, err)
		} else if p.Code == ppp.ProtocolReject {
			frames = append(frames, p.Data)
		}
	}
	return frames
}

// rejects are the Protocol-Rejects that the caller has got.
func (c *caller) rejects() [][]byte {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var packets [][]byte
	for _, f := range c.frames {
		if p, info, ok := ppp.Split(f); ok && p == ppp.ProtoLCP {
			packets = append(packets, info)
		}
	}
	c.frames = nil
	return rejected(c.t, packets)
}

func TestUnknownProtocolOfAUser(t *testing.T) {
	for _, tt := range []struct {
		name string
		v6   bool
	}{{"IPv4 only", false}, {"and IPv6", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r *sharedRig
				var c *caller
				if tt.v6 {
					r = newSharedRig6(t, nil)
					c = r.login("virtual/1", as6("bob", "builder"))
				} else {
					r = newSharedRig(t, nil)
					c = r.login("virtual/1", as("bob", "builder"))
				}
				c.rejects()
				v6 := append([]byte{0, 0x57}, ping6("2001:db8::1", "2001:db8::2").bytes()...)
				c.write(v6)
				if got := c.rejects(); len(got) == 1 == tt.v6 || !tt.v6 && !bytes.Equal(got[0], v6) {
					t.Errorf("IPv6 is answered by % x", got)
				}
				c.write(ipx(30))
				if got := c.rejects(); len(got) != 1 || !bytes.Equal(got[0], ipx(30)) {
					t.Errorf("IPX is answered by % x", got)
				}
				for range 1000 {
					c.write(ipx(1000))
				}
				if n := len(c.rejects()); n > rejectRate.Burst {
					t.Errorf("a thousand packets are answered by %d", n)
				}
				time.Sleep(time.Minute)
				c.write(ipx(30))
				if n := len(c.rejects()); n != 1 {
					t.Errorf("%d answers, a minute later", n)
				}
				want := uint64(1002)
				if !tt.v6 {
					want++
				}
				r.wantDropped("virtual/1", "unknown_protocol", want)
				c.send(packet{src: c.address().String(), dst: host}.bytes())
				r.isp.want("his IPv4 goes on")
				c.hangUp()
				r.end()
			})
		})
	}
}

// Before IPCP is open, too: it is LCP that has to be. And a login that runs is not
// disturbed by what PPP has no place for yet.
func TestUnknownProtocolAtLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, nil)
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		c := r.dialIn("virtual/1", as("bob", "builder"))
		c.write(ipx(30))
		synctest.Wait()
		if n := len(c.rejects()); n > 1 {
			t.Errorf("%d answers", n)
		}
		c.write(ipx(30))
		if n := len(c.rejects()); n != 1 {
			t.Errorf("%d answers while he waits for an address", n)
		}
		c.hangUp()
		r.end()
	})
}

func TestUnknownProtocolOfTheISP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		send := func(n int, f []byte) {
			r.isp.do(func(time.Time) {
				s := r.isp.one("")
				for range n {
					r.isp.send(s.peer, ether.TypeSession, sessionPacket(s.sid, f))
				}
			})
		}
		heard := func() (got [][]byte) {
			r.isp.do(func(time.Time) { got, r.isp.rejects = r.isp.rejects, nil })
			return rejected(t, got)
		}
		v6 := append([]byte{0, 0x57}, ping6("2001:db8::1", "2001:db8::2").bytes()...)
		send(1, v6)
		if got := heard(); len(got) != 1 || !bytes.Equal(got[0], v6) {
			t.Errorf("IPv6 on a session without it is answered by % x", got)
		}
		send(1, ipx(30))
		if got := heard(); len(got) != 1 || !bytes.Equal(got[0], ipx(30)) {
			t.Errorf("IPX is answered by % x", got)
		}
		for range 20 {
			send(20, ipx(30))
		}
		if n := len(heard()); n > rejectRate.Burst {
			t.Errorf("400 packets are answered by %d", n)
		}
		if info, _ := r.gw.Line("session/office"); info.Dropped["unknown_protocol"] != 402 {
			t.Errorf("%d were counted", info.Dropped["unknown_protocol"])
		}
		r.end()
	})
}
