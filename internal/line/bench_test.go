package line

import (
	"testing"
	"time"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
)

// BenchmarkTCPLine sends batches of 16 frames of 1,500 octets over loopback, from a
// line to a line, framing included.
func BenchmarkTCPLine(b *testing.B) {
	pool := frame.NewPool(256)
	l := listenTCP(b, config.TCP{KeepAlive: time.Minute}, pool)
	user, err := Dial(b.Context(), "tcp:"+l.Addr(), pool, DialOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer user.Close()
	line := accept(b, l)
	short := hdlc.Params{PFC: true, ACFC: true}
	user.SetParams(short, 0)
	line.SetParams(short, 0)

	payload := make([]byte, 1502)
	payload[1] = 0x21
	for i := range payload[2:] {
		payload[2+i] = byte(i * 7)
	}
	bufs := make([]*frame.Buf, 16)
	for i := range bufs {
		bufs[i] = buf(b, pool, payload)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	frames := b.N
	go func() {
		for sent := 0; sent < frames; sent += len(bufs) {
			if user.Write(bufs[:min(len(bufs), frames-sent)]) != nil {
				return
			}
		}
	}()
	b.ResetTimer()
	var batch [32]*frame.Buf
	for got := 0; got < frames; {
		n, err := line.Read(batch[:])
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range batch[:n] {
			f.Put()
		}
		got += n
	}
}
