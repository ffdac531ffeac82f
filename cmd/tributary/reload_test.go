package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

func TestReload(t *testing.T) {
	g := newFake()
	socket := serve(t, g)
	code, out, errs := run(t, t.Context(), socket, "reload")
	if code != exitDone || out != "5 users in 1 files: 2 new, 0 gone, 0 changed\nthe configuration has changed, and needs a restart: lines, pools\n" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	code, out, _ = run(t, t.Context(), socket, "reload", "--json")
	var r control.Reload
	if err := json.Unmarshal([]byte(out), &r); code != exitDone || err != nil || r.Users.Added != 2 || len(r.Restart) != 2 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}

	g.refused = config.Errors{{File: "/u.yaml", Line: 2, Column: 5, Message: evil}, {File: "/u.yaml", Line: 3, Column: 1, Message: "x"}}
	code, out, errs = run(t, t.Context(), socket, "reload")
	if code != exitUsage || out != "" || !strings.HasPrefix(errs, "/u.yaml:2:5: ") || !strings.Contains(errs, "\n/u.yaml:3:1: x\n") {
		t.Errorf("mistakes: exit %d, %q, %q; want 2, and a line for each, the file first", code, out, errs)
	}
	checkTerminal(t, errs, 0)
	g.refused = control.ErrNoReload // as in a lab
	if code, _, errs = run(t, t.Context(), socket, "reload"); code != exitFailed || !strings.Contains(errs, "no files") {
		t.Errorf("a gateway without files: exit %d, %q", code, errs)
	}
}

// fileSet is the files of a gateway in mode shared that may be changed.
type fileSet struct {
	t   *testing.T
	dir string
}

func (p fileSet) path(name string) string { return filepath.Join(p.dir, name) }

func (p fileSet) write(name, text string) string {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.path(name)
}

// files writes a whole configuration.
func files(t *testing.T) fileSet {
	p := fileSet{t, t.TempDir()}
	p.write("users.yaml", "users:\n  - {name: anna, password: secret}\n  - {name: carl, password: secret, pool: customers}\n")
	p.write("office.secret", "the office\n")
	p.write("t.yaml", strings.ReplaceAll(`
uplinks: [{name: isp, interface: eth1}]
sessions:
  - {name: office, uplink: isp, user: me, password_file: DIR/office.secret}
  - {name: spare, uplink: isp}
pools: [{name: customers, prefix: 198.51.100.0/24}]
lines: [{name: bank, mode: shared, session: office, pool: customers, users: DIR/users.yaml, tcp: {listen: "127.0.0.1:0"}}]
control: {socket: DIR/control.sock}
state_dir: DIR/state
`, "DIR", p.dir))
	return p
}

// log is what a gateway logs, for a test to wait for.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newLog() *log { return &log{more: make(chan struct{}, 1)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait returns when all of want have been logged.
func (l *log) wait(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		for !strings.Contains(l.String(), w) {
			select {
			case <-l.more:
			case <-t.Context().Done():
				t.Fatalf("%q is not logged:\n%s", w, l)
			}
		}
	}
}

// A gateway that runs reads its files again, asked by the API as by a signal.
func TestRunReloads(t *testing.T) {
	p := files(t)
	cfg, err := config.Load(p.path("t.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	said := newLog()
	logger := newLogger(said, cfg.Log)
	logWarnings(logger, cfg.Warnings)
	said.wait(t, `no group of lines uses session \"spare\"`, p.path("t.yaml")+":5:12")

	ctx, stop := context.WithCancel(t.Context())
	hangups, ran := make(chan os.Signal), make(chan error)
	hub := ether.NewHub()
	e := testEnv(p.path("control.sock"), io.Discard, io.Discard)
	go func() {
		ran <- e.runGateway(ctx, hangups, p.path("t.yaml"), cfg, logger, func(_ string, pool *frame.Pool) (ether.Port, error) {
			return hub.Port("eth1", pppoe.MAC{2, 0, 0, 0, 0, 1}, pool), nil
		})
	}()
	said.wait(t, "running")
	reload := func() (code int, out, errs string) { return run(t, t.Context(), p.path("control.sock"), "reload") }

	if code, out, errs := reload(); code != exitDone || out != "2 users in 1 files: 0 new, 0 gone, 0 changed\n" {
		t.Errorf("nothing is new: exit %d, %q, %q", code, out, errs)
	}
	p.write("users.yaml", "users:\n  - {name: anna, password: other}\n  - {name: dora, password: secret}\n")
	text, _ := os.ReadFile(p.path("t.yaml"))
	p.write("t.yaml", strings.ReplaceAll(string(text), "198.51.100.0/24", "198.51.100.0/25"))
	if code, out, errs := reload(); code != exitDone || !strings.HasPrefix(out, "2 users in 1 files: 1 new, 1 gone, 1 changed\n") ||
		!strings.Contains(out, "needs a restart: pools\n") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}

	p.write("t.yaml", "uplinks: nonsense\n")
	if code, out, errs := reload(); code != exitDone || !strings.Contains(out, "has mistakes") || !strings.Contains(out, p.path("t.yaml")+":1:10: ") {
		t.Errorf("a configuration that would not start: exit %d, %q, %q", code, out, errs)
	}
	p.write("users.yaml", "users:\n  - {name: anna}\n")
	if code, _, errs := reload(); code != exitUsage || !strings.HasPrefix(errs, p.path("users.yaml")+":2:5: ") {
		t.Errorf("a mistake in the users file: exit %d, %q", code, errs)
	}
	said.wait(t, "nothing is read again")

	p.write("users.yaml", "users: []\n")
	hangups <- syscall.SIGHUP
	said.wait(t, "removed=2")
	if code, out, errs := run(t, t.Context(), p.path("control.sock"), "sessions"); code != exitDone || !strings.Contains(out, "discovering") {
		t.Errorf("sessions: exit %d, %q, %q", code, out, errs)
	}
	stop()
	if err := <-ran; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// check finds what run would stumble over in the files that are named, and run finds
// it before it opens anything.
func TestCheckReadsUsersFiles(t *testing.T) {
	p := files(t)
	code, out, errs := run(t, t.Context(), "", "check", "-c", p.path("t.yaml"))
	if code != exitDone || !strings.Contains(out, "is valid") {
		t.Fatalf("exit %d, %q, %q", code, out, errs)
	}
	p.write("users.yaml", "users:\n  - {name: anna, hash: $2b$04$abcdefghijklmnopqrstuuKLaxAHWlCk6ZGeC0SUUXHVlGFnwqcQ2}\n")
	code, _, errs = run(t, t.Context(), "", "check", "-c", p.path("t.yaml"))
	if code != exitDone || !strings.Contains(errs, "users.yaml: warning: lines bank ask for chap-md5") {
		t.Errorf("who has hashes only: exit %d, %q", code, errs)
	}

	p.write("users.yaml", "users:\n  - {name: anna, pasword: secret}\n  - {name: carl, password: secret, pool: costumers}\n")
	if err := os.Chmod(p.path("office.secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		code, out, errs = run(t, t.Context(), "", command, "-c", p.path("t.yaml"))
		if code != exitUsage || out != "" {
			t.Errorf("%s: exit %d, %q, %q", command, code, out, errs)
		}
		wantIn(t, errs, p.path("users.yaml")+`:2:18: a user has no key "pasword"`, p.path("office.secret")+": has mode 0644", "chmod 600")
	}
	p.write("users.yaml", "users:\n  - {name: carl, password: secret, pool: costumers}\n")
	_, _, errs = run(t, t.Context(), "", "check", "-c", p.path("t.yaml"))
	wantIn(t, errs, p.path("users.yaml")+":2:", `there is no pool "costumers"`)
	if err := os.Remove(p.path("users.yaml")); err != nil {
		t.Fatal(err)
	}
	_, _, errs = run(t, t.Context(), "", "check", "-c", p.path("t.yaml"))
	wantIn(t, errs, p.path("users.yaml")+": no such file or directory")
}
