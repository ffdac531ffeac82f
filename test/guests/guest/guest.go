// Package guest starts small Linux machines with PPP and PPPoE in their kernel,
// which the machine that runs the tests need not have, and runs commands in
// them. A guest is a child of this process: user-mode Linux, an ordinary
// program that is up in two seconds, or QEMU without hardware virtualization.
package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Options says what a guest is.
type Options struct {
	Name   string            // its host name, and the folder of its files
	Role   string            // the script in /rig that sets it up: isp, user
	Taps   []string          // host TAP devices, made by AddTap: eth0, eth1, ...
	Serial []string          // host terminals (/dev/pts/N, or links to one): Guest.Serial(0), ...
	MTU    int               // of the Ethernet; 0 is 1500
	Memory int               // MiB; 0 is 160
	Set    map[string]string // $RIG_KEY in the role's script
}

// Guest is one running machine.
type Guest struct {
	Name string

	kind  Kind
	dir   string // console, and share: the guest's /host
	cmd   *exec.Cmd
	ctl   io.WriteCloser
	ended chan struct{} // closed when the process has been waited for
	execs atomic.Uint64
}

// ExitError is how a command in a guest failed.
type ExitError struct {
	Guest  string
	Status string // exit status
	Output string // stdout and stderr
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("in guest %s: exit status %s: %s", e.Guest, e.Status, strings.TrimSpace(e.Output))
}

// ErrGone is returned when the guest's process has ended.
var ErrGone = errors.New("guest is gone")

// Start starts a guest and waits until its role has set it up. Its files go
// to the new folder dir/NAME.
func Start(ctx context.Context, img Image, dir string, o Options) (*Guest, error) {
	g := &Guest{Name: o.Name, kind: img.Kind, dir: filepath.Join(dir, o.Name), ended: make(chan struct{})}
	if err := os.MkdirAll(filepath.Join(g.dir, "share", "cmd"), 0o755); err != nil {
		return nil, err
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Memory == 0 {
		o.Memory = 160
	}
	console, err := os.Create(filepath.Join(g.dir, "console"))
	if err != nil {
		return nil, err
	}
	defer console.Close()

	var ready io.Reader
	switch img.Kind {
	case UML:
		ready, err = g.prepareUML(img, o, console)
	case QEMU:
		ready, err = g.prepareQEMU(img, o, console)
	default:
		err = fmt.Errorf("unknown kind of guest %q", img.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("guest %s: %w", o.Name, err)
	}
	// A group of its own: user-mode Linux has helper processes, which Stop ends with it.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("guest %s: %w", o.Name, err)
	}
	for _, f := range g.cmd.ExtraFiles {
		f.Close()
	}
	go func() { g.cmd.Wait(); close(g.ended) }()

	up := make(chan bool, 1)
	go func() {
		s := bufio.NewScanner(ready)
		ok := false
		for !ok && s.Scan() {
			ok = strings.HasPrefix(s.Text(), "ready")
		}
		up <- ok
	}()
	select {
	case ok := <-up:
		if ok {
			return g, nil
		}
		err = ErrGone
	case <-g.ended:
		err = ErrGone
	case <-ctx.Done():
		err = ctx.Err()
	}
	g.Stop()
	return nil, fmt.Errorf("guest %s did not come up: %w; its console ends\n%s", o.Name, err, tail(g.Console(), 30))
}

// Exec runs a shell script in the guest and returns what it printed, on stdout
// and stderr. Its error is an *ExitError when the script failed. Scripts may
// run at the same time, and what one leaves in the background keeps running.
func (g *Guest) Exec(ctx context.Context, script string) (string, error) {
	file := filepath.Join(g.dir, "share", "cmd", fmt.Sprint(g.execs.Add(1)))
	if err := os.WriteFile(file+".sh", []byte(script+"\n"), 0o644); err != nil {
		return "", err
	}
	if _, err := io.WriteString(g.ctl, filepath.Base(file)+"\n"); err != nil {
		return "", fmt.Errorf("guest %s: %w", g.Name, err)
	}
	// The guest shares a folder, not its events: there is nothing to wait on.
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		rc, err := os.ReadFile(file + ".rc")
		if err == nil {
			out, err := os.ReadFile(file + ".out")
			if status := strings.TrimSpace(string(rc)); err == nil && status != "0" {
				err = &ExitError{Guest: g.Name, Status: status, Output: string(out)}
			}
			return string(out), err
		}
		select {
		case <-poll.C:
		case <-g.ended:
			return "", fmt.Errorf("guest %s: %w", g.Name, ErrGone)
		case <-ctx.Done():
			out, _ := os.ReadFile(file + ".out")
			return string(out), fmt.Errorf("guest %s: %w in: %s\nprinted so far:\n%s", g.Name, ctx.Err(), script, out)
		}
	}
}

// Console is what the guest's kernel and init have said.
func (g *Guest) Console() string {
	b, _ := os.ReadFile(filepath.Join(g.dir, "console"))
	return string(b)
}

// Serial is the n-th serial line's device in the guest.
func (g *Guest) Serial(n int) string {
	if g.kind == UML {
		return fmt.Sprintf("/dev/ttyS%d", n+2) // ttyS1 is the control terminal
	}
	return fmt.Sprintf("/dev/ttyS%d", n+1) // ttyS0 is the console
}

// Stop ends the guest at once, as if its power were cut.
func (g *Guest) Stop() {
	g.ctl.Close()
	syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
	<-g.ended
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
