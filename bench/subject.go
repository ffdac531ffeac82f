//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/ppp"
)

// What is measured. The first is the one that the others are compared with.
const (
	tributarySubject = "tributary"
	rpPPPoESubject   = "rp-pppoe"
	floorSubject     = "floor"
)

var allSubjects = []string{tributarySubject, rpPPPoESubject, floorSubject}

// running is a subject with its lines up: frames go out and come back.
type running struct {
	fds       []int // the load's end of each line
	trains    []*train
	processes []*process
	dir       string // of the gateway's files
	cleanUp   func()
}

// stop hangs up every line, ends the processes and removes what they left.
func (r *running) stop() {
	for _, fd := range r.fds {
		_ = unix.Close(fd)
	}
	for _, p := range r.processes {
		p.stop()
	}
	if r.cleanUp != nil {
		r.cleanUp()
	}
}

func (r *running) alive() error {
	for _, p := range r.processes {
		if err := p.alive(); err != nil {
			return err
		}
	}
	return nil
}

// start starts a subject with n lines, for frames with so many octets of payload, of
// which each line has window under way. binary is the gateway's.
func start(name, binary string, n, payload, window int) (*running, error) {
	r := new(running)
	var err error
	switch name {
	case tributarySubject:
		err = r.tributary(binary, n)
	case rpPPPoESubject:
		err = r.rpPPPoE(n)
	case floorSubject:
		err = r.floor(n, payload)
	default:
		err = fmt.Errorf("no subject of this name; there are %v", allSubjects)
	}
	if err == nil && name != floorSubject {
		err = r.bringUp()
	}
	if err != nil {
		if dead := r.alive(); dead != nil {
			err = dead
		}
		r.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	cars := 2*window + maxProbes
	for i := range n {
		var f format = async{}
		if name == floorSubject {
			f = record{
				size:    meanRecord(payload),
				payload: payload,
				hdr:     ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession},
				sid:     uint16(i + 1),
			}
		}
		// The same seed for every subject: they all get the same frames.
		rnd := rand.New(rand.NewPCG(uint64(i), uint64(payload)))
		r.trains = append(r.trains, newTrain(f, cars, payload, uint64(i)<<32, rnd))
	}
	return r, nil
}

// tributary is the gateway as its users run it, with a group of TCP lines.
func (r *running) tributary(binary string, n int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	r.dir, r.cleanUp = dir, func() { _ = os.RemoveAll(dir) }
	p, err := startGateway(binary, dir, "", "")
	if err != nil {
		return err
	}
	r.processes = append(r.processes, p)
	return r.dial(gatewayPort, n)
}

const gatewayPort = 2323

// startGateway starts the gateway with a group of TCP lines, all defaults but
// for what is given of the uplink and of the listener, as YAML within braces. Its
// files are in dir.
func startGateway(binary, dir, uplink, listener string) (*process, error) {
	text := fmt.Sprintf(`uplinks:
  - {name: isp, interface: %s%s}
lines:
  - name: bench
    tcp: {listen: "127.0.0.1:%d"%s}
    uplink: isp
control: {socket: %s}
log: {level: warn}
state_dir: %s/state
`, userEnd, uplink, gatewayPort, listener, controlSocket(dir), dir)
	file := filepath.Join(dir, "tributary.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return startProcess(exec.Command(binary, "run", "-c", file))
}

func controlSocket(dir string) string { return filepath.Join(dir, "control.sock") }

// floor is the bare forwarder.
func (r *running) floor(n, payload int) error {
	p, addr, err := startSelf("floor", "-lines", strconv.Itoa(n),
		"-frame", strconv.Itoa(ethOverhead+2+payload), "-record", strconv.Itoa(meanRecord(payload)))
	if err != nil {
		return err
	}
	r.processes = append(r.processes, p)
	var port int
	if _, err := fmt.Sscanf(addr, "127.0.0.1:%d", &port); err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	return r.dial(port, n)
}

// rpPPPoE is one pppoe process for each line, as pppd's pty option runs it, on a
// socket pair.
func (r *running) rpPPPoE(n int) error {
	path, err := exec.LookPath("pppoe")
	if err != nil {
		path = "/usr/sbin/pppoe" // not in the path of every root
	}
	for range n {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.fds = append(r.fds, pair[0])
		theirs := os.NewFile(uintptr(pair[1]), "line")
		cmd := exec.Command(path, "-U", "-I", userEnd)
		cmd.Stdin, cmd.Stdout = theirs, theirs
		p, err := startProcess(cmd)
		_ = theirs.Close()
		if err != nil {
			return err
		}
		r.processes = append(r.processes, p)
		if err := unix.SetNonblock(pair[0], true); err != nil {
			return err
		}
	}
	return nil
}

// startUp is how long a subject may take until it accepts a connection, or
// brings a line up.
const startUp = 30 * time.Second

// dial connects n lines over TCP.
func (r *running) dial(port, n int) error {
	give := time.Now().Add(startUp)
	for len(r.fds) < n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		if err == unix.ECONNREFUSED && time.Now().Before(give) && r.alive() == nil {
			_ = unix.Close(fd)
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		if err != nil {
			_ = unix.Close(fd)
			return fmt.Errorf("connect: %w", err)
		}
		r.fds = append(r.fds, fd)
	}
	return nil
}

// bringUp makes a PPPoE session of every line: the user's Configure-Request
// opens it, and the AC's echo of that says that frames go both ways. LCP itself
// stays closed, so the line stays as RFC 1662 has it before LCP: ACCM ffffffff
// both ways, the only one that rp-pppoe knows.
func (r *running) bringUp() error {
	request := ppp.Packet{Code: ppp.ConfigureRequest, ID: 1, Data: ppp.Option{Type: ppp.LCPOptMagic, Data: []byte("load")}.Append(nil)}
	wire := hdlc.AppendFrame(nil, request.AppendFrame(nil, ppp.ProtoLCP), hdlc.Default)
	deadline := time.Now().Add(startUp)
	for i, fd := range r.fds {
		if _, err := unix.Write(fd, wire); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	buf := make([]byte, 4096)
	for i, fd := range r.fds {
		var have []byte
		for {
			if _, _, _, ok := (async{}).next(have); ok {
				break
			}
			left := time.Until(deadline)
			if left <= 0 {
				return fmt.Errorf("line %d of %d did not come up in %v", i+1, len(r.fds), startUp)
			}
			// RFC 1661 section 4.6: the Restart timer's default is three seconds.
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(min(left, 3*time.Second).Milliseconds())+1)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err
			}
			if ready == 0 {
				if _, err := unix.Write(fd, wire); err != nil {
					return err
				}
				continue
			}
			n, err := unix.Read(fd, buf)
			if err != nil {
				return err
			}
			if n == 0 {
				return errors.New("a line hung up before it was up")
			}
			have = append(have, buf[:n]...)
		}
	}
	return nil
}
