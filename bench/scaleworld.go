//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// raiseFiles makes room for the descriptors of all lines in this process and its
// children, or takes fewer lines where it may not.
func (s *scale) raiseFiles() error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	need := uint64(s.lines + spareFiles)
	if l.Max < need {
		// Only whoever may override resource limits can.
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: need, Max: need}) == nil {
			l.Max = need
		}
	}
	l.Cur = l.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	s.report.limit = l.Max
	s.lines = min(s.lines, int(l.Max)-spareFiles)
	if s.lines < 1 {
		return fmt.Errorf("the limit of %d descriptors is too low", l.Max)
	}
	s.report.lines = s.lines
	return nil
}

func (s *scale) start() (err error) {
	if s.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	path := filepath.Join(s.dir, "board")
	if s.board, err = openBoard(path); err != nil {
		return err
	}
	if s.ac, _, err = startSelf("ac", "-lcp", path); err != nil {
		return err
	}
	// Padding: a connection that is closed has its line's slot for a moment yet.
	s.gw, err = startGateway(s.opts.binary, s.dir, ", padi_rate: 1000000", fmt.Sprintf(", max: %d", s.lines+spareFiles))
	if err != nil {
		return err
	}
	if s.crowd, err = newCrowd(gatewayPort, s.lines); err != nil {
		return err
	}
	if err := waitForPort(gatewayPort, s.gw); err != nil {
		return err
	}
	s.base, err = memoryOf(s.gw.cmd.Process.Pid)
	s.report.base = s.base
	return err
}

func (s *scale) cleanUp() {
	if s.crowd != nil {
		s.crowd.close()
	}
	for _, p := range []*process{s.gw, s.ac} {
		if p != nil {
			p.stop()
		}
	}
	_ = os.RemoveAll(s.dir)
}

// tell asks the gateway what it thinks has happened, for whoever looks for a fault.
func (s *scale) tell() {
	say("board: opened %d closed %d lcp open %d, frames the AC's socket had no room for %d", s.board.opened.Load(), s.board.closed.Load(),
		s.board.lcpOpen.Load(), s.board.lost.Load())
	if u, err := s.uplink(); err == nil {
		say("gateway: %v", u)
	} else {
		say("gateway: %v", err)
	}
}

// uplink is the counters of the gateway's uplink.
func (s *scale) uplink() (map[string]uint64, error) {
	text, err := s.ask("uplinks", "--json")
	if err != nil {
		return nil, err
	}
	var us []struct {
		Sessions, Discovering uint64
		Discovery, Dropped    map[string]uint64
		Port                  map[string]uint64
	}
	if err := json.Unmarshal(text, &us); err != nil || len(us) != 1 {
		return nil, fmt.Errorf("uplinks --json: %v: %.200s", err, text)
	}
	all := map[string]uint64{"sessions": us[0].Sessions, "discovering": us[0].Discovering}
	for _, m := range []map[string]uint64{us[0].Discovery, us[0].Dropped, us[0].Port} {
		for k, v := range m {
			if v != 0 {
				all[k] = v
			}
		}
	}
	return all, nil
}

// ask runs one of the gateway's reading commands.
func (s *scale) ask(args ...string) ([]byte, error) {
	cmd := exec.Command(s.opts.binary, append(args, "--socket", controlSocket(s.dir))...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", args[0], err, stderr.String())
	}
	return text, nil
}

// waitForPort waits until somebody listens there.
func waitForPort(port int, p *process) error {
	for give := time.Now().Add(startUp); ; time.Sleep(20 * time.Millisecond) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		_ = unix.Close(fd)
		if err == nil {
			return nil
		}
		if dead := p.alive(); dead != nil {
			return dead
		}
		if time.Now().After(give) {
			return fmt.Errorf("nobody listens on port %d: %w", port, err)
		}
	}
}

// memoryOf is a process's resident memory and its descriptors.
func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return m, err
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return m, fmt.Errorf("statm is %q", text)
	}
	pages, err := strconv.Atoi(f[1])
	if err != nil {
		return m, fmt.Errorf("statm: %w", err)
	}
	m.rss = pages * os.Getpagesize()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	m.files = len(files)
	return m, err
}
