package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryCommandHelps(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no short description, or no example", c.CommandPath())
		}
		if c.Args == nil && c.HasParent() {
			t.Errorf("%s takes any arguments", c.CommandPath())
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		code, out, errs := run(t, t.Context(), "", args...)
		if code != exitDone || !strings.Contains(out, "Examples:") || errs != "" {
			t.Errorf("%v: exit %d, %q", args, code, errs)
		}
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 120 {
				t.Errorf("%v: a line of %d columns: %s", args, n, line)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand(testEnv("", io.Discard, io.Discard)))
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{}, {"nonsense"}, {"lines", "--nonsense"}, {"lines", "extra"}, {"show"}, {"show", "a/1", "b/2"}, {"hangup"},
		{"sessions", "a", "b"}, {"pools", "a"}, {"reload", "a"},
		{"events", "-n", "x"}, {"events", "-n", "-1"}, {"completion"}, {"completion", "tcsh"}, {"check", "-c"},
		{"check", "-c", "/nonexistent.yaml"},
	} {
		code, out, errs := run(t, t.Context(), "", args...)
		if code != exitUsage || out != "" || errs == "" {
			t.Errorf("%q: exit %d, stdout %q, stderr %q; want exit 2 and a word on stderr", args, code, out, errs)
		}
		if len(args) > 0 && (strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "tributary")) {
			t.Errorf("%q: %q is not one line that names the program", args, errs)
		}
	}
}

func TestWithoutAGateway(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.sock")
	for _, args := range [][]string{{"lines"}, {"show", "a/1"}, {"uplinks"}, {"events", "-f"}, {"hangup", "a/1"}, {"version", "--running"},
		{"sessions"}, {"sessions", "a"}, {"pools"}, {"reload"}} {
		code, out, errs := run(t, t.Context(), none, args...)
		if code != exitFailed || out != "" || !strings.Contains(errs, none) || !strings.Contains(errs, "is tributary running?") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestLines(t *testing.T) {
	code, out, errs := run(t, t.Context(), serve(t, newFake()), "lines")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, tableWidth)
	for _, want := range []string{"LINE", "virtual/1", "192.0.2.7:40", "network", "4711", "anna@isp", "198.51.100.7", "1234", "56.8M", "1h15m", "waiting", "2d02h"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestShow(t *testing.T) {
	socket := serve(t, newFake())
	code, out, errs := run(t, t.Context(), socket, "show", "virtual/1")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"bras1 02:00:5e:00:00:01", "100.7", "ACCM 000a0000", "PFC on", "CHAP MD5", "198.51.100.53", "120ms", "RxFrames", "down octets"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	_, out, _ = run(t, t.Context(), socket, "show", "virtual/2")
	checkTerminal(t, out, 0)

	code, out, errs = run(t, t.Context(), socket, "show", "virtual/9")
	if code != exitFailed || out != "" || !strings.Contains(errs, "no such line: virtual/9") || !strings.Contains(errs, "tributary lines") {
		t.Errorf("of no line: exit %d, %q", code, errs)
	}
}

func TestUplinks(t *testing.T) {
	code, out, errs := run(t, t.Context(), serve(t, newFake()), "uplinks")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, tableWidth)
	for _, want := range []string{"eth1", "02:00:5e:00:00:02", "1500", "ACCESS CONCENTRATOR", "bras1", "3s"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestJSON(t *testing.T) {
	socket := serve(t, newFake())
	file := filepath.Join(t.TempDir(), "t.yaml")
	yaml := "uplinks: [{name: isp, interface: eth1}]\nlines: [{name: a, uplink: isp, tcp: {listen: \":0\"}}]\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		into any
	}{
		{[]string{"lines"}, new([]gateway.LineInfo)},
		{[]string{"show", "virtual/1"}, new(gateway.LineInfo)},
		{[]string{"uplinks"}, new([]gateway.UplinkInfo)},
		{[]string{"sessions"}, new([]gateway.SessionInfo)},
		{[]string{"sessions", "office"}, new(gateway.SessionInfo)},
		{[]string{"pools"}, new([]gateway.PoolInfo)},
		{[]string{"reload"}, new(control.Reload)},
		{[]string{"version"}, new(control.Version)},
		{[]string{"version", "--running"}, new(control.Version)},
		{[]string{"check", "-c", file}, new(config.Config)},
	} {
		code, out, errs := run(t, t.Context(), socket, append(tt.args, "--json")...)
		if code != exitDone {
			t.Errorf("%q: exit %d: %s", tt.args, code, errs)
			continue
		}
		d := json.NewDecoder(strings.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(tt.into); err != nil {
			t.Errorf("%q: %v in %s", tt.args, err, out)
		}
	}
}

func TestHangup(t *testing.T) {
	g := newFake()
	socket := serve(t, g)
	if code, out, errs := run(t, t.Context(), socket, "hangup", "virtual/1"); code != exitDone || out != "virtual/1 is hung up\n" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	if _, ok := g.Line("virtual/1"); ok {
		t.Error("the line is still there")
	}
	if code, _, errs := run(t, t.Context(), socket, "hangup", "virtual/1"); code != exitFailed || !strings.Contains(errs, "no such line") {
		t.Errorf("again: exit %d, %q", code, errs)
	}
}

func TestEventsText(t *testing.T) {
	m := control.Message{Lost: 4, Event: gateway.Event{
		Time: now, Kind: "session-down", Line: "virtual/1", SID: 7, User: "anna", Reason: "padt", Message: evil,
	}}
	got := eventText(&m)
	checkTerminal(t, got, 0)
	want := []string{"(4 events are missing here)\n", "session-down", " line=virtual/1 sid=7 user=anna reason=padt message=\"\\x1b]0;owned"}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in %q", w, got)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("%q is not two lines: what peers say begins no line", got)
	}
}

// Who had which address when can be read from one line each.
func TestEventsOfUsers(t *testing.T) {
	for _, e := range []gateway.Event{
		{Kind: gateway.EventNetworkUp, Line: "shop/1", Uplink: "office", User: "carl", Message: "198.51.100.9"},
		{Kind: gateway.EventNetworkDown, Line: "shop/1", Uplink: "office", User: "carl", Message: "198.51.100.9"},
	} {
		e.Time = now
		got := eventText(&control.Message{Event: e})
		if want := " line=shop/1 uplink=office user=carl message=198.51.100.9\n"; !strings.HasSuffix(got, want) || !strings.Contains(got, e.Kind+" ") {
			t.Errorf("%q does not end with %q", got, want)
		}
	}
}

// firstLineOf tells when a command has printed something.
type firstLineOf struct {
	mu   sync.Mutex
	text bytes.Buffer
	once sync.Once
	done func()
}

func (w *firstLineOf) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.text.Write(p)
	w.once.Do(w.done)
	return n, err
}

func TestFollowUntilInterrupted(t *testing.T) {
	g := newFake()
	g.events <- gateway.Event{Time: now, Kind: "line-up", Line: "virtual/1"}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &firstLineOf{done: interrupt}
	var errs bytes.Buffer
	if code := execute(ctx, testEnv(serve(t, g), out, &errs), []string{"events", "-f"}); code != exitDone || errs.Len() > 0 {
		t.Errorf("interrupted while following: exit %d, %q; want 0 and silence", code, errs.String())
	}
	if !strings.Contains(out.text.String(), "line-up") {
		t.Errorf("printed %q", out.text.String())
	}
}

func TestFollowUntilTheGatewayEnds(t *testing.T) {
	g := newFake()
	g.events <- gateway.Event{Time: now, Kind: "line-up"}
	out := &firstLineOf{done: func() { close(g.events) }}
	var errs bytes.Buffer
	code := execute(t.Context(), testEnv(serve(t, g), out, &errs), []string{"events", "-f", "--json"})
	if code != exitFailed || !strings.Contains(errs.String(), "the gateway has ended") {
		t.Errorf("exit %d, %q: whoever follows is told that there will be no more", code, errs.String())
	}
	var m control.Message
	if err := json.Unmarshal(out.text.Bytes(), &m); err != nil || m.Event.Kind != "line-up" || m.Seq != 1 {
		t.Errorf("--json printed %q", out.text.String())
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "uplinks: [{name: isp, interface: eth1}]\nlines: [{name: a, uplink: isp, tcp: {listen: \":2323\"}}]\n")
	code, out, errs := run(t, t.Context(), "", "check", "-c", good)
	if code != exitDone || !strings.Contains(out, "good.yaml is valid") || !strings.Contains(out, "listens on TCP :2323") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	bad := write("bad.yaml", "uplinks: [{name: isp, interfce: eth1}]\nlines: [{name: a, uplink: isp, tcp: {listen: \"x\"}}]\n")
	code, out, errs = run(t, t.Context(), "", "check", "-c", bad)
	if code != exitUsage || out != "" || strings.Count(errs, "\n") != 3 {
		t.Errorf("exit %d, %q, %q; want 2 and a line for each of three mistakes", code, out, errs)
	}
	for _, line := range strings.Split(strings.TrimSpace(errs), "\n") {
		if !strings.HasPrefix(line, bad+":") {
			t.Errorf("%q does not begin with the file: an editor could not jump there", line)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, errs := run(t, t.Context(), "", "completion", shell); code != exitDone || !strings.Contains(out, "tributary") {
			t.Errorf("%s: exit %d, %q", shell, code, errs)
		}
	}
	_, out, _ := run(t, t.Context(), serve(t, newFake()), cobra.ShellCompRequestCmd, "show", "")
	if !strings.Contains(out, "virtual/1\n") || !strings.Contains(out, "bank/ttyUSB0\n") {
		t.Errorf("completing a line offers %q", out)
	}
}

func TestVersion(t *testing.T) {
	_, out, _ := run(t, t.Context(), "", "version")
	if out != "tributary v1.2.3, commit abc, go1.26 linux/amd64\n" {
		t.Errorf("%q", out)
	}
	_, out, _ = run(t, t.Context(), serve(t, newFake()), "version", "--running")
	if !strings.HasPrefix(out, "tributary v9") || !strings.Contains(out, fmt.Sprintf("process %d since", os.Getpid())) {
		t.Errorf("%q", out)
	}
	if v := thisVersion(); v.Go == "" || v.OS == "" {
		t.Errorf("%+v", v)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, config.Log{Level: "warn", Format: "json"})
	log.Info("quiet")
	log.Warn("loud", "line", "virtual/1")
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || m[slog.MessageKey] != "loud" || m["line"] != "virtual/1" {
		t.Errorf("%q is not the one warning as JSON", out.String())
	}
	out.Reset()
	newLogger(&out, config.Log{Level: "debug", Format: "text"}).Debug("chatty")
	if !strings.Contains(out.String(), "level=DEBUG msg=chatty") {
		t.Errorf("%q", out.String())
	}
}

func TestOctets(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 9999: "9999", 10_000: "10.0k", 99_949: "99.9k", 99_950: "100k", 999_999: "1000k", 9_999_499: "9999k", 9_999_500: "10.0M", 18446744073709551615: "18.4E",
	} {
		if got := octets(n); got != want || len(got) > 5 {
			t.Errorf("octets(%d) = %q, want %q", n, got, want)
		}
	}
}
