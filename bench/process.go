//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that runs until it is stopped.
type process struct {
	cmd    *exec.Cmd
	exited chan error
	stderr *bytes.Buffer // not to be read before it has exited
}

// grace is how long a program may take to end when it is told to.
const grace = 5 * time.Second

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan error, 1), stderr: new(bytes.Buffer)}
	cmd.Stderr = p.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.exited <- cmd.Wait() }()
	return p, nil
}

// startSelf starts another of this program's roles and returns the first line
// that it says, when it is ready.
func startSelf(args ...string) (p *process, said string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	cmd := exec.Command(self, args...)
	cmd.Stdout = w
	p, err = startProcess(cmd)
	_ = w.Close()
	if err != nil {
		return nil, "", err
	}
	if said, err = bufio.NewReader(r).ReadString('\n'); err != nil {
		p.stop()
		return nil, "", fmt.Errorf("bench %s did not start: %s", args[0], p.stderr)
	}
	return p, strings.TrimSpace(said), nil
}

// stop tells the program to end, and ends it if it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(grace):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	p.exited <- nil // it may be asked again
}

// alive is nil, or says how the program ended.
func (p *process) alive() error {
	select {
	case err := <-p.exited:
		p.exited <- err
		return fmt.Errorf("%s ended: %v: %s", p.cmd.Path, err, lastLine(p.stderr.String()))
	default:
		return nil
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// cpuTime is the processor time, user's and system's, that a process has used
// since it began, in the scheduler's resolution and not in clock ticks.
func cpuTime(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED, the clock of a process's run time
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// machineTime is the processor time that everything on the machine has used, in
// the kernel's ticks.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads /proc/stat. Its first line has user, nice, system, idle,
// iowait, irq, softirq, steal, and what is in one of these as well.
func parseMachineTime(text string) (time.Duration, error) {
	const tick = time.Second / 100 // USER_HZ, the same on all architectures that Go has
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var total time.Duration
	for i, s := range f[1:9] {
		if i == 3 || i == 4 { // idle and iowait: nobody used it
			continue
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

func cpuTimes(ps []*process) (total time.Duration, err error) {
	for _, p := range ps {
		t, err := cpuTime(p.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		total += t
	}
	return total, nil
}
