package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tributary/internal/gateway"
)

// newUplinksFake has an uplink with one AC that serves and one that is left alone.
func newUplinksFake() *fakeGateway {
	g := newFake()
	g.uplinks = []gateway.UplinkInfo{{
		Name: "isp", Interface: "eth1", Up: true, MAC: "02:00:5e:00:00:02", MTU: 1500, Sessions: 1200, VLANs: []uint16{100, 7},
		Discovery: map[string]uint64{"padi_sent": 4711, "failed_left_alone": 3, "failed_no_offer": 0},
		SetUp: gateway.SetUpInfo{Count: 10, P50: 120 * time.Millisecond, P90: 900 * time.Millisecond, P99: 7 * time.Second, Max: time.Minute,
			Buckets: []gateway.SetUpBucket{{LE: 100 * time.Millisecond}, {LE: 200 * time.Millisecond, Count: 7}, {LE: time.Second, Count: 9}}},
		ACs: []gateway.ACInfo{{
			Name: "bras1", MAC: "02:00:5e:00:00:01", Score: 1, State: "good", Why: "sessions open in 12ms", Priority: 1, Weight: 3,
			Sessions: 1200, Offers: 5000, Opened: 1300, LastSeen: now.Add(-3 * time.Second), Offer: 800 * time.Microsecond,
			SetUp: gateway.SetUpInfo{Count: 1300, P50: 12 * time.Millisecond, P99: 2100 * time.Millisecond},
		}, {
			Name: "bras2" + evil, MAC: "02:00:5e:00:00:03", State: "left alone", Why: `left alone for 40s: 3 refusals in a row, the last "session limit"` + evil,
			Priority: 1, Weight: 1, Offers: 4000, Refusals: 3, Unanswered: 2, Lost: 1, Message: "session limit" + evil, LastSeen: now,
		}, {
			MAC: "02:00:5e:00:00:04", State: "not wanted", Why: "it is none of access_concentrators, or has not the service that is asked for", Offers: 1,
		}},
	}}
	return g
}

func TestUplinksSayWhoIsAskedAndWhy(t *testing.T) {
	code, out, errs := run(t, t.Context(), serve(t, newUplinksFake()), "uplinks")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, 0)
	tables, notes, _ := strings.Cut(out, "\n\nbras1: ")
	checkTerminal(t, tables, tableWidth)
	rows := strings.Split(tables, "\n")
	wantIn(t, rows[1], "isp", "eth1", "100.7", "1200")
	wantIn(t, rows[4], "bras1", "02:00:5e:00:00:01", "good", " 1 ", " 3 ", "1200", "3s")
	wantIn(t, rows[5], "bras2", "02:00:5e:00:00:03", "left alone", " - ")
	wantIn(t, rows[9], "bras1", "5000", "1300", "800us", "12ms", "2.1s")
	wantIn(t, rows[10], "bras2", "4000", " 3 ", " 2 ", " 1")
	wantIn(t, notes, "sessions open in 12ms", `: left alone for 40s: 3 refusals in a row, the last "session limit"`, "02:00:5e:00:00:04: it is none of")
}

func TestOneUplink(t *testing.T) {
	socket := serve(t, newUplinksFake())
	code, out, errs := run(t, t.Context(), socket, "uplinks", "isp")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, errs)
	}
	checkTerminal(t, out, 0)
	wantIn(t, out, "eth1, up", "access concentrator bras1", "1, with weight 3", "failed left alone", "4711", "up to 200ms", "up to 1.0s", "longer", "9 in 10 in", "900ms", "last refusal", "left alone for 40s")
	if strings.Contains(out, "failed no offer") || strings.Contains(out, "up to 100ms") {
		t.Errorf("what never happened is shown:\n%s", out)
	}

	code, out, _ = run(t, t.Context(), socket, "uplinks", "isp", "--json")
	var u gateway.UplinkInfo
	if err := json.Unmarshal([]byte(out), &u); code != exitDone || err != nil || u.SetUp.P90 != 900*time.Millisecond || u.ACs[0].Weight != 3 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	code, out, errs = run(t, t.Context(), socket, "uplinks", "isq")
	if code != exitFailed || out != "" || !strings.Contains(errs, "no such uplink: isq") {
		t.Errorf("of no uplink: exit %d, %q, %q", code, out, errs)
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", 800 * time.Microsecond: "800us", 1500 * time.Microsecond: "1.5ms", 9990 * time.Microsecond: "10.0ms",
		99700 * time.Microsecond: "99ms", 999 * time.Millisecond: "999ms", 61 * time.Second: "61.0s",
	} {
		if got := took(d); got != want {
			t.Errorf("%d ns: %q, want %q", d, got, want)
		}
	}
}
