package gateway

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tributary/pppoe"
)

// Whatever searches do, in whatever order: of an AC that is left alone only one at a
// time may ask, no pause is out of its bounds, a success ends it, no more ACs are
// remembered than may be, and none of those with sessions is forgotten.
func TestTableWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := newACTable(configOf(rapid.IntRange(0, 3).Draw(t, "failures")))
		now := healthStart
		var searches []searcher
		open := map[pppoe.MAC]int{}
		asks := map[pppoe.MAC]map[uint64]time.Time{} // who may ask an AC that is left alone, since when
		search := func() searcher {
			if len(searches) == 0 || rapid.Bool().Draw(t, "new search") {
				searches = append(searches, v.begin(fmt.Sprint("line", rapid.IntRange(0, 5).Draw(t, "line"))))
			}
			return searches[rapid.IntRange(0, len(searches)-1).Draw(t, "search")]
		}
		ac := func() pppoe.MAC { return acAt(rapid.IntRange(0, 3).Draw(t, "AC")) }
		gone := func(mac pppoe.MAC, id uint64) { delete(asks[mac], id) }

		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			},
			"offer": func(t *rapid.T) {
				who, mac := search(), ac()
				before := v.acs[mac]
				left := before != nil && before.health.leftAlone() && v.policy.Failures > 0
				rank := v.rank(now, who, pppoe.Offer{AC: mac}, 0, rapid.Bool().Draw(t, "busy"))
				if rank.Leave && !left {
					t.Fatalf("%v is not left alone, and is not to be asked", mac)
				}
				if !left || rank.Leave {
					return
				}
				if now.Before(before.health.until) {
					t.Fatalf("%v is left alone until %v, and may be asked at %v", mac, before.health.until, now)
				}
				for id, since := range asks[mac] {
					if id != who.id && now.Sub(since) < probeTime {
						t.Fatalf("searches %d and %d may ask %v at once", id, who.id, mac)
					}
				}
				if since, ok := asks[mac][who.id]; !ok || now.Sub(since) >= probeTime {
					asks[mac] = map[uint64]time.Time{who.id: now}
				}
			},
			"PADR": func(t *rapid.T) {
				who, mac := search(), ac()
				v.asked(who, mac)
				for other := range asks {
					if other != mac {
						gone(other, who.id)
					}
				}
			},
			"refused": func(t *rapid.T) {
				who, mac := search(), ac()
				v.refused(now, who, pppoe.ClientRefused{AC: mac, Message: "no"}, false)
				gone(mac, who.id)
			},
			"no answer": func(t *rapid.T) {
				who, mac := search(), ac()
				v.missed(now, who, mac)
				gone(mac, who.id)
			},
			"PADS": func(t *rapid.T) {
				who, mac := search(), ac()
				back := v.granted(now, who, pppoe.Session{AC: mac}, time.Second, time.Second)
				open[mac]++
				if r := v.acs[mac]; back && r.health.leftAlone() || !back && r.health.leftAlone() && r.health.stage == stageDiscovery {
					t.Fatalf("%v gave a session, and is left alone for refusals", mac)
				}
				if back {
					delete(asks, mac)
				}
			},
			"LCP": func(t *rapid.T) {
				mac := ac()
				if v.proved(mac) {
					delete(asks, mac)
				}
			},
			"session ends": func(t *rapid.T) {
				who, mac := search(), ac()
				if open[mac] == 0 {
					return
				}
				open[mac]--
				v.closed(now, who, mac, rapid.Bool().Draw(t, "dead"))
				gone(mac, who.id)
			},
			"search ends": func(t *rapid.T) {
				who := search()
				v.over(who)
				for mac := range asks {
					gone(mac, who.id)
				}
			},
			"flood": func(t *rapid.T) {
				for i := range maxACs {
					v.offered(now, pppoe.Offer{AC: acAt(1000 + i)}, 0)
				}
			},
			"": func(t *rapid.T) {
				if len(v.acs) > maxACs {
					t.Fatalf("%d ACs", len(v.acs))
				}
				for mac, n := range open {
					if r := v.acs[mac]; n > 0 && (r == nil || r.sessions != n) {
						t.Fatalf("%v has %d sessions, and the table says %+v", mac, n, r)
					}
				}
				for mac, r := range v.acs {
					if h := r.health; h.leftAlone() && (h.pause < v.policy.Min || h.pause > v.policy.Max || h.until.Sub(now) > v.policy.Max) {
						t.Fatalf("%v has a pause of %v until %v", mac, h.pause, h.until)
					}
					if why := r.health.why(now, v.policy); r.health.leftAlone() && why == "" {
						t.Fatalf("%v is left alone without a reason", mac)
					}
				}
				infos, _ := v.info(now)
				for _, i := range infos {
					if (i.Score == 0) != (i.State == stateNotWanted || i.State == standsLeft.String()) {
						t.Fatalf("score %d of one that is %s", i.Score, i.State)
					}
				}
			},
		})
	})
}
