package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/internal/config"
	"tributary/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLines(t *testing.T) {
	g := newFake()
	_, c := serve(t, g)
	ctx := t.Context()

	lines, err := c.Lines(ctx)
	if err != nil || len(lines) != 2 {
		t.Fatalf("Lines gives %v, %v; want both lines", lines, err)
	}
	for name := range g.lines {
		got, err := c.Line(ctx, name)
		if err != nil || got.Name != name {
			t.Errorf("Line(%q) gives %q, %v: a name comes back as it went, whatever is in it", name, got.Name, err)
		}
	}
	if l, _ := c.Line(ctx, "virtual/1"); l.SessionID != 7 || l.User != "anna@isp.example" || l.SetUp != g.lines["virtual/1"].SetUp {
		t.Errorf("Line gives %+v, not what the gateway said", l)
	}
	for _, name := range []string{"virtual/2", "virtual", "", "/", "virtual/", "/1", "virtual/1/hangup", "../lines", "virtual/.."} {
		if _, err := c.Line(ctx, name); err == nil {
			t.Errorf("Line(%q) gives a line that is not there", name)
		}
	}
	if _, err := c.Line(ctx, "virtual/2"); !errors.Is(err, gateway.ErrNoLine) {
		t.Errorf("Line of none gives %v, want gateway.ErrNoLine", err)
	}
}

func TestHangup(t *testing.T) {
	g := newFake()
	_, c := serve(t, g)
	ctx := t.Context()

	if err := c.Hangup(ctx, "bank/tty USB#0?"); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	if _, ok := g.Line("bank/tty USB#0?"); ok {
		t.Error("after Hangup, the line is still there")
	}
	if err := c.Hangup(ctx, "bank/tty USB#0?"); !errors.Is(err, gateway.ErrNoLine) {
		t.Errorf("Hangup of a line that is gone gives %v, want gateway.ErrNoLine", err)
	}
	g.mu.Lock()
	g.broken = errors.New("the tty is on fire")
	g.mu.Unlock()
	if err := c.Hangup(ctx, "virtual/1"); err == nil || !strings.Contains(err.Error(), "on fire") {
		t.Errorf("Hangup gives %v, want the gateway's own words", err)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	_, c := serve(t, newFake())
	for _, path := range []string{"/v1/uplinks", "/v1/sessions"} {
		body, err := c.do(t.Context(), http.MethodGet, path)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(body); strings.TrimSpace(string(text)) != "[]" {
			t.Errorf("%s: none are %q, want []: scripts go over it", path, text)
		}
		body.Close()
	}
}

func TestSessionsAndPools(t *testing.T) {
	g := newFake()
	failed := &gateway.SessionFailure{Time: time.Unix(7, 0).UTC(), Reason: gateway.ReasonAuthFailed, Message: "account unpaid"}
	g.sessions = []gateway.SessionInfo{{Name: "office", State: gateway.SessionUp, Users: 3}, {Name: "spare", State: gateway.SessionWaiting, Failure: failed}}
	_, c := serve(t, g)
	ctx := t.Context()
	if all, err := c.Sessions(ctx); err != nil || len(all) != 2 || all[0].Name != "office" {
		t.Errorf("Sessions gives %+v, %v", all, err)
	}
	if s, err := c.Session(ctx, "spare"); err != nil || s.State != gateway.SessionWaiting || *s.Failure != *failed || !s.NextDial.IsZero() {
		t.Errorf("Session gives %+v, %v", s, err)
	}
	for _, name := range []string{"none", "", "..", "office/x", "session/office"} {
		if s, err := c.Session(ctx, name); err == nil {
			t.Errorf("Session(%q) gives %+v", name, s)
		}
	}
	if _, err := c.Session(ctx, "none"); !errors.Is(err, ErrNoSession) {
		t.Errorf("Session of none gives %v, want ErrNoSession", err)
	}
	if pools, err := c.Pools(ctx); err != nil || len(pools) != 1 || pools[0].Taken != 7 || pools[0].IPv6 != nil {
		t.Errorf("Pools gives %+v, %v", pools, err)
	}
}

func TestReload(t *testing.T) {
	g := newFake()
	_, c := serve(t, g)
	ctx := t.Context()
	g.reloaded = Reload{Users: gateway.UsersReload{Files: 1, Users: 5, Added: 2}, Restart: []string{"pools"}}
	if r, err := c.Reload(ctx); err != nil || r.Users != g.reloaded.Users || len(r.Restart) != 1 || r.Config == nil {
		t.Errorf("Reload gives %+v, %v", r, err)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{config.Errors{{File: "/u.yaml", Line: 2, Column: 5, Message: "a user has no key \"nam\""}, {File: "/u.yaml", Line: 9, Column: 1, Message: "x"}},
			"/u.yaml:2:5: a user has no key \"nam\"\n/u.yaml:9:1: x"},
		{fmt.Errorf("lines bank: %w", config.Errors{{File: "/u.yaml", Message: "empty"}}), "/u.yaml: empty"},
		{errors.New("/office.secret is not a regular file"), "/office.secret is not a regular file"},
	} {
		g.reloadErr = tt.err
		_, err := c.Reload(ctx)
		var mistakes FileErrors
		if !errors.As(err, &mistakes) || err.Error() != tt.want {
			t.Errorf("Reload gives %v, want the mistakes:\n%s", err, tt.want)
		}
	}
	g.reloadErr = ErrNoReload
	if _, err := c.Reload(ctx); err == nil || err.Error() != ErrNoReload.Error() {
		t.Errorf("Reload of a gateway without files gives %v", err)
	}
}

func TestOpenAPIDescribesEveryRoute(t *testing.T) {
	_, c := serve(t, newFake())
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]json.RawMessage
			}
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := c.get(t.Context(), "/openapi.json", &doc); err != nil {
		t.Fatal(err)
	}
	for path, method := range map[string]string{
		"/v1/version": "get", "/v1/lines": "get", "/v1/lines/{group}/{line}": "get",
		"/v1/lines/{group}/{line}/hangup": "post", "/v1/uplinks": "get", "/v1/events": "get",
		"/v1/sessions": "get", "/v1/sessions/{name}": "get", "/v1/pools": "get", "/v1/reload": "post",
	} {
		if _, ok := doc.Paths[path][method]; !ok {
			t.Errorf("%s %s is not described", method, path)
		}
	}
	if _, ok := doc.Paths["/v1/events"]["get"].Responses["200"].Content[ndjson]; !ok {
		t.Errorf("the stream of events is not described as %s", ndjson)
	}
	for _, schema := range []string{"LineInfo", "UplinkInfo", "SessionInfo", "PoolInfo", "Reload", "Message", "Event", "Version"} {
		if doc.Components.Schemas[schema] == nil {
			t.Errorf("there is no schema of %s", schema)
		}
	}
}

func TestBadRequests(t *testing.T) {
	_, c := serve(t, newFake())
	for _, path := range []string{"/v1/events?last=-1", "/v1/events?last=x", "/v1/events?follow=perhaps", "/v1/nothing", "/"} {
		if body, err := c.do(t.Context(), http.MethodGet, path); err == nil {
			body.Close()
			t.Errorf("GET %s is answered as if it meant something", path)
		}
	}
	// Half a request, and then nothing: Close does not wait for the rest.
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/lines HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
}

// collect reads n messages and then stops.
func collect(ctx context.Context, c *Client, q EventsQuery, n int) (got []Message, err error) {
	errEnough := errors.New("enough")
	err = c.Events(ctx, q, func(m Message) error {
		got = append(got, m)
		if len(got) == n {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return got, err
}

func TestEventsPastAndPresent(t *testing.T) {
	g := newFake()
	s, c := serve(t, g)
	g.emit("one")
	g.emit("two")
	g.emit("three")
	waitFor(t, s, 3)

	got, err := collect(t.Context(), c, EventsQuery{Last: MaxLast}, -1)
	if err != nil || len(got) != 3 || got[0].Event.Kind != "one" || got[2].Seq != 3 {
		t.Fatalf("without follow: %+v, %v; want the three events, and the end", got, err)
	}
	got, err = collect(t.Context(), c, EventsQuery{Last: 1}, -1)
	if err != nil || len(got) != 1 || got[0].Event.Kind != "three" || got[0].Lost != 0 {
		t.Fatalf("the last one: %+v, %v; want three, and nothing counted as lost", got, err)
	}

	// A follower sees what comes after it has read what was.
	var kinds []string
	errEnd := errors.New("end")
	err = c.Events(t.Context(), EventsQuery{Last: 1, Follow: true}, func(m Message) error {
		kinds = append(kinds, m.Event.Kind)
		switch m.Event.Kind {
		case "three":
			g.emit("four")
		case "four":
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) || strings.Join(kinds, " ") != "three four" {
		t.Errorf("following gives %v, %v", kinds, err)
	}
}

// A gateway that ends closes its subscriptions: whoever follows is told so.
func TestEventsEndWithTheGateway(t *testing.T) {
	g := newFake()
	_, c := serve(t, g)
	g.emit("last words")
	err := c.Events(t.Context(), EventsQuery{Last: MaxLast, Follow: true}, func(Message) error {
		g.sub.Close()
		return nil
	})
	if err != nil {
		t.Errorf("the end of the gateway gives %v, want the end of the stream", err)
	}
}

// The gateway emits more than is kept, while nobody reads a stream that is open.
func TestDeadReaderHoldsNobody(t *testing.T) {
	g := newFake()
	s, c := serve(t, g)
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(newReader(conn), nil) // it is heard
	if err != nil {
		t.Fatal(err)
	}
	const flood = 20_000
	long := strings.Repeat("x", 1000) // 20 MB: no socket buffer takes that
	for range flood {
		s.history.add(gateway.Event{Kind: "flood", Message: long}, 0)
	}

	// Others are served, and find the newest.
	got, err := collect(t.Context(), c, EventsQuery{Last: 1}, -1)
	if err != nil || len(got) != 1 || got[0].Seq != flood {
		t.Fatalf("beside a dead reader: %d events, %v", len(got), err)
	}
	// The one that stood still reads on, and finds out what it missed.
	var next, lost uint64
	for d := json.NewDecoder(resp.Body); next < flood; {
		var m Message
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Seq != next+1+m.Lost {
			t.Fatalf("after %d comes %d, with %d lost: each is either shown or counted", next, m.Seq, m.Lost)
		}
		next, lost = m.Seq, lost+m.Lost
	}
	if lost == 0 {
		t.Error("a reader that stood still for 20,000 events lost none: the test proves nothing")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	_, c := serve(t, newFake())
	ctx := t.Context()
	for range maxStreams {
		body, err := c.do(ctx, http.MethodGet, "/v1/events?follow=true")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
	}
	if _, err := c.do(ctx, http.MethodGet, "/v1/events"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("one reader too many gives %v", err)
	}
	if _, err := c.Lines(ctx); err != nil {
		t.Errorf("beside all those, Lines gives %v", err)
	}
}

// What the gateway itself dropped on the way to the history counts as lost.
func TestLostBeforeTheHistory(t *testing.T) {
	h := newHistory()
	h.add(gateway.Event{Kind: "a"}, 0)
	h.add(gateway.Event{Kind: "b"}, 5)
	pos, _ := h.last(MaxLast)
	got, _, _ := h.read(make([]Message, 0, 8), pos)
	if len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 7 {
		t.Errorf("got %+v, want the numbers 1 and 7: five are missing between", got)
	}
}
