package line

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/config"
)

// serialPort is an open serial device, exclusively ours.
type serialPort struct {
	file *os.File
	path string
	dcd  func(fd int) (up bool, err error) // carrierUp
}

// openSerial opens a serial device and sets it up; DTR and RTS go up with it. It
// does not wait for a carrier. Errors name the device and what to do.
func openSerial(path string, speed int, flow config.Flow, carrier bool) (p *serialPort, err error) {
	f, err := os.OpenFile(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, serialError(path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			err = serialError(path, err)
		}
	}()
	err = control(f, func(fd int) error {
		// The lock keeps out a second Tributary, and whoever else asks politely;
		// TIOCEXCL whoever does not, unless it is root.
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return os.NewSyscallError("flock", err)
		}
		if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
			return os.NewSyscallError("TIOCEXCL", err)
		}
		if err := setRaw(fd, speed, flow, carrier); err != nil {
			return err
		}
		if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH); err != nil {
			return os.NewSyscallError("TCFLSH", err)
		}
		_, err := setModem(fd, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &serialPort{file: f, path: path, dcd: carrierUp}, nil
}

// serialError says which device it was, and what the operator can do about it.
func serialError(path string, err error) error {
	var hint string
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "; the user Tributary runs as must be in the device's group, usually dialout"
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EWOULDBLOCK):
		hint = "; another process uses it: a getty, ModemManager, a second gateway"
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL):
		hint = "; it is not a serial device"
	case errors.Is(err, unix.EIO):
		hint = "; there is no hardware behind this device"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is said once
	}
	return fmt.Errorf("line: %s: %w%s", path, err, hint)
}

// carrier reports whether DCD is there.
func (p *serialPort) carrier() (up bool, err error) {
	err = control(p.file, func(fd int) error {
		up, err = p.dcd(fd)
		return err
	})
	return up, err
}

// unsent is how many octets have not gone out yet.
func (p *serialPort) unsent() (n int, err error) {
	err = control(p.file, func(fd int) error {
		n, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		return err
	})
	return n, err
}

// hangUp lets the last octets out, for drainTime at most, and drops DTR for pause,
// which tells a modem to hang up. Then it closes the device. stop ends the pause.
func (p *serialPort) hangUp(pause time.Duration, stop <-chan struct{}) {
	drain(p.unsent)
	modem := false
	control(p.file, func(fd int) (err error) {
		unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH) // else close waits for a peer that has stopped us
		modem, err = setModem(fd, false)
		return err
	})
	if modem {
		wait(pause, stop)
	}
	p.file.Close()
}

// carrierOf makes a carrier of the device with a descriptor of its own, so that
// closing a line takes no longer than that; the hang-up is hangUp's.
func (p *serialPort) carrierOf(s *scratch) (*fdCarrier, error) {
	f, err := dupFile(p.file, p.path)
	if err != nil {
		return nil, err
	}
	c, err := newFDCarrier(f, s)
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// wait lets d pass. It is false if stop is closed before.
func wait(d time.Duration, stop <-chan struct{}) bool {
	if d == 0 {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}
