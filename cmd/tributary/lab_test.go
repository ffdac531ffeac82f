package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/internal/control"
)

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func TestLab(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"four users", []string{"--users", "4"}, `^proved: 4 users over TCP logged in with CHAP, 4 PPPoE sessions, 4 addresses, \d+ pings \(mean .*, max .*\), ` +
			`.*B downloaded and .*B uploaded and verified, 0 frames lost.*, 4 PADT at the AC, nothing left over$`},
		{"on a bad cable", []string{"--users", "2", "--loss", "0.01"}, `^proved: 2 users .* frames lost on purpose`},
		{"nobody", []string{"--users", "0"}, `^proved: 0 users over TCP .* 0 PPPoE sessions`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := run(t, t.Context(), "", append([]string{"lab", "--for", "1s", "--listen", "127.0.0.1:0"}, tt.args...)...)
			if code != exitDone || errs != "" {
				t.Fatalf("exit %d, %s%s", code, errs, out)
			}
			if last := lastLine(out); !regexp.MustCompile(tt.want).MatchString(last) {
				t.Errorf("the last line is %q", last)
			}
		})
	}
}

// A lab whose ISP lets nobody in must not end well.
func TestLabThatFails(t *testing.T) {
	var out, errs bytes.Buffer
	e := testEnv("", &out, &errs)
	err := e.runLab(t.Context(), labOptions{
		users: 3, until: time.Minute, listen: "127.0.0.1:0", log: "error",
		secret: func(string) (string, bool) { return "", false },
	})
	if err == nil || !strings.Contains(err.Error(), "the peer refused user") || !strings.Contains(err.Error(), "3 of 3 users failed") {
		t.Errorf("the lab ended with %v", err)
	}
	if strings.Contains(out.String(), "proved") {
		t.Errorf("nothing was proved, but it said\n%s", out.String())
	}
}

// watched is an output that tells when a text has come.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{} // closed when want has come
}

func watchFor(want string) *watched { return &watched{want: want, seen: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := strings.Contains(w.text.String(), w.want)
	n, err := w.text.Write(p)
	if !had && strings.Contains(w.text.String(), w.want) {
		close(w.seen)
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// A stranger dials in at a running lab, looks inside, and interrupts it.
func TestDialIntoLab(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := watchFor("  1 lines, 1 sessions")
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, testEnv("", out, &errs), []string{"lab", "--users", "1", "--listen", "127.0.0.1:0"})
	}()
	select {
	case <-out.seen:
	case c := <-code:
		t.Fatalf("the lab ended with %d: %s", c, errs.String())
	}
	addr := regexp.MustCompile(`tcp:127\.0\.0\.1:\d+`).FindString(out.String())
	socket := regexp.MustCompile(`--socket (\S+)`).FindStringSubmatch(out.String())[1]

	c, said, errText := run(t, t.Context(), "", "dial", addr, "--user", "u7", "--password", "p7",
		"--ping", "198.51.100.1", "--count", "2", "--interval", "0s", "--get", "http://198.51.100.1/bytes/100000")
	if c != exitDone || errText != "" {
		t.Errorf("dial: exit %d, %s", c, errText)
	}
	for _, want := range []string{
		"lcp       open, MRU 1492, send ACCM 00000000, receive ACCM 00000000, PFC true, ACFC true\n",
		`auth      chap-md5 as "u7"`, "network   address 10.64.", "ping      2 sent, 2 answered",
		"get       200 OK: 100000 octets", "every octet as the lab sends it", "done      hung up\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("dial did not say %q:\n%s", want, said)
		}
	}
	c, _, errText = run(t, t.Context(), "", "dial", addr, "--user", "u7", "--password", "p8")
	if c != exitFailed || !strings.Contains(errText, `the peer refused user "u7": Access denied`) {
		t.Errorf("dial with a wrong password: exit %d, %s", c, errText)
	}
	client := control.Dial(socket)
	lines, err := client.Lines(t.Context())
	client.Close()
	if err != nil || len(lines) == 0 {
		t.Errorf("the lab's control socket: %v, %v", lines, err)
	}
	interrupt()
	if c := <-code; c != exitDone || !strings.HasPrefix(lastLine(out.String()), "proved: 1 users") {
		t.Errorf("interrupted: exit %d, %s%s", c, errs.String(), out.String())
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the control socket is left over: %v", err)
	}
}

func TestToolUsage(t *testing.T) {
	secret := t.TempDir() + "/users"
	if err := os.WriteFile(secret, []byte("joe * \"open\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"lab --mode shared", "lab --mode both", "lab --mode x", "lab --users -1", "lab --for -1s", "lab --loss 0.9", "lab --loss NaN", "lab --log loud",
		"dial", "dial tcp:x:1 --ping example.org", "dial tcp:x:1 --get ftp://x/", "dial tcp:x:1 --password p", "dial tcp:x:1 --count 0",
		"dial tcp:x:1 --user u --password p --password-file f", "dial tcp:x:1 --user u --password-file /nonexistent", "dial tcp:x:1 --flow x",
		"dial tcp:x:1 --accm xyz", "dial tcp:x:1 --size 9000", "dial tcp:x:1 --timeout 0s", "dial tcp:x:1 --max-payload 9000", "dial tcp:x:1 --vlan 0",
		"discover", "discover -i x --wait 0s", "discover -i x --vlan 5000", "discover -i x --vlan 1.2.3", "discover -i x --vlan a",
		"ac", "ac -i x --auth x", "ac -i x --pool x", "ac -i x --pool 10.0.0.0/31", "ac -i x --local x", "ac -i x --internet ::1",
		"ac -i x --local 192.0.2.1 --internet 192.0.2.1", "ac -i x --dns x", "ac -i x --user joe", "ac -i x --users /nonexistent",
		"ac -i x --users " + secret, "ac -i x --max-payload 2000", "ac -i x --max-sessions -1",
		"ac -i x --dns 192.0.2.1 --dns 192.0.2.2 --dns 192.0.2.3",
	} {
		code, out, errs := run(t, t.Context(), "", strings.Fields(args)...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "tributary") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want exit 2 and one line on stderr", args, code, out, errs)
		}
	}
	if _, _, errs := run(t, t.Context(), "", "lab", "--mode", "shared"); !strings.Contains(errs, "not in this version") {
		t.Errorf("--mode shared: %s", errs)
	}
}
