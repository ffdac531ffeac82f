package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/internal/config"
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
		{"on one session", []string{"--users", "4", "--mode", "shared"}, `^proved: 4 users over TCP logged in with CHAP, 1 PPPoE session, 4 addresses, ` +
			`\d+ pings \(mean .*, max .*\), of these [1-9]\d* to another user through the ISP and [1-9]\d* straight across, ` +
			`.*B downloaded and .*B uploaded and verified, 0 frames lost.*, ` +
			`[1-9]\d* packets up and [1-9]\d* down on the shared session, all addresses given back, 1 PADT at the AC, nothing left over$`},
		{"one user alone on it", []string{"--users", "1", "--mode", "shared"}, `^proved: 1 users .*, 1 PPPoE session, 1 addresses, .* of these 0 to another user`},
		{"both modes", []string{"--users", "8", "--mode", "both"}, `^proved: 8 users over TCP logged in with CHAP, 4 of them on one session, ` +
			`5 PPPoE sessions, 8 addresses, .* of these [1-9]\d* to another user through the ISP and [1-9]\d* straight across, .* ` +
			`0 frames lost.*, all addresses given back, 5 PADT at the AC, nothing left over$`},
		{"one session on a bad cable", []string{"--users", "4", "--mode", "shared", "--loss", "0.01"}, `^proved: 4 users .*, \d PPPoE sessions?, .* frames lost on purpose`},
		{"nobody on it", []string{"--users", "0", "--mode", "shared"}, `^proved: 0 users over TCP .*, nothing left over$`},
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

// A lab that lets nobody in must not end well.
func TestLabThatFails(t *testing.T) {
	for _, mode := range []string{labRelay, labShared, labBoth} {
		t.Run(mode, func(t *testing.T) {
			var out, errs bytes.Buffer
			e := testEnv("", &out, &errs)
			err := e.runLab(t.Context(), labOptions{
				users: 4, until: time.Minute, listen: "127.0.0.1:0", log: "error", mode: mode,
				secret: func(string) (string, bool) { return "", false },
			})
			if err == nil || !strings.Contains(err.Error(), "the peer refused user") || !strings.Contains(err.Error(), "4 of 4 users failed") {
				t.Errorf("the lab ended with %v", err)
			}
			if strings.Contains(out.String(), "proved") {
				t.Errorf("nothing was proved, but it said\n%s", out.String())
			}
		})
	}
}

// Users are spread over the groups of lines, each of which has its own address.
func TestLabGroups(t *testing.T) {
	for _, tt := range []struct {
		mode  string
		users int
		want  string
	}{
		{labRelay, 3, "virtual 0+3 :9"},
		{labRelay, 0, "virtual 0+0 :9"},
		{labShared, 1, "shared 0+1 :9, local 1+0 :10"},
		{labShared, 3, "shared 0+3 :9, local 3+0 :10"},
		{labShared, 5, "shared 0+3 :9, local 3+2 :10"},
		{labBoth, 1, "virtual 0+1 :9, shared 1+0 :10, local 1+0 :11"},
		{labBoth, 9, "virtual 0+5 :9, shared 5+2 :10, local 7+2 :11"},
	} {
		l := &labRun{o: labOptions{mode: tt.mode, users: tt.users}, groups: labGroups(tt.mode, tt.users)}
		if err := place(l.groups, ":9"); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range l.groups {
			got = append(got, fmt.Sprintf("%s %d+%d %s", g.name, g.first, g.users, g.listen))
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%d users in mode %s: %s, want %s", tt.users, tt.mode, text, tt.want)
		}
		for i := range tt.users {
			j, ok := l.neighbour(i)
			if g := l.group(i); ok && (j == i || l.group(j) != g || g.mode != config.ModeShared) || !ok && g.mode == config.ModeShared && g.users > 1 {
				t.Errorf("%d users in mode %s: the neighbour of %d is %d, %v", tt.users, tt.mode, i, j, ok)
			}
		}
	}
	for listen, want := range map[string]string{"nowhere": "missing port", ":x": "no number", ":99999": "no number", ":65534": "no room"} {
		if err := place(labGroups(labBoth, 1), listen); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("listen %s: %v, want %q", listen, err, want)
		}
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
	t.Run(labRelay, func(t *testing.T) { dialIntoLab(t, labRelay, "1492", "10.64.", `Access denied`) })
	t.Run(labShared, func(t *testing.T) { dialIntoLab(t, labShared, "1500", "198.18.", `authentication failed`) })
}

func dialIntoLab(t *testing.T, mode, mru, prefix, refusal string) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := watchFor("  1 lines, 1 sessions")
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, testEnv("", out, &errs), []string{"lab", "--users", "1", "--listen", "127.0.0.1:0", "--mode", mode})
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
		"lcp       open, MRU " + mru + ", send ACCM 00000000, receive ACCM 00000000, PFC true, ACFC true\n",
		`auth      chap-md5 as "u7"`, "network   address " + prefix, "ping      2 sent, 2 answered",
		"get       200 OK: 100000 octets", "every octet as the lab sends it", "done      hung up\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("dial did not say %q:\n%s", want, said)
		}
	}
	c, _, errText = run(t, t.Context(), "", "dial", addr, "--user", "u7", "--password", "p8")
	if c != exitFailed || !strings.Contains(errText, `the peer refused user "u7": `+refusal) {
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
		"lab --mode x", "lab --mode", "lab --users -1", "lab --for -1s", "lab --loss 0.9", "lab --loss NaN", "lab --log loud",
		"dial", "dial tcp:x:1 --ping example.org", "dial tcp:x:1 --get ftp://x/", "dial tcp:x:1 --password p", "dial tcp:x:1 --count 0",
		"dial tcp:x:1 --user u --password p --password-file f", "dial tcp:x:1 --user u --password-file /nonexistent", "dial tcp:x:1 --flow x",
		"dial tcp:x:1 --accm xyz", "dial tcp:x:1 --size 9000", "dial tcp:x:1 --timeout 0s", "dial tcp:x:1 --max-payload 9000", "dial tcp:x:1 --vlan 0",
		"discover", "discover -i x --wait 0s", "discover -i x --vlan 5000", "discover -i x --vlan 1.2.3", "discover -i x --vlan a",
		"ac", "ac -i x --auth x", "ac -i x --pool x", "ac -i x --pool 10.0.0.0/31", "ac -i x --local x", "ac -i x --internet ::1",
		"ac -i x --local 192.0.2.1 --internet 192.0.2.1", "ac -i x --dns x", "ac -i x --user joe", "ac -i x --users /nonexistent",
		"ac -i x --users " + secret, "ac -i x --max-payload 2000", "ac -i x --max-sessions -1",
		"ac -i x --dns 192.0.2.1 --dns 192.0.2.2 --dns 192.0.2.3",
		"ac -i x --route u1", "ac -i x --route =198.18.0.0/16", "ac -i x --route u1=198.18.0.1/16", "ac -i x --route u1=2001:db8::/32",
		"ac -i x --route joe=198.18.0.0/16", "ac -i x --user joe:x --route u1=198.18.0.0/16", "ac -i x --route u1=10.0.0.0/8",
		"ac -i x --route u1=198.51.100.0/24", "ac -i x --auth none --route u1=198.18.0.0/16", "ac -i x --auth ms-chap",
	} {
		code, out, errs := run(t, t.Context(), "", strings.Fields(args)...)
		if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "tributary") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want exit 2 and one line on stderr", args, code, out, errs)
		}
	}
}
