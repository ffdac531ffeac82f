package guests

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"tributary/test/capture"
)

// TestSerial has the user at the other end of a serial cable: a null modem of
// two terminals, one with the guest's UART behind it, one that the gateway
// opens as its serial device. The line outlives its calls.
func TestSerial(t *testing.T) {
	user, ours := nullModem(t)
	r := newRig(t, rigOptions{serial: []string{user}})
	g := r.startTributary(gatewayOptions{lines: `
  - name: plc
    serial: {devices: ["` + ours + `"], speed: 115200, flow: none, carrier: ignore}
    mode: relay
    uplink: isp`})
	dev := r.user.Serial(0)
	for call := 1; call <= 2; call++ {
		r.dialAt("tty "+dev, call, "")
		r.ping(call, 3, 1464)
		if l := g.up(1)[0]; l.Kind != "serial" {
			t.Errorf("call %d: kind of line %q", call, l.Kind)
		}
		r.must(r.user, "kill $(cat /run/ppp-l*.pid | grep -x '[0-9]*')")
		r.hasEnded(call, "pppd was told to end")
		r.want("the session is ended with a PADT", call, capture.IsDiscovery(true, capture.PADT, 0))
		r.ispSessions(0, "the session has ended at the ISP")
	}
}

// TestPTY has the user on a terminal that the gateway made, as an emulator's
// serial port is. Closing it is hanging up. (User-mode Linux never closes a
// terminal it has opened, so there is a cable between, which can be pulled.)
func TestPTY(t *testing.T) {
	link := filepath.Join(t.TempDir(), "line1")
	port, user := rawPTY(t)
	r := newRig(t, rigOptions{serial: []string{user.Name()}})
	g := r.startTributary(gatewayOptions{lines: `
  - name: dosbox
    pty: {links: ["` + link + `"]}
    mode: relay
    uplink: isp`})
	dev := r.user.Serial(0)
	for call := 1; call <= 2; call++ {
		line, err := os.OpenFile(link, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unplug := cable(port, line)
		r.dialAt("tty "+dev, call, "")
		r.ping(call, 3, 1464)
		if l := g.up(1)[0]; l.Kind != "pty" {
			t.Errorf("call %d: kind of line %q", call, l.Kind)
		}
		r.must(r.user, "killall -9 pppd; rm -f /run/ppp-l*.pid") // without a word of LCP
		unplug()
		r.want("the session is ended with a PADT", call, capture.IsDiscovery(true, capture.PADT, 0))
		r.ispSessions(0, "the session has ended at the ISP")
		g.none("the user has hung up")
	}
}

// cable connects two terminals until it is unplugged, which closes line.
func cable(port, line *os.File) (unplug func()) {
	var running sync.WaitGroup
	running.Go(func() { io.Copy(line, port) })
	running.Go(func() { io.Copy(port, line) })
	return func() {
		line.Close()
		port.SetReadDeadline(time.Now()) // its reader lets go
		running.Wait()
		port.SetReadDeadline(time.Time{})
	}
}

// nullModem makes two terminals that are connected back to back, and returns
// their paths.
func nullModem(t *testing.T) (a, b string) {
	t.Helper()
	ma, sa := rawPTY(t)
	mb, sb := rawPTY(t)
	var running sync.WaitGroup
	running.Go(func() { io.Copy(ma, mb) })
	running.Go(func() { io.Copy(mb, ma) })
	t.Cleanup(func() {
		for _, f := range []*os.File{ma, mb, sa, sb} {
			f.Close()
		}
		running.Wait()
	})
	return sa.Name(), sb.Name()
}

// rawPTY is a pty whose slave is kept open, as a cable keeps two ports
// together, and passes octets as they are.
func rawPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	blocking, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	// The package has made the master blocking; a read on it could not be ended.
	nfd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(nfd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	blocking.Close()
	master = os.NewFile(uintptr(nfd), "ptmx")
	t.Cleanup(func() { master.Close(); slave.Close() })
	fd := int(slave.Fd())
	tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	tio.Iflag, tio.Oflag, tio.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, tio); err != nil {
		t.Fatal(err)
	}
	return master, slave
}
