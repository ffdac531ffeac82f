//go:build linux

package main

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"tributary/hdlc"
	"tributary/ppp"
)

// peers is a listener whose connections each have the other end of a user's LCP:
// it asks, agrees, asks for an echo, and hangs up if it is told to.
func peers(t *testing.T) (port int, replies *atomic.Int64, hangUp chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	replies, hangUp = new(atomic.Int64), make(chan struct{})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go lcpEnd(conn, replies)
			go func() {
				<-hangUp
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, replies, hangUp
}

func lcpEnd(conn io.ReadWriter, replies *atomic.Int64) {
	say := func(code ppp.Code, id uint8, data []byte) {
		f := ppp.Packet{Code: code, ID: id, Data: data}.AppendFrame(nil, ppp.ProtoLCP)
		for _, octet := range hdlc.AppendFrame(nil, f, hdlc.Default) {
			_, _ = conn.Write([]byte{octet}) // a line may cut a frame anywhere
		}
	}
	var d hdlc.Decoder
	buf, in := make([]byte, 2048), make([]byte, 512)
	for {
		n, err := conn.Read(in)
		if err != nil {
			return
		}
		for src := in[:n]; len(src) > 0; {
			f, used := d.Decode(buf, src)
			src = src[used:]
			if f == nil {
				continue
			}
			_, info, _ := ppp.Split(f)
			p, err := ppp.ParsePacket(info)
			switch {
			case err != nil:
			case p.Code == ppp.ConfigureRequest:
				say(ppp.ConfigureAck, p.ID, p.Data)
				say(ppp.ConfigureRequest, 9, nil)
			case p.Code == ppp.ConfigureAck:
				say(ppp.EchoRequest, 5, lcpMagic)
			case p.Code == ppp.EchoReply && p.ID == 5:
				replies.Add(1)
			}
		}
	}
}

func TestCrowdOpensAnswersAndSeesTheEnd(t *testing.T) {
	const n, atOnce = 50, 8
	port, replies, hangUp := peers(t)
	c, err := newCrowd(port, n)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.dial(atOnce, time.Minute); err != nil {
		t.Fatal(err)
	}
	if c.count.up != n || c.count.dialling != 0 || len(c.setUp) != n {
		t.Errorf("%d up, %d dialling, %d times, want %d, 0, %d", c.count.up, c.count.dialling, len(c.setUp), n, n)
	}
	if err := c.serveUntil(time.Minute, func() bool { return replies.Load() == n }); err != nil {
		t.Fatal(err)
	}
	if replies.Load() != n || c.count.echoes != n {
		t.Errorf("%d Echo-Requests answered, %d replies came, want %d", c.count.echoes, replies.Load(), n)
	}
	close(hangUp)
	if err := c.serveUntil(time.Minute, func() bool { return c.count.hungUp == n }); err != nil {
		t.Fatal(err)
	}
	if c.count.hungUp != n || c.count.up != 0 {
		t.Errorf("%d hung up and %d up, want %d and 0", c.count.hungUp, c.count.up, n)
	}
}
