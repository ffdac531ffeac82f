package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// cable is an Ethernet in memory; each interface that a command opens on it is
// one more host.
type cable struct {
	hub  *ether.Hub
	next byte
}

func (c *cable) env(stdout, stderr io.Writer) *env {
	e := testEnv("", stdout, stderr)
	c.next++
	mac := pppoe.MAC{2, 0, 0, 0, 0, c.next}
	e.openEther = func(name string, pool *frame.Pool) (ether.Port, error) {
		if name == "none" {
			return nil, &ether.InterfaceError{Interface: name, Op: "open", Err: os.ErrNotExist}
		}
		return c.hub.Port(name, mac, pool), nil
	}
	return e
}

func (c *cable) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), c.env(&out, &errs), args)
	return code, out.String(), errs.String()
}

// ac runs an access concentrator until stop, which gives what it printed.
func (c *cable) ac(t *testing.T, args ...string) (stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, errs := watchFor("access concentrator"), new(bytes.Buffer)
	e := c.env(out, errs)
	code := make(chan int, 1)
	go func() { code <- execute(ctx, e, append([]string{"ac", "-i", "eth1"}, args...)) }()
	select {
	case <-out.seen:
	case n := <-code:
		t.Fatalf("ac %v: exit %d, %s", args, n, errs)
	}
	return func() string {
		cancel()
		if n := <-code; n != exitDone || errs.Len() > 0 {
			t.Errorf("ac: exit %d, %s", n, errs)
		}
		return out.String()
	}
}

func TestDiscover(t *testing.T) {
	c := &cable{hub: ether.NewHub()}
	code, out, errs := c.run(t, "discover", "-i", "eth0", "--wait", "50ms", "--count", "1")
	if code != exitFailed || out != "" || !strings.Contains(errs, "no access concentrator answered on eth0") {
		t.Errorf("on an empty cable: exit %d, %s%s", code, out, errs)
	}
	stopA := c.ac(t, "--name", "bras1", "--service", "internet", "--max-payload", "1500")
	stopB := c.ac(t, "--name", "bras2")
	defer stopA()
	defer stopB()
	code, out, errs = c.run(t, "discover", "-i", "eth0", "--wait", "500ms", "--count", "2")
	if code != exitDone || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for _, want := range []string{"NAME  ", "bras1 ", "bras2 ", "internet", " 1500  ", " 1492  ", "24, new", "echoed", " 2/2  "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	code, out, _ = c.run(t, "discover", "-i", "eth0", "--wait", "500ms", "--count", "1", "--service", "internet", "--json")
	var answers []answerInfo
	if err := json.Unmarshal([]byte(out), &answers); code != exitDone || err != nil || len(answers) != 2 || answers[0].MAC == answers[1].MAC || answers[0].AfterNS <= 0 ||
		answers[0].Answered != 1 || answers[0].CookieLength != 24 || answers[0].CookieChanges != nil || len(answers[0].Tags) < 4 {
		t.Errorf("exit %d, %v, %s", code, err, out)
	}
	for _, flags := range []string{"--count=0", "--wait=0s", "--host-uniq=0x123"} {
		if code, _, errs = c.run(t, "discover", "-i", "eth0", flags); code != exitUsage {
			t.Errorf("%s: exit %d, %s", flags, code, errs)
		}
	}
	code, out, _ = c.run(t, "discover", "-i", "eth0", "--wait", "50ms", "--count", "1", "--vlan", "7", "--json")
	if code != exitFailed || strings.TrimSpace(out) != "[]" {
		t.Errorf("on a VLAN where nobody is: exit %d, %s", code, out)
	}
	if code, _, errs = c.run(t, "discover", "-i", "none"); code != exitFailed || !strings.Contains(errs, "none: open") {
		t.Errorf("an interface that is not there: exit %d, %s", code, errs)
	}
}

func TestACAndDial(t *testing.T) {
	users := t.TempDir() + "/secrets"
	if err := os.WriteFile(users, []byte("# client server secret addresses\njoe * \"open sesame\" 203.0.113.7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	password := t.TempDir() + "/password"
	if err := os.WriteFile(password, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cable{hub: ether.NewHub()}
	stop := c.ac(t, "--users", users, "--user", "ann:xyzzy", "--auth", "pap", "--vlan", "100.7", "--max-payload", "1500", "--dns", "192.0.2.53", "--echo", "0s")
	code, out, errs := c.run(t, "dial", "pppoe:eth0", "--vlan", "100.7", "--max-payload", "1500", "--user", "joe", "--password-file", password,
		"--ping", "198.51.100.1", "--interval", "0s", "--for", "1ms", "--json")
	if code != exitDone || errs != "" {
		t.Fatalf("exit %d, %s%s", code, errs, out)
	}
	var r dialReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Address != "203.0.113.7" || r.Peer != "10.64.0.1" || fmt.Sprint(r.DNS) != "[192.0.2.53]" || r.MTU != 1500 ||
		r.Ping == nil || r.Ping.Received != 4 || r.Ping.MaxNS <= 0 || !strings.HasPrefix(r.Auth, "pap") || r.Error != "" {
		t.Errorf("joe's report: %s", out)
	}
	code, out, _ = c.run(t, "dial", "pppoe:eth0", "--vlan", "100.7", "--user", "ann", "--password", "no", "--json")
	if json.Unmarshal([]byte(out), &r) != nil || code != exitFailed || !strings.Contains(r.Error, `refused user "ann"`) {
		t.Errorf("ann's report: exit %d, %s", code, out)
	}
	code, _, errs = c.run(t, "dial", "pppoe:eth0", "--user", "ann", "--timeout", "100ms")
	if code != exitFailed || !strings.Contains(errs, "no access concentrator answered") {
		t.Errorf("on the wrong VLAN: exit %d, %s", code, errs)
	}
	code, out, errs = c.run(t, "dial", "pppoe:eth0", "--vlan", "100.7", "--user", "ann", "--password", "xyzzy", "--get", "http://198.51.100.1/nothing")
	if code != exitFailed || !strings.Contains(errs, "404 Not Found") || !strings.Contains(out, "done      hung up") {
		t.Errorf("a page that is not there: exit %d, %s%s", code, out, errs)
	}
	text := stop()
	for _, want := range []string{"network       mac=02:00:00:00:00:02", "user=joe address=203.0.113.7", "refused ", "3 sessions were opened:", "1 users refused"} {
		if !strings.Contains(text, want) {
			t.Errorf("the access concentrator did not say %q:\n%s", want, text)
		}
	}
}

// An access concentrator that asks for MS-CHAPv2, and has prefixes behind a user.
func TestACRoutes(t *testing.T) {
	c := &cable{hub: ether.NewHub()}
	stop := c.ac(t, "--auth", "ms-chapv2", "--user", "a=b:secret", "--route", "a=b=198.18.0.0/16", "--route", "a=b=203.0.113.0/24")
	code, out, errs := c.run(t, "dial", "pppoe:eth0", "--user", "a=b", "--password", "secret", "--ping", "198.51.100.1", "--count", "1")
	if code != exitDone || errs != "" || !strings.Contains(out, `ms-chapv2 as "a=b": Welcome to the Tributary lab`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	code, _, errs = c.run(t, "dial", "pppoe:eth0", "--user", "a=b", "--password", "guess")
	if code != exitFailed || !strings.Contains(errs, `refused user "a=b"`) {
		t.Errorf("a wrong password: exit %d, %s", code, errs)
	}
	if text := stop(); !strings.Contains(text, "route=198.18.0.0/16 route=203.0.113.0/24") {
		t.Errorf("no routes are told of:\n%s", text)
	}
}

// A link that the other side ends is a failure for who wanted to stay.
func TestDialIsHungUp(t *testing.T) {
	c := &cable{hub: ether.NewHub()}
	stop := c.ac(t)
	out := watchFor("network ")
	var errs bytes.Buffer
	e := c.env(out, &errs)
	code := make(chan int, 1)
	go func() {
		code <- execute(t.Context(), e, []string{"dial", "pppoe:eth0", "-u", "u1", "--password", "p1"})
	}()
	<-out.seen
	stop()
	if n := <-code; n != exitFailed || !strings.Contains(errs.String(), "the peer ended the link") {
		t.Errorf("exit %d, %s", n, errs.String())
	}
}

func TestDialNobody(t *testing.T) {
	code, _, errs := run(t, t.Context(), "", "dial", "tcp:127.0.0.1:1")
	if code != exitFailed || !strings.Contains(errs, "connection refused") {
		t.Errorf("exit %d, %s", code, errs)
	}
	code, _, errs = run(t, t.Context(), "", "dial", "nonsense")
	if code != exitFailed || !strings.Contains(errs, "tcp:HOST:PORT") {
		t.Errorf("exit %d, %s", code, errs)
	}
}
