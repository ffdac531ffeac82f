package nat

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tributary/internal/ip"
)

// Whatever logins come and go, in the log every block is somebody's and then nobody's;
// it changes its subscriber before it has rested only for one who has none; no
// subscriber keeps more than his logins may have at once; and nobody whom there was
// room for is without ports.
func TestPool(t *testing.T) {
	const perUser, blocks = 2, 6
	rapid.Check(t, func(rt *rapid.T) {
		filtering := Filtering(rapid.IntRange(0, 2).Draw(rt, "filtering"))
		r := newRig(t, Config{FirstPort: 2048, LastPort: 2048 + 16*blocks - 1, BlockSize: 16, BlocksPerUser: perUser, Filtering: filtering})
		r.nat.Leave(r.now, alice)
		r.nat.Leave(r.now, bob)

		type held struct {
			by, login uint32 // subscriber, and login while it is one's
			until     time.Duration
		}
		subscriber := map[uint32]uint32{} // of each login
		logins, most := map[uint32]int{}, map[uint32]int{}
		is := map[uint16]held{}
		read := func() {
			for _, b := range r.blocks {
				now, who := is[b.First], subscriber[b.User]
				if b.Released {
					if now.login != b.User {
						rt.Fatalf("block %d is released by %d, and %d has it", b.First, b.User, now.login)
					}
					is[b.First] = held{by: who, until: r.now + 120*time.Second}
					continue
				}
				first := true
				for _, h := range is {
					first = first && h.login != b.User
				}
				switch {
				case now.login != 0:
					rt.Fatalf("block %d is given to %d, and %d has it", b.First, b.User, now.login)
				case now.by != 0 && now.by != who && r.now < now.until && (!first || filtering == EndpointIndependent):
					rt.Fatalf("block %d was subscriber %d's until not long ago, and is %d's", b.First, now.by, who)
				}
				is[b.First] = held{by: who, login: b.User}
			}
			r.blocks = nil
			count := map[uint32]int{}
			for _, h := range is {
				if h.login != 0 || r.now < h.until {
					count[h.by]++
				}
			}
			for who, n := range count {
				if n > perUser*most[who] {
					rt.Fatalf("%d blocks are kept for subscriber %d, who had %d logins at most", n, who, most[who])
				}
			}
			r.checkPool()
		}
		var here []uint32
		next := uint32(0)
		rt.Repeat(map[string]func(*rapid.T){
			"join": func(rt *rapid.T) {
				if r.nat.Room(len(here)) <= 0 {
					return
				}
				next++
				who := uint32(rapid.IntRange(1, 8).Draw(rt, "subscriber"))
				r.joinAs(User{ID: next, Addr: ip.AddrFrom4(10<<24 | next), Subscriber: fmt.Sprint(who)})
				subscriber[next] = who
				logins[who]++
				most[who] = max(most[who], logins[who])
				here = append(here, next)
			},
			"leave": func(rt *rapid.T) {
				if len(here) == 0 {
					return
				}
				i := rapid.IntRange(0, len(here)-1).Draw(rt, "who")
				r.nat.Leave(r.now, here[i])
				logins[subscriber[here[i]]]--
				here = slices.Delete(here, i, i+1)
			},
			"send": func(rt *rapid.T) {
				if len(here) == 0 {
					return
				}
				id := rapid.SampledFrom(here).Draw(rt, "who")
				n := rapid.IntRange(1, 40).Draw(rt, "sockets")
				none := true
				for _, h := range is {
					none = none && h.login != id
				}
				for i := range n {
					_, v := r.out(id, udpPacket(t, ip.AddrFrom4(10<<24|id).String(), uint16(i), server, 6000))
					if i == 0 && none && v == NoBlock && filtering != EndpointIndependent {
						rt.Fatalf("there is no first block for %d", id)
					}
				}
			},
			"wait": func(rt *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(rt, "s") {
					r.wait(time.Second)
					read() // while it is known when it was
				}
			},
			"": func(*rapid.T) { read() },
		})
	})
}
