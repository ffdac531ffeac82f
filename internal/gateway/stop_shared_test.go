package gateway

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/ppp"
)

// At a stop, users go first, and each hears why: the gateway is going down, not
// that the ISP had failed. The sessions that they share are up until the last is gone.
func TestStopEndsUsersFirst(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
	}{{"one session", nil}, {"two sessions, between which users move", twoSessions}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, tt.change)
				const users = 3 * stopBurst // so that some are told later than the first
				var all []*caller
				for i := range users {
					all = append(all, r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland")))
				}
				sub := r.gw.Subscribe(10 * users)
				r.stop()
				time.Sleep(time.Minute)
				synctest.Wait()
				gone := 0
				for events := sub.C(); len(events) > 0; {
					switch e := <-events; e.Kind {
					case EventLineDown:
						if e.User != "alice" {
							continue
						}
						if gone++; e.Reason != ReasonStop {
							t.Errorf("event %+v", e)
						}
					case EventTrunkDown:
						if gone != users {
							t.Errorf("the session was ended when %d of %d users were gone", gone, users)
						}
					case EventMoved:
						t.Errorf("event %+v: in vain", e)
					}
				}
				sub.Close()
				for _, c := range all {
					c.do(func(time.Time) {
						if c.finished == nil || c.finished.Reason != ppp.ReasonPeerTerminated || c.finished.Message != userWords[ReasonStop] {
							t.Errorf("%s hears %+v", c.name, c.finished)
						}
					})
				}
				r.end()
			})
		})
	}
}

// A user who will not be ended does not keep the session of the others up for ever.
func TestStopDoesNotWaitForOneWhoIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		c.do(func(time.Time) { c.link = ppp.NewLink(as("", "")) }) // another PPP, which knows of nothing
		begin := time.Now()
		r.end()
		if d := time.Since(begin); d > stopWait+lastWordsWait+lateWait {
			t.Errorf("the stop took %v", d)
		}
		if n := len(r.isp.sessions); n != 0 {
			t.Errorf("%d sessions are left at the ISP", n)
		}
	})
}
