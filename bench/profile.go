//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// profile is where a subject's processor time went in one row.
type profile struct {
	cell    cell
	subject string
	shares  shares
}

// profileAll puts each subject that has a profile worth reading under the load
// of each row once more, with perf beside it, and writes what perf saw of the
// gateway, as text. It is a run of its own since perf slows what it watches.
func profileAll(o *options, ac *process, cells []cell) ([]profile, error) {
	if err := os.MkdirAll(o.profile, 0o755); err != nil {
		return nil, err
	}
	var ps []profile
	for _, c := range cells {
		for _, name := range o.subjects {
			if name == rpPPPoESubject {
				continue // nobody here can act on it
			}
			p := profile{cell: c, subject: name}
			text, err := p.take(o, ac)
			if err != nil {
				return nil, fmt.Errorf("profile of %s, %s: %w", name, c, err)
			}
			ps = append(ps, p)
			if name != tributarySubject {
				continue
			}
			file := fmt.Sprintf("profile-%dx%d.txt", c.lines, c.payload)
			if err := os.WriteFile(filepath.Join(o.profile, file), []byte(text), 0o644); err != nil {
				return nil, err
			}
		}
	}
	return ps, nil
}

func (p *profile) take(o *options, ac *process) (string, error) {
	w := o.windowOf(p.cell)
	r, err := start(p.subject, o.binary, p.cell.lines, p.cell.payload, w)
	if err != nil {
		return "", err
	}
	defer r.stop()
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
	perf, err := startProcess(exec.Command("perf", "record", "-q", "-F", "1997", "-g", "-o", data,
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
	stacks, err := exec.Command("perf", "script", "-i", data, "-F", "ip,sym").Output()
	if err != nil {
		return "", fmt.Errorf("perf script: %w", err)
	}
	if p.shares, err = readStacks(bytes.NewReader(stacks)); err != nil {
		return "", err
	}
	own, err := perfReport(data, "--no-children", "overhead,symbol")
	if err != nil {
		return "", err
	}
	all, err := perfReport(data, "--children", "overhead_children,symbol")
	head := fmt.Sprintf("%s, %d lines, %d octets, %d frames under way: %.0f frames/s, %.2f us a frame, with perf running.\n",
		p.subject, p.cell.lines, p.cell.payload, p.cell.total, s.rate(), s.perFrame(s.subject))
	return head + "\nWhat it was doing:\n    " + strings.Join(p.shares.sorted(), "\n    ") +
		"\n\nOwn time:\n" + own + "\nTime with what it called:\n" + all, err
}

// perfReport is the upper lines of perf's report.
func perfReport(data, order, fields string) (string, error) {
	out, err := exec.Command("perf", "report", "-i", data, "--stdio", "-g", "none", order, "--percent-limit", "0.7", "-F", fields).Output()
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
