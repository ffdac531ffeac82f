package pppoe

import (
	"testing"
	"time"
)

// A PADI that waits for leave at its owner's has asked nobody: neither the next one
// nor the end of the search is due before it has gone out, and its waits count from then.
func TestClientHoldStopsTheClock(t *testing.T) {
	v := newTalk(t, ClientConfig{Timeout: 20 * sec})
	v.wantPADI("begins", 0)
	v.to(1 * sec)
	v.wantPADI("nobody has answered", 1*sec)
	v.c.Hold(v.now)
	if d := v.c.Deadline(); !d.IsZero() {
		t.Errorf("held, with a timer at %v", d.Sub(start))
	}
	v.to(300 * sec)
	v.wantQuiet("a held client neither repeats nor gives up")
	v.c.Hold(v.now) // once more is the same hold
	v.to(301 * sec)
	v.c.Release(v.now)
	v.c.Release(v.now)
	for _, at := range []time.Duration{303, 307, 315} {
		v.to(at * sec)
		v.wantPADI("the waits count from the release", at*sec)
	}
	v.to(320 * sec)
	v.wantEvent("1 s before the hold, 19 s after it", ClientFailed{Reason: FailNoOffer})
}

// An answer to an earlier PADI may come while the next one waits.
func TestClientHoldEndsWithAnOffer(t *testing.T) {
	v := newTalk(t, ClientConfig{Timeout: 20 * sec, OfferWait: sec / 10})
	v.wantPADI("begins", 0)
	v.to(1 * sec)
	v.wantPADI("nobody has answered", 1*sec)
	v.c.Hold(v.now)
	v.to(100 * sec)
	v.offer(macA, "ac-a")
	v.wantQuiet("others have their chance, as ever")
	v.to(100*sec + sec/10)
	v.wantPADR("the slow AC is asked", macA)
	v.to(101*sec + sec/10)
	v.wantPADR("the clock goes on with the PADR", macA)
	v.to(103*sec + sec/10)
	v.wantPADR("and again", macA)
	v.c.Release(v.now)
	v.to(107*sec + sec/10)
	v.wantEvent("nothing came of it", ClientUnanswered{AC: macA, ACName: "ac-a"})
	v.wantPADI("so it begins anew", 107*sec+sec/10)
	v.c.Hold(v.now)
	v.c.Close(v.now, "")
	v.wantState("a late PADS would be ended", ClientLingering)
}

func TestClientHoldOnlyWhileSoliciting(t *testing.T) {
	c := NewClient(ClientConfig{Timeout: sec})
	c.Hold(start)
	c.Start(start)
	c.Tick(start.Add(sec))
	if c.State() != ClientDown {
		t.Error("a hold before the start counts")
	}
	v := opened(t, ClientConfig{})
	v.c.Hold(v.now)
	if v.c.held() {
		t.Error("an open session is held")
	}
}
