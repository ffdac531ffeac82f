package line

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
)

// fastSerial makes a listener look so often that a test need not wait.
var fastSerial = serialWays{rescan: time.Millisecond, retry: time.Millisecond, carrier: time.Millisecond, dtrLow: time.Millisecond, dcd: carrierUp}

// device makes a pty whose slave stands for a serial device, by a link in dir; modem
// is the other side of the wire.
func device(t *testing.T, dir, name string) (path string, modem *os.File) {
	t.Helper()
	master, slave, err := openPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	t.Cleanup(func() { master.Close() })
	path = filepath.Join(dir, name)
	if err := os.Symlink(slave.Name(), path); err != nil {
		t.Fatal(err)
	}
	return path, master
}

func listenDevices(t *testing.T, cfg config.Serial, pool *frame.Pool) *SerialListener {
	t.Helper()
	l := listenSerial("bank", cfg, pool, quiet(), fastSerial)
	t.Cleanup(func() {
		l.Close()
		l.running.Wait()
	})
	return l
}

func termios(t *testing.T, f *os.File) (tio *unix.Termios) {
	t.Helper()
	if err := control(f, func(fd int) (err error) {
		tio, err = unix.IoctlGetTermios(fd, unix.TCGETS2)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return tio
}

func TestSerialConversation(t *testing.T) {
	for _, carrier := range []bool{false, true} { // a pty always has its carrier
		pool := frame.NewPool(8)
		dir := t.TempDir()
		path, modem := device(t, dir, "ttyUSB0")
		l := listenDevices(t, config.Serial{Devices: []string{filepath.Join(dir, "ttyUSB*")}, Speed: 115200, Carrier: carrier}, pool)
		for range 2 { // again after a hang-up
			line, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if i := line.Info(); i.Name != "bank/ttyUSB0" || i.Kind != "serial" || i.Remote != path || i.Speed != 115200 {
				t.Errorf("Info = %+v", i)
			}
			mustWrite(t, modem, encoded(hdlc.Default, configureRequest))
			wantFrames(t, "from the modem", line, configureRequest)
			send(t, line, pool, ipPacket)
			want := encoded(hdlc.Default, ipPacket)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(modem, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("to the modem: % x, %v", got, err)
			}
			line.Close()
			wantHeld(t, "after the hang-up", pool, 0)
		}
	}
}

func TestSerialTermios(t *testing.T) {
	for _, tt := range []struct {
		why          string
		cfg          config.Serial
		cflag, iflag uint32 // among the bits looked at
		speed        uint32
		accm         uint32
	}{
		{"a common speed, hardware flow control", config.Serial{Speed: 115200, Flow: config.FlowRTSCTS}, unix.CRTSCTS | unix.CLOCAL, 0, 115200, 0},
		{"a speed no table has", config.Serial{Speed: 74880, Flow: config.FlowNone}, unix.CLOCAL, 0, 74880, 0},
		{"software flow control", config.Serial{Speed: 9600, Flow: config.FlowXONOFF}, unix.CLOCAL, unix.IXON | unix.IXOFF, 9600, 0x000a0000},
		{"the carrier watched", config.Serial{Speed: 300, Flow: config.FlowNone, Carrier: true}, 0, 0, 300, 0},
	} {
		t.Run(tt.why, func(t *testing.T) {
			dir := t.TempDir()
			path, modem := device(t, dir, "ttyS0")
			tt.cfg.Devices = []string{path}
			line := accept(t, listenDevices(t, tt.cfg, frame.NewPool(1)))
			tio := termios(t, modem)
			if got := tio.Cflag & (unix.CRTSCTS | unix.CLOCAL); got != tt.cflag {
				t.Errorf("c_cflag has %x, want %x", got, tt.cflag)
			}
			if tio.Cflag&(unix.CSIZE|unix.PARENB|unix.CSTOPB|unix.CREAD|unix.HUPCL) != unix.CS8|unix.CREAD|unix.HUPCL {
				t.Errorf("c_cflag %x is not 8N1 with HUPCL", tio.Cflag)
			}
			if tio.Lflag != 0 || tio.Oflag != 0 || tio.Iflag != unix.IGNBRK|unix.IGNPAR|tt.iflag {
				t.Errorf("not raw: iflag %x, oflag %x, lflag %x", tio.Iflag, tio.Oflag, tio.Lflag)
			}
			if tio.Ospeed != tt.speed || tio.Ispeed != tt.speed {
				t.Errorf("speed %d in, %d out, want %d", tio.Ispeed, tio.Ospeed, tt.speed)
			}
			if got := line.Info().ACCM; got != tt.accm {
				t.Errorf("the carrier's own control characters: %08x, want %08x", got, tt.accm)
			}
		})
	}
}

func TestSerialDeviceGoesAndComesBack(t *testing.T) {
	pool := frame.NewPool(8)
	dir := t.TempDir()
	l := listenDevices(t, config.Serial{Devices: []string{filepath.Join(dir, "tty*")}}, pool)
	path, modem := device(t, dir, "ttyUSB0") // later than the listener
	line := accept(t, l)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	modem.Close() // pulled out
	wantEnd(t, "the adapter is gone", line, io.EOF)
	line.Close()

	_, modem = device(t, dir, "ttyUSB0") // plugged in again
	line = accept(t, l)
	mustWrite(t, modem, encoded(hdlc.Default, configureRequest))
	wantFrames(t, "the adapter is back", line, configureRequest)
}

// TestSerialCarrier plays a modem: DCD comes with a call and goes with it. A pty has
// no DCD and its kernel side hangs nothing up, so this is also the driver that does not
// tell the kernel.
func TestSerialCarrier(t *testing.T) {
	pool := frame.NewPool(8)
	path, modem := device(t, t.TempDir(), "ttyS0")
	var dcd atomic.Bool
	looked := make(chan struct{}, 1)
	ways := fastSerial
	ways.dcd = func(int) (bool, error) {
		select {
		case looked <- struct{}{}:
		default:
		}
		return dcd.Load(), nil
	}
	l := listenSerial("bank", config.Serial{Devices: []string{path}, Carrier: true}, pool, quiet(), ways)
	lines := make(chan Line)
	go func() {
		defer close(lines)
		for {
			line, err := l.Accept()
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	for range 2 {
		for range 3 {
			<-looked
			select {
			case <-lines:
				t.Fatal("a line without a carrier")
			default:
			}
		}
		dcd.Store(true) // a call
		line := <-lines
		mustWrite(t, modem, encoded(hdlc.Default, configureRequest))
		wantFrames(t, "during the call", line, configureRequest)
		dcd.Store(false)
		wantEnd(t, "the carrier is lost", line, io.EOF)
		if err := line.Close(); err != nil {
			t.Errorf("Close after the hang-up: %v", err)
		}
	}
	l.Close()
	<-lines
	l.running.Wait()
	wantHeld(t, "in the end", pool, 0)
}

func TestSerialOneDeviceOfTwoNamesIsOneLine(t *testing.T) {
	dir := t.TempDir()
	path, _ := device(t, dir, "ttyUSB0")
	if err := os.Symlink(path, filepath.Join(dir, "by-id")); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	device(t, sub, "ttyUSB0") // another device of the same base name
	l := listenDevices(t, config.Serial{Devices: []string{path, filepath.Join(dir, "by-id"), filepath.Join(sub, "tty*")}}, frame.NewPool(1))
	names := map[string]bool{}
	for range 2 {
		names[accept(t, l).Info().Name] = true
	}
	if !names["bank/ttyUSB0"] || len(names) != 2 {
		t.Errorf("two devices are the lines %v", names)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) != 2 {
		t.Errorf("%d devices are served, want 2: %v", len(l.open), l.open)
	}
}

func TestSerialIsNotShared(t *testing.T) {
	pool := frame.NewPool(1)
	path, _ := device(t, t.TempDir(), "ttyS0")
	accept(t, listenDevices(t, config.Serial{Devices: []string{path}}, pool))

	_, err := Dial(t.Context(), path, pool, DialOptions{})
	if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), "another process") {
		t.Errorf("a device in use: %v", err)
	}
	other := listenDevices(t, config.Serial{Devices: []string{path}}, pool)
	eventually(t, "a second gateway tries, counts and goes on trying", func() bool { return other.Refused().Failed > 2 })
}

func TestSerialCloseWhileBlocked(t *testing.T) {
	pool := frame.NewPool(64)
	path, _ := device(t, t.TempDir(), "ttyS0") // no one reads the other side
	l := listenDevices(t, config.Serial{Devices: []string{path}}, pool)
	line := accept(t, l)
	errs := make(chan error, 2)
	go func() {
		var batch [1]*frame.Buf
		_, err := line.Read(batch[:])
		errs <- err
	}()
	go func() {
		b := buf(t, pool, ipPacket)
		for {
			if err := line.Write([]*frame.Buf{b}); err != nil {
				b.Put()
				errs <- err
				return
			}
		}
	}()
	eventually(t, "something was written", func() bool { return line.Counters().TxFrames > 0 })
	line.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("blocked in the line when it was closed: %v", err)
		}
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, ErrClosed) {
		t.Errorf("Accept: %v, want ErrClosed", err)
	}
	wantHeld(t, "after Close", pool, 0)
}

func TestDialTerminal(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenPTY(t, pool)
	user, err := Dial(t.Context(), l.Addr(), pool, DialOptions{Name: "me", Speed: 38400, Flow: config.FlowXONOFF})
	if err != nil {
		t.Fatal(err)
	}
	if i := user.Info(); i.Name != "me" || i.Kind != "serial" || i.Speed != 38400 || i.ACCM != accmXONXOFF {
		t.Errorf("Info = %+v", i)
	}
	line := accept(t, l)
	send(t, user, pool, configureRequest)
	wantFrames(t, "from the user", line, configureRequest)
	send(t, line, pool, configureRequest)
	wantFrames(t, "to the user", user, configureRequest)
	user.Close()
	wantEnd(t, "the user hung up", line, io.EOF)
}

func TestDialErrors(t *testing.T) {
	for _, tt := range []struct {
		target string
		want   error
		text   string
	}{
		{"ttyUSB0", nil, "want tcp:HOST:PORT"},
		{"/no/such/tty", fs.ErrNotExist, "/no/such/tty"},
		{"/dev/null", unix.ENOTTY, "not a serial device"},
		{"tcp:127.0.0.1", nil, "missing port"},
	} {
		_, err := Dial(t.Context(), tt.target, frame.NewPool(1), DialOptions{})
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("Dial %s: %v, want %v and %q", tt.target, err, tt.want, tt.text)
		}
	}
}

func TestSerialErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: "/dev/ttyS0", Err: unix.EACCES}, "dialout"},
		{os.NewSyscallError("TIOCEXCL", unix.EBUSY), "another process"},
		{os.NewSyscallError("TCGETS2", unix.EIO), "no hardware"},
	} {
		err := serialError("/dev/ttyS0", tt.err)
		if !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "/dev/ttyS0") != 1 {
			t.Errorf("%v becomes %v", tt.err, err)
		}
	}
}
