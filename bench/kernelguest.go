//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/creack/pty"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/lab"
	"tributary/test/guests/guest"
)

const (
	kernelISP    = "kisp0"                  // the guest's Ethernet to the ISP, seen from here
	kernelUsers  = "kusr0"                  // and to users who come by TCP
	guestAddress = "10.9.0.2:7001"          // where those dial
	kernelPool   = "10.99.0.0/24"           // users' addresses
	kernelPeer   = "10.99.0.1"              // the gateway's, towards them
	envGuests    = "TRIBUTARY_BENCH_GUESTS" // in the program's second life: the images' folder
)

// kernelWorld is one guest and what is around it.
type kernelWorld struct {
	dir    string
	guest  *guest.Guest
	pool   *frame.Pool
	isp    *lab.AC
	serial []*os.File // our ends of the guest's serial lines
	closes []func()
	life   int // the how manieth of its kind
}

func newKernelWorld(ctx context.Context, o *options, row kernelRow, life int) (w *kernelWorld, err error) {
	w = &kernelWorld{life: life, pool: frame.NewPool(1 << 14)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	w.closes = append(w.closes, func() { os.RemoveAll(w.dir) })
	for _, name := range []string{kernelISP, kernelUsers} {
		tap, err := guest.AddTap(name)
		if err != nil {
			return nil, err
		}
		w.closes = append(w.closes, func() { _ = netlink.LinkDel(tap) })
		if name == kernelUsers {
			addr, err := netlink.ParseAddr("10.9.0.1/24")
			if err != nil {
				return nil, err
			}
			if err := netlink.AddrAdd(tap, addr); err != nil {
				return nil, err
			}
		}
	}
	opts := guest.Options{Name: "gw", Role: "router", Taps: []string{kernelISP, kernelUsers}, Memory: 384}
	if row.lines == "serial" {
		for range row.users {
			master, slave, err := rawTerminal()
			if err != nil {
				return nil, err
			}
			w.closes = append(w.closes, func() { master.Close(); slave.Close() })
			w.serial = append(w.serial, master)
			opts.Serial = append(opts.Serial, slave.Name())
		}
	}
	img := guest.ImageIn(os.Getenv(envGuests), row.kind)
	if w.guest, err = guest.Start(ctx, img, w.dir, opts); err != nil {
		return nil, err
	}
	w.closes = append(w.closes, w.guest.Stop)
	if err := w.install(ctx, o.binary); err != nil {
		return nil, err
	}
	port, err := ether.Open(kernelISP, w.pool, ether.Options{})
	if err != nil {
		return nil, err
	}
	// Reflect: what comes from a user goes back to him, addresses exchanged, as from
	// whom it was for.
	routes := []netip.Prefix{netip.MustParsePrefix(kernelPool)}
	w.isp, err = lab.NewAC(port, w.pool, lab.ACConfig{Reflect: true, Echo: -1, Routes: func(string) []netip.Prefix { return routes }})
	if err != nil {
		port.Close()
		return nil, err
	}
	w.closes = append(w.closes, w.isp.Close)
	return w, nil
}

func (w *kernelWorld) close() {
	for _, c := range slices.Backward(w.closes) {
		c()
	}
	w.closes = nil
}

// rawTerminal is a pty that passes octets as they are, for a serial line.
func rawTerminal() (master, slave *os.File, err error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fail := func(err error) (*os.File, *os.File, error) {
		slave.Close()
		return nil, nil, fmt.Errorf("terminal: %w", err)
	}
	tio, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		return fail(err)
	}
	tio.Iflag, tio.Oflag, tio.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, tio); err != nil {
		return fail(err)
	}
	// The package has made the master blocking.
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return fail(err)
	}
	return os.NewFile(uintptr(fd), "ptmx"), slave, nil
}

// install puts the gateway and its configurations in the guest.
func (w *kernelWorld) install(ctx context.Context, binary string) error {
	if err := copyFile(filepath.Join(w.guest.Share(), "tributary"), binary); err != nil {
		return err
	}
	for _, lines := range []string{"serial", "tcp"} {
		from := `tcp: {listen: "` + guestAddress + `"}`
		if lines == "serial" {
			var devices []string
			for i := range w.serial {
				devices = append(devices, strconv.Quote(w.guest.Serial(i)))
			}
			from = "serial: {devices: [" + strings.Join(devices, ", ") + "], speed: 38400, flow: none, carrier: ignore}"
			if len(devices) == 0 {
				continue
			}
		}
		text := fmt.Sprintf(`uplinks:
  - {name: isp, interface: eth0}
sessions:
  - {name: office, uplink: isp}
pools:
  - {name: customers, prefix: %s, exclude: [%s]}
lines:
  - name: bank
    %s
    mode: shared
    session: office
    auth: []
    pool: customers
control: {socket: /run/tributary.sock}
log: {level: info, format: text}
state_dir: /run/tributary
`, kernelPool, kernelPeer, from)
		if err := os.WriteFile(filepath.Join(w.guest.Share(), lines+".yaml"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	_, err := w.guest.Exec(ctx, "cp /host/tributary /run/tributary.bin && chmod 755 /run/tributary.bin && /run/tributary.bin version")
	return err
}

// start starts a subject and waits until its session with the ISP is up.
func (w *kernelWorld) start(ctx context.Context, subject string, row kernelRow) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if subject == kernelName {
		first := ""
		if row.lines == "serial" {
			first = strings.TrimPrefix(w.guest.Serial(0), "/dev/ttyS")
		}
		_, err := w.guest.Exec(ctx, fmt.Sprintf("kernelgw %d %s %s", row.users, row.lines, first))
		return err
	}
	_, err := w.guest.Exec(ctx, fmt.Sprintf(`rm -rf /run/tributary /run/tributary.sock
/run/tributary.bin run -c /host/%s.yaml </dev/null >/run/tributary.log 2>&1 &
for i in $(seq 300); do grep -q msg=shared-up /run/tributary.log && exit 0; sleep 0.1; done
cat /run/tributary.log; exit 1`, row.lines))
	return err
}

// logs is what the gateway in the guest has said last.
func (w *kernelWorld) logs(ctx context.Context) string {
	text, err := w.guest.Exec(ctx, "tail -n 20 /run/tributary.log /run/uplink.log /run/gw.*.log 2>/dev/null; true")
	if err != nil {
		return err.Error()
	}
	return text
}

// guestTime is the processor time that the guest's own kernel has counted.
func (w *kernelWorld) guestTime(ctx context.Context) (user, system time.Duration, err error) {
	text, err := w.guest.Exec(ctx, "head -n 1 /proc/stat")
	if err != nil {
		return 0, 0, err
	}
	f := strings.Fields(text)
	if len(f) < 9 {
		return 0, 0, fmt.Errorf("the guest's /proc/stat begins with %q", text)
	}
	const tick = time.Second / 100
	for i, s := range f[1:9] {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("the guest's /proc/stat: %w", err)
		}
		switch i {
		case 0, 1: // user, nice
			user += time.Duration(n) * tick
		case 2, 5, 6, 7: // system, irq, softirq, steal
			system += time.Duration(n) * tick
		}
	}
	return user, system, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// kernelKinds are the kinds of guest that this machine can have of those asked for.
func kernelKinds(list string) (kinds []guest.Kind, err error) {
	for _, s := range strings.Split(list, ",") {
		switch k := guest.Kind(strings.TrimSpace(s)); k {
		case guest.UML:
			kinds = append(kinds, k)
		case guest.QEMU:
			if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
				return nil, fmt.Errorf("guest %s: %w", k, err)
			}
			kinds = append(kinds, k)
		default:
			return nil, fmt.Errorf("no guest of kind %q: there are %s and %s", k, guest.UML, guest.QEMU)
		}
	}
	return kinds, nil
}
