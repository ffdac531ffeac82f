//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profileAll puts the gateway under the load of each row once more, with perf
// beside it, and writes what perf saw, as text. It is a run of its own since
// perf slows down what it watches.
func profileAll(o *options, ac *process, cells []cell) error {
	if err := os.MkdirAll(o.profile, 0o755); err != nil {
		return err
	}
	for _, c := range cells {
		text, err := profileOne(o, ac, c)
		if err != nil {
			return fmt.Errorf("profile of %s: %w", c, err)
		}
		name := fmt.Sprintf("profile-%dx%d.txt", c.lines, c.payload)
		if err := os.WriteFile(filepath.Join(o.profile, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func profileOne(o *options, ac *process, c cell) (string, error) {
	r, err := start(tributarySubject, o, c.lines, c.payload)
	if err != nil {
		return "", err
	}
	defer r.stop()
	w := o.windowOf(c.lines)
	l, err := newLoad(r.fds, r.trains, w, o.burstOf(w))
	if err != nil {
		return "", err
	}
	defer l.close()
	if err := l.run(o.warmUp); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "bench-perf")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	data := filepath.Join(dir, "perf.data")
	perf, err := startProcess(exec.Command("perf", "record", "-q", "-F", "997", "-g", "-o", data,
		"-p", strconv.Itoa(r.processes[0].cmd.Process.Pid)))
	if err != nil {
		return "", err
	}
	s, err := underLoad(l, r, ac, o.warmUp, o.duration)
	_ = perf.cmd.Process.Signal(syscall.SIGINT)
	perf.stop()
	if err != nil {
		return "", err
	}
	head := fmt.Sprintf("# %d lines, %d octets: %.0f frames/s, %.2f us a frame, perf running. Own time, then time with callees.\n\n",
		c.lines, c.payload, s.rate(), s.perFrame(s.subject))
	own, err := perfReport(data, "--no-children")
	if err != nil {
		return "", err
	}
	all, err := perfReport(data, "--children")
	return head + own + "\n" + all, err
}

// perfReport is the upper lines of perf's report.
func perfReport(data, order string) (string, error) {
	out, err := exec.Command("perf", "report", "-i", data, "--stdio", "-g", "none", order, "--percent-limit", "0.7",
		"-F", map[string]string{"--children": "overhead_children,symbol", "--no-children": "overhead,symbol"}[order]).Output()
	if err != nil {
		return "", fmt.Errorf("perf report: %w", err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if s := strings.TrimRight(line, " \n"); s != "" && !strings.HasPrefix(s, "#") {
			b.WriteString(s + "\n")
		}
	}
	return b.String(), nil
}
