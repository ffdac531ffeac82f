package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"tributary/internal/gateway"
)

func wantIn(t *testing.T, out string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestSessions(t *testing.T) {
	socket := serve(t, newFake())
	code, out, errs := run(t, t.Context(), socket, "sessions")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, tableWidth)
	rows := strings.Split(out, "\n")
	wantIn(t, rows[1], "office", "isp", "up", "815", "203.0.113.10", "3/126", "1h00m")
	wantIn(t, rows[2], "spare", "waiting", "18s")
	wantIn(t, rows[5], "spare: dialled in 12s; auth-failed: account unpaid")
	wantIn(t, rows[3], "old", "not-used")
	if strings.Contains(rows[1], "maintenance") {
		t.Errorf("a session that is up does not say why it was down:\n%s", rows[1])
	}

	_, out, _ = run(t, t.Context(), socket, "sessions", "office")
	checkTerminal(t, out, 0)
	wantIn(t, out, "up for 1h00m", "3 times", "1h01m ago, ac-padt: maintenance", "bras1 02:00:5e:00:00:01", "1492", "3/126",
		"blocks of ports free  123 of 126", "(TCP 30, UDP 7, ICMP 1)", "2 of these are kept", "log lines lost        5", "no-mapping", "no user")
	if strings.Contains(out, "too big") {
		t.Errorf("what never happened is shown:\n%s", out)
	}

	_, out, _ = run(t, t.Context(), socket, "sessions", "session/old") // as it is called among lines
	wantIn(t, out, "not-used", "never")

	code, out, errs = run(t, t.Context(), socket, "sessions", "none")
	if code != exitFailed || out != "" || !strings.Contains(errs, "no such session: none") || !strings.Contains(errs, "tributary sessions") {
		t.Errorf("of no session: exit %d, %q, %q", code, out, errs)
	}
}

// A session that is down has no line, and is shown all the same.
func TestShowSessionThatIsDown(t *testing.T) {
	socket := serve(t, newFake())
	code, out, errs := run(t, t.Context(), socket, "show", "session/spare")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, 0)
	wantIn(t, out, "waiting for 18s", "dialled again in", "12s", "9 times", "auth-failed: account unpaid")
	code, out, _ = run(t, t.Context(), socket, "show", "session/spare", "--json")
	var info gateway.SessionInfo
	if err := json.Unmarshal([]byte(out), &info); code != exitDone || err != nil || info.State != gateway.SessionWaiting || info.NextDial.IsZero() {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if code, _, errs = run(t, t.Context(), socket, "show", "session/none"); code != exitFailed || !strings.Contains(errs, "no such session") {
		t.Errorf("of no session: exit %d, %q", code, errs)
	}
	_, out, _ = run(t, t.Context(), socket, cobra.ShellCompRequestCmd, "show", "")
	wantIn(t, out, "session/spare\n", "virtual/1\n")
	_, out, _ = run(t, t.Context(), socket, cobra.ShellCompRequestCmd, "sessions", "")
	wantIn(t, out, "office\n", "spare\n")
	if _, out, _ = run(t, t.Context(), socket, cobra.ShellCompRequestCmd, "hangup", ""); strings.Contains(out, "session/spare") {
		t.Errorf("what is down is offered to be hung up:\n%s", out)
	}
}

func TestLinesOfModeShared(t *testing.T) {
	g := newFake()
	socket := serve(t, g)
	_, out, _ := run(t, t.Context(), socket, "lines")
	checkTerminal(t, out, tableWidth)
	wantIn(t, out, "SESSION", "office", "carl", "198.51.100.9", "\n\nvirtual/2: ", "\nshop/2: no session with the ISP is up\n",
		"2001:db8:0:7", "\nshop/3: no session with the ISP has IPv4\n")
	_, out, _ = run(t, t.Context(), socket, "show", "shop/1")
	wantIn(t, out, "shares session", "office")
	_, out, _ = run(t, t.Context(), socket, "show", "shop/2")
	wantIn(t, out, "no session with the ISP is up")

	g.mu.Lock()
	waits := g.lines[4]
	for range 4 {
		g.lines = append(g.lines, waits)
	}
	g.mu.Unlock()
	_, out, _ = run(t, t.Context(), socket, "lines")
	wantIn(t, out, "\nshop/2, shop/2, shop/2 and 2 more: no session with the ISP is up\n") // once for all
	g.mu.Lock()
	g.lines = g.lines[:2]
	g.mu.Unlock()
	if _, out, _ = run(t, t.Context(), socket, "lines"); strings.Count(out, "\n") != 3 {
		t.Errorf("there is nothing to say of these:\n%s", out)
	}
}

func TestPools(t *testing.T) {
	code, out, errs := run(t, t.Context(), serve(t, newFake()), "pools")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, tableWidth)
	rows := strings.Split(out, "\n")
	wantIn(t, rows[1], "customers", "198.51.100.0/24", "253", "250", "98%")
	wantIn(t, rows[2], "customers", "no prefix", "office")
	wantIn(t, rows[3], "guests", "10.0.0.0/16", "65534", "1%")
	wantIn(t, rows[4], "guests", "2001:db8::/56", "255", "100%")
}
