package gateway

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/ppp"
)

// Whatever users and the ISP do, in whatever order: when all have hung up nothing
// is left.
func TestSharedLeavesNothing(t *testing.T) {
	sequences := 1000
	if testing.Short() {
		sequences = 50
	}
	synctest.Test(t, func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(4, 2026))
		r := newSharedRig(t, func(c *config.Config) {
			twoSessions(c)
			c.Sessions[0].MaxUsers, c.Sessions[1].NAT = 3, true
			c.Pools[0].Prefix = c.Pools[0].Prefix.Masked()
			c.Sessions[0].Redial = config.Redial{Min: time.Second, Max: 4 * time.Second}
			c.Sessions[1].Redial = c.Sessions[0].Redial
			c.Lines[0].Shared.LoginTimeout = 20 * time.Second
		})
		logins := []ppp.LinkConfig{
			as("alice", "wonderland"), as("alice", "wonderland", ppp.AuthPAP), as("alice", "wonderland", ppp.AuthMSCHAPv2),
			as("bob", "builder"), as("carol", "christmas"), as("dave", "diver"), as("eve", "dropper"), as("alice", "wrong"), as("", ""),
		}
		n := 0
		had := holdings{t: t}
		for range sequences {
			var all []*caller
			for range 1 + rnd.IntN(12) {
				switch k := rnd.IntN(12); {
				case k < 5 || len(all) == 0:
					n++
					all = append(all, r.call(fmt.Sprintf("virtual/%d", n), logins[rnd.IntN(len(logins))]))
				case k < 6:
					all[rnd.IntN(len(all))].line.Close()
				case k < 7:
					c := all[rnd.IntN(len(all))]
					c.do(func(now time.Time) { c.link.Close(now) })
				case k < 8:
					c, cfg := all[rnd.IntN(len(all))], logins[rnd.IntN(len(logins))]
					c.do(func(now time.Time) {
						c.link = ppp.NewLink(cfg)
						c.link.Open(now)
						c.link.Up(now)
					})
				case k < 9:
					fall := falls[rnd.IntN(len(falls))].fall
					r.isp.do(func(now time.Time) {
						if s := r.isp.one([]string{"office@isp", "annex@isp"}[rnd.IntN(2)]); s != nil {
							fall(r.isp, s, now)
						}
					})
				case k < 10:
					_ = r.gw.Hangup(fmt.Sprintf("virtual/%d", n))
				case k < 11:
					c := all[rnd.IntN(len(all))]
					c.mu.Lock()
					net := c.network
					c.mu.Unlock()
					if net != nil {
						p := packet{src: net.Local.String(), dst: host}.bytes()
						for range 10 {
							c.write(append([]byte{0, 0x21}, p...))
						}
					}
				default:
					time.Sleep(time.Duration(rnd.IntN(int(10 * time.Second))))
				}
				time.Sleep([]time.Duration{0, 0, time.Millisecond, time.Second}[rnd.IntN(4)])
			}
			for _, c := range all {
				c.line.Close()
			}
			time.Sleep(5 * time.Second)
			r.wantEmpty(fmt.Sprintf("after %d lines", n))
			if t.Failed() {
				break
			}
			r.isp.do(func(time.Time) { r.isp.silent, r.isp.got = false, nil })
			for drained := false; !drained; {
				select {
				case e := <-r.sub.C():
					had.see(e)
				default:
					drained = true
				}
			}
			had.wantNone("after all have hung up")
		}
		t.Logf("%d lines, %d sessions with the ISP", n, len(r.isp.dialled()))
		r.end()
	})
}

// Users come and go, and are hung up and moved, while packets run both ways.
func TestSharedUnderTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			twoSessions(c)
			c.Lines[0].Shared.UserToUser = config.UserToUserLocal
		})
		var stop atomic.Bool
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(1, uint64(i)))
				for k := 0; !stop.Load(); k++ {
					c := r.dialIn(fmt.Sprintf("virtual/%d/%d", i, k), as("alice", "wonderland"))
					for range 40 {
						time.Sleep(time.Duration(rnd.IntN(int(20 * time.Millisecond))))
						c.mu.Lock()
						net := c.network
						c.mu.Unlock()
						if net == nil {
							continue
						}
						for range 5 {
							dst := fmt.Sprintf("198.51.100.%d", 1+rnd.IntN(20))
							c.write(append([]byte{0, 0x21}, packet{src: net.Local.String(), dst: dst}.bytes()...))
							c.write(append([]byte{0, 0x21}, packet{src: net.Local.String(), dst: host}.bytes()...))
						}
						if rnd.IntN(10) == 0 {
							c.do(func(now time.Time) {
								c.link = ppp.NewLink(as("alice", "wonderland"))
								c.link.Open(now)
								c.link.Up(now)
							})
						}
					}
					c.line.Close()
				}
			})
		}
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(2, 2))
			for !stop.Load() {
				time.Sleep(time.Millisecond)
				r.isp.mu.Lock()
				r.isp.got = nil
				for _, s := range r.isp.sessions {
					if s.up {
						for range 5 {
							p := packet{src: host, dst: fmt.Sprintf("198.51.100.%d", 1+rnd.IntN(20))}.bytes()
							r.isp.send(s.peer, ether.TypeSession, sessionPacket(s.sid, append([]byte{0, 0x21}, p...)))
						}
					}
					if rnd.IntN(500) == 0 {
						s.link.Close(time.Now())
						s.drain(time.Now())
						r.isp.schedule(time.Now())
					}
				}
				r.isp.mu.Unlock()
			}
		})
		time.Sleep(10 * time.Second)
		stop.Store(true)
		wg.Wait()
		time.Sleep(5 * time.Second)
		r.wantEmpty("all have hung up")
		r.end()
	})
}
