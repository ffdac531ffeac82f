package gateway

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
)

// A user whose Configure-Ack is what opens IPCP may send his first packet right
// behind it: both may be in one read of the line, while the Ack is still the owner's.
func TestPacketBehindTheLastAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		near, far := line.Pipe(line.Info{Name: "virtual/1", Group: "virtual", Kind: "pipe", Remote: "test"}, r.pool, line.PipeOptions{})
		ln := line.Over(far, line.Info{Name: "user"}, r.pool)
		heard := make(chan []byte, 64)
		go func() {
			var batch [8]*frame.Buf
			for {
				n, err := ln.Read(batch[:])
				for _, b := range batch[:n] {
					heard <- bytes.Clone(b.Bytes())
					b.Put()
				}
				if err != nil {
					ln.Close()
					return
				}
			}
		}()
		write := func(frames ...[]byte) {
			var batch []*frame.Buf
			for _, f := range frames {
				b := r.pool.Get()
				b.SetBytes(f)
				batch = append(batch, b)
			}
			if err := ln.Write(batch); err != nil {
				t.Error(err)
			}
			for _, b := range batch {
				b.Put()
			}
		}
		r.lines.c <- near

		// The user's PPP, which says everything but its Ack to the gateway's IPCP.
		link := ppp.NewLink(as("bob", "builder"))
		var ack []byte
		var up *ppp.NetworkUp
		drain := func() {
			for out, ok := link.Next(); ok; out, ok = link.Next() {
				switch out := out.(type) {
				case ppp.SendFrame:
					if p, info, _ := ppp.Split(out.Frame); p == ppp.ProtoIPCP && info[0] == byte(ppp.ConfigureAck) {
						ack = bytes.Clone(out.Frame)
						continue
					}
					write(out.Frame)
				case ppp.Params:
					ln.SetParams(hdlc.Params{ACCM: out.Line.SendACCM, PFC: out.Line.SendPFC, ACFC: out.Line.SendACFC}, out.Line.RecvACCM)
				case ppp.NetworkUp:
					up = &out
				}
			}
		}
		link.Open(time.Now())
		link.Up(time.Now())
		drain()
		for more := true; more; {
			synctest.Wait()
			select {
			case f := <-heard:
				link.Input(time.Now(), f)
				drain()
			default:
				more = false
			}
		}
		if ack == nil || up == nil {
			t.Fatalf("the user has network %+v and Ack % x", up, ack)
		}
		out := packet{src: up.Local.String(), dst: host, payload: udp(7, 7, []byte("first"))}
		ip := append([]byte{0, 0x21}, out.bytes()...)

		write(ip)
		r.isp.wantNothing("IPCP is not open at the gateway")
		r.wantDropped("virtual/1", "not_open", 1)

		write(ack, ip, ip)
		for range 2 {
			if got := r.isp.want("a packet behind the Ack goes to the ISP"); !bytes.Equal(got[20:], out.payload) {
				t.Errorf("% x", got)
			}
		}
		r.wantDropped("virtual/1", "not_open", 1)
		ln.Close()
		r.wantEmpty("after the only user")
		r.end()
	})
}
