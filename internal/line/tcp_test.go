package line

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
)

func listenTCP(t testing.TB, cfg config.TCP, pool *frame.Pool) *TCPListener {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	l, err := ListenTCP("virtual", cfg, pool, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestTCPConversation(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			pool := frame.NewPool(16)
			l := listenTCP(t, config.TCP{Listen: addr, KeepAlive: time.Minute}, pool)
			user, err := Dial(t.Context(), "tcp:"+l.Addr(), pool, DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer user.Close()
			line := accept(t, l)
			if i := line.Info(); i.Name != "virtual/1" || i.Group != "virtual" || i.Kind != "tcp" || i.Remote == "" || i.Speed != 0 {
				t.Errorf("Info = %+v", i)
			}

			send(t, user, pool, configureRequest)
			wantFrames(t, "from the user", line, configureRequest)
			send(t, line, pool, ipPacket, configureRequest)
			wantFrames(t, "to the user", user, ipPacket, configureRequest)

			user.Close()
			wantEnd(t, "the user hung up", line, io.EOF)
			wantHeld(t, "in the end", pool, 0)
		})
	}
}

func TestTCPRemoteOfMappedAddress(t *testing.T) {
	pool := frame.NewPool(1)
	l := listenTCP(t, config.TCP{Listen: "[::]:0", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, pool)
	_, port, _ := net.SplitHostPort(l.Addr())
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if line := accept(t, l); line.Info().Remote != c.LocalAddr().String() {
		t.Errorf("Remote = %s, want %s as the operator knows it", line.Info().Remote, c.LocalAddr())
	}
}

func TestAllowed(t *testing.T) {
	list := func(s ...string) (ps []netip.Prefix) {
		for _, s := range s {
			ps = append(ps, netip.MustParsePrefix(s))
		}
		return ps
	}
	for _, tt := range []struct {
		why  string
		list []netip.Prefix
		addr string
		want bool
	}{
		{"no list is everyone", nil, "192.0.2.1", true},
		{"in the prefix", list("192.0.2.0/24"), "192.0.2.1", true},
		{"outside", list("192.0.2.0/24"), "192.0.3.1", false},
		{"in the second", list("192.0.2.0/24", "2001:db8::/32"), "2001:db8::7", true},
		{"an IPv4 address over an IPv6 socket", list("192.0.2.0/24"), "::ffff:192.0.2.9", true},
		{"a prefix of mapped addresses", list("::ffff:192.0.2.0/120"), "192.0.2.9", true},
		{"IPv4 is not in ::/0", list("::/0"), "192.0.2.9", false},
		{"with a zone", list("fe80::/10"), "fe80::1%lo", true},
	} {
		if got := allowed(tt.list, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s: allowed(%v, %s) = %v", tt.why, tt.list, tt.addr, got)
		}
	}
}

func TestTCPRefusesAndCounts(t *testing.T) {
	t.Run("not allowed", func(t *testing.T) {
		l := listenTCP(t, config.TCP{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, frame.NewPool(1))
		go l.Accept()
		wantRefused(t, l)
		if got := l.Refused(); got != (Refused{NotAllowed: 1}) {
			t.Errorf("Refused = %+v", got)
		}
	})
	t.Run("too many", func(t *testing.T) {
		l := listenTCP(t, config.TCP{Max: 2}, frame.NewPool(1))
		dialRaw(t, l)
		first := accept(t, l)
		dialRaw(t, l)
		second := accept(t, l)
		if n := first.Info().Name + " " + second.Info().Name; n != "virtual/1 virtual/2" {
			t.Errorf("names: %s", n)
		}
		accepted := make(chan Line)
		go func() {
			line, _ := l.Accept()
			accepted <- line
		}()
		wantRefused(t, l)
		if got := l.Refused(); got != (Refused{TooMany: 1}) {
			t.Errorf("Refused = %+v", got)
		}
		first.Close()
		dialRaw(t, l)
		if line := <-accepted; line.Info().Name != "virtual/1" {
			t.Errorf("after the first hung up, the next is %s, want its place, virtual/1", line.Info().Name)
		} else {
			line.Close()
		}
	})
}

func wantRefused(t *testing.T, l Listener) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if errors.Is(err, unix.ECONNRESET) {
		return // before Dial had looked
	} else if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a refused connection: Read = %d, %v, want a reset", n, err)
	}
}

func TestSlots(t *testing.T) {
	s := slots{}
	for i := 1; i <= 130; i++ {
		if n, ok := s.take(); !ok || n != i {
			t.Fatalf("take = %d, %v, want %d", n, ok, i)
		}
	}
	for _, n := range []int{128, 64, 65} {
		s.free(n)
	}
	s.free(64) // again, to no effect
	for _, want := range []int{64, 65, 128, 131} {
		if n, _ := s.take(); n != want {
			t.Errorf("take = %d, want %d, the lowest free", n, want)
		}
	}
	if s.n != 131 {
		t.Errorf("%d taken, want 131", s.n)
	}
}

func TestTCPSocketOptions(t *testing.T) {
	pool := frame.NewPool(1)
	l := listenTCP(t, config.TCP{KeepAlive: 60 * time.Second}, pool)
	dialRaw(t, l)
	line := accept(t, l)
	conn := line.(*async).carrier.(*tcpCarrier).conn
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 60000},
		{"TCP_NOTSENT_LOWAT", unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 16 << 10},
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		var got int
		if err := control(conn, func(fd int) (err error) {
			got, err = unix.GetsockoptInt(fd, o.level, o.opt)
			return err
		}); err != nil || got != o.want {
			t.Errorf("%s = %d, %v, want %d", o.name, got, err, o.want)
		}
	}
	t.Run("off", func(t *testing.T) {
		l := listenTCP(t, config.TCP{}, pool)
		dialRaw(t, l)
		line := accept(t, l)
		var got int
		control(line.(*async).carrier.(*tcpCarrier).conn, func(fd int) (err error) {
			got, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			return err
		})
		if got != 0 {
			t.Error("keep-alive is on, though it is configured off")
		}
	})
}

func TestTCPLastWordsArrive(t *testing.T) {
	// The user keeps sending while we hang up: what a plain close would answer
	// with a reset, which destroys the Terminate-Ack.
	pool := frame.NewPool(8)
	l := listenTCP(t, config.TCP{}, pool)
	c := dialRaw(t, l)
	line := accept(t, l)
	mustWrite(t, c, encoded(hdlc.Default, ipPacket, ipPacket)) // will not be read
	send(t, line, pool, terminateAck)
	line.Close()
	// Write until our end notices: it must be no reset but an ordinary end.
	mustWrite(t, c, encoded(hdlc.Default, ipPacket))
	if f := decoded(t, readAll(t, c), 0xffffffff); len(f) != 1 || string(f[0]) != string(terminateAck) {
		t.Errorf("after the hang-up the user has %x, want the Terminate-Ack", f)
	}
	c.Close()
	eventually(t, "the closed connection is let go", func() bool { return l.lingers.Load() == 0 })
}

func TestTCPCloseWhileBlocked(t *testing.T) {
	pool := frame.NewPool(64)
	l := listenTCP(t, config.TCP{}, pool)
	c := dialRaw(t, l)
	line := accept(t, l)

	var wg sync.WaitGroup
	wg.Go(func() { wantEnd(t, "blocked in Read when the line was closed", line, ErrClosed) })
	stuck := line.Counters().TxFrames
	wg.Go(func() {
		var bufs []*frame.Buf
		for range 32 {
			bufs = append(bufs, buf(t, pool, ipPacket))
		}
		for { // the peer never reads: in the end this blocks
			if err := line.Write(bufs); err != nil {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("blocked in Write when the line was closed: %v", err)
				}
				break
			}
		}
		for _, b := range bufs {
			b.Put()
		}
	})
	// The writer is stuck when the socket's queue has stopped to grow.
	conn := line.(*async).carrier.(*tcpCarrier).conn
	full := 0
	eventually(t, "the peer's window is closed", func() bool {
		runtime.Gosched()
		n := line.Counters().TxFrames
		var p []unix.PollFd
		control(conn, func(fd int) error {
			p = []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			_, err := unix.Poll(p, 0)
			return err
		})
		if n == stuck && n > 0 && p[0].Revents&unix.POLLOUT == 0 {
			full++
		} else {
			full = 0
		}
		stuck = n
		return full > 20
	})
	if err := line.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	c.Close()
	wantHeld(t, "after Close", pool, 0)
}

func TestTCPListenerClose(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenTCP(t, config.TCP{}, pool)
	c := dialRaw(t, l)
	line := accept(t, l)
	got := make(chan error)
	go func() {
		_, err := l.Accept()
		got <- err
	}()
	l.Close()
	if err := <-got; !errors.Is(err, ErrClosed) {
		t.Errorf("Accept: %v, want ErrClosed", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
	mustWrite(t, c, encoded(hdlc.Default, configureRequest))
	wantFrames(t, "a line stays up when its listener is closed", line, configureRequest)
}

// TestTCPSurvivesWantOfDescriptors closes the way to new descriptors and opens it
// again.
func TestTCPSurvivesWantOfDescriptors(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenTCP(t, config.TCP{}, pool)
	first := dialRaw(t, l)
	accept(t, l)
	_ = first

	c := dialRaw(t, l) // is in the backlog, accepted below
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	got := make(chan Line)
	go func() {
		line, err := l.Accept()
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		got <- line
	}()
	eventually(t, "Accept has met EMFILE", func() bool { return l.Refused().Failed > 1 })
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	line := <-got
	if line == nil || line.Info().Remote != c.LocalAddr().String() {
		t.Fatalf("the waiting connection was lost: %v", line)
	}
	line.Close()
}

func TestTCPDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool throws buffers away, by design")
	}
	pool := frame.NewPool(64)
	l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)
	user, err := Dial(t.Context(), "tcp:"+l.Addr(), pool, DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer user.Close()
	line := accept(t, l)
	bufs := []*frame.Buf{buf(t, pool, ipPacket), buf(t, pool, configureRequest), buf(t, pool, ipPacket)}
	var batch [4]*frame.Buf
	n := testing.AllocsPerRun(500, func() {
		if err := user.Write(bufs); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(bufs); {
			n, err := line.Read(batch[:])
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batch[:n] {
				b.Put()
			}
			got += n
		}
	})
	if n != 0 {
		t.Errorf("three frames through a TCP line allocate %v times, want 0", n)
	}
}

// TestTCPSilentLines holds what a thousand users cost who connect and say nothing:
// the bound is for the line and its waiting reader, not for the kernel's socket.
func TestTCPSilentLines(t *testing.T) {
	const lines, bound = 1000, 10 << 10
	pool := frame.NewPool(8)
	l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)

	// The users' ends are plain descriptors, so that they do not show.
	to := &unix.SockaddrInet4{Port: l.ln.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	users := make([]int, 0, lines)
	defer func() {
		for _, fd := range users {
			unix.Close(fd)
		}
	}()
	all := make([]Line, 0, lines)
	readers := make(chan struct{}, lines)
	before := memory()
	for range lines {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, fd)
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		line, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
		go func() {
			var batch [4]*frame.Buf
			line.Read(batch[:])
			readers <- struct{}{}
		}()
	}
	eventually(t, "every reader waits in the poller", func() bool {
		buf := make([]byte, 16<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "[IO wait") >= lines
	})
	per := (memory() - before) / lines
	t.Logf("%d octets of heap and stack for each silent line with a waiting reader", per)
	if !raceEnabled && per > bound {
		t.Errorf("a silent line costs %d octets, want at most %d", per, bound)
	}
	wantHeld(t, "a thousand silent lines", pool, 0)
	for _, line := range all {
		line.Close()
	}
	for range all {
		<-readers
	}
	for _, fd := range users {
		unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	eventually(t, "the closed connections are let go", func() bool { return l.lingers.Load() == 0 })
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
