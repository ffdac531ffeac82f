// Package program compiles the program under test and runs it, and others,
// for the length of a test.
package program

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Build compiles tributary into dir: "tributary", and "tributary-race" with the
// race detector in it. TRIBUTARY_BIN names a program to use instead of both.
func Build(ctx context.Context, dir string) error {
	if os.Getenv("TRIBUTARY_BIN") != "" {
		return nil
	}
	for _, flag := range []string{"-race", "-race=false"} {
		out, err := exec.CommandContext(ctx, "go", "build", flag, "-o", name(dir, flag == "-race"), "tributary/cmd/tributary").CombinedOutput()
		if err != nil {
			return fmt.Errorf("go build ./cmd/tributary: %w\n%s", err, out)
		}
	}
	return nil
}

func name(dir string, race bool) string {
	if race {
		return filepath.Join(dir, "tributary-race")
	}
	return filepath.Join(dir, "tributary")
}

// Path is where Build has put the program.
func Path(dir string, race bool) string {
	if bin := os.Getenv("TRIBUTARY_BIN"); bin != "" {
		return bin
	}
	return name(dir, race)
}

// Process is a program that runs beside a test.
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	out   bytes.Buffer
}

// Start starts a program. When the test ends, it is asked to end; a data race
// or a panic in what it printed fails the test.
func Start(t testing.TB, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.Stop(10 * time.Second)
		out := p.Output()
		for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
			if bytes.Contains(out, []byte(bad)) {
				t.Errorf("%s has %q in its output", filepath.Base(args[0]), bad)
			}
		}
		if t.Failed() {
			t.Logf("%v (%v):\n%s", args, p.cmd.ProcessState, out[max(0, len(out)-8000):])
		}
	})
	return p
}

// Write takes the program's output.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// Output is what the program has printed so far.
func (p *Process) Output() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.out.Bytes())
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode is the exit code of a program that has ended.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Kill ends the program as a crash does.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// Stop asks the program to end with SIGTERM and waits for that. A program that
// does not end is killed, and fails the test.
func (p *Process) Stop(patience time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.Kill()
		p.t.Errorf("%s does not end on SIGTERM", filepath.Base(p.cmd.Path))
	}
}
