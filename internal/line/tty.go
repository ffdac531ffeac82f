package line

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/config"
)

// Control characters of software flow control (ASCII DC1 and DC3), as an ACCM.
const accmXONXOFF = 1<<0x11 | 1<<0x13

// setRaw makes a terminal carry octets as they are: 8 data bits, no parity, 1 stop
// bit, no echo, no signals. speed is any number of bit/s (termios2), 0 leaves it as
// it is. If carrier is true the kernel watches DCD: its loss is a hang-up.
//
// What the driver would not do is an error, not a surprise: it is read back.
func setRaw(fd int, speed int, flow config.Flow, carrier bool) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return os.NewSyscallError("TCGETS2", err)
	}
	t.Iflag = unix.IGNBRK | unix.IGNPAR
	t.Oflag = 0
	t.Lflag = 0
	t.Cflag = t.Cflag&(unix.CBAUD|unix.CIBAUD) | unix.CS8 | unix.CREAD | unix.HUPCL
	if speed > 0 {
		// CIBAUD 0 is: the input speed is the output speed.
		t.Cflag = t.Cflag&^(unix.CBAUD|unix.CIBAUD) | unix.BOTHER
		t.Ispeed, t.Ospeed = uint32(speed), uint32(speed)
	}
	if !carrier {
		t.Cflag |= unix.CLOCAL
	}
	switch flow {
	case config.FlowRTSCTS:
		t.Cflag |= unix.CRTSCTS
	case config.FlowXONOFF:
		t.Iflag |= unix.IXON | unix.IXOFF
	}
	// One octet makes a read complete, none is "try again": with VMIN 0 a read
	// of nothing could not be told from a hang-up.
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = 0x11, 0x13
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return os.NewSyscallError("TCSETS2", err)
	}

	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return os.NewSyscallError("TCGETS2", err)
	}
	if speed > 0 && !near(int(got.Ospeed), speed) {
		return fmt.Errorf("the device cannot do %d bit/s, the nearest is %d", speed, got.Ospeed)
	}
	if flow == config.FlowRTSCTS && got.Cflag&unix.CRTSCTS == 0 {
		return errors.New("the device has no RTS/CTS flow control; use flow: none or xonxoff")
	}
	return nil
}

// near reports whether a UART at got understands one at want: within 3 percent,
// since ten bits may drift by less than half a bit.
func near(got, want int) bool { return max(got, want)-min(got, want) <= want*3/100 }

// carrierUp reports whether DCD is there. A terminal without modem signals, such as a
// pty, always has its carrier.
func carrierUp(fd int) (bool, error) {
	bits, err := unix.IoctlGetInt(fd, unix.TIOCMGET)
	switch err {
	case nil:
		return bits&unix.TIOCM_CD != 0, nil
	case unix.ENOTTY, unix.EINVAL:
		return true, nil
	}
	return false, os.NewSyscallError("TIOCMGET", err)
}

// setModem raises (or drops) DTR and RTS; has is false if the terminal has none.
func setModem(fd int, up bool) (has bool, err error) {
	req := uint(unix.TIOCMBIC)
	if up {
		req = unix.TIOCMBIS
	}
	err = unix.IoctlSetPointerInt(fd, req, unix.TIOCM_DTR|unix.TIOCM_RTS)
	if err == unix.ENOTTY || err == unix.EINVAL {
		return false, nil
	}
	return true, os.NewSyscallError("TIOCMBIS", err)
}

// How long the last octets of a line are waited for, and how often is looked.
const (
	drainTime = time.Second
	drainStep = 10 * time.Millisecond
)

// drain waits until pending is 0, for drainTime at most, so that what was written
// just before a hang-up (an LCP Terminate-Ack) can still go out.
func drain(pending func() (int, error)) {
	end := time.NewTimer(drainTime)
	defer end.Stop()
	step := time.NewTicker(drainStep)
	defer step.Stop()
	for {
		if n, err := pending(); err != nil || n == 0 {
			return
		}
		select {
		case <-end.C:
			return
		case <-step.C:
		}
	}
}
