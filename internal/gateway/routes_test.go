package gateway

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"tributary/internal/config"
	"tributary/internal/ip"
)

// routes are a map of addresses, whatever the addresses are.
func TestRoutes(t *testing.T) {
	r, model := new(routes), map[uint32]*session{}
	rnd := rand.New(rand.NewPCG(1, 2))
	all := []*session{new(session), new(session), new(session)}
	for range 20_000 {
		a := uint32(rnd.IntN(3))<<24 | uint32(rnd.IntN(2))*0x00ff_ff00 | uint32(rnd.IntN(256))
		s := all[rnd.IntN(len(all))]
		switch rnd.IntN(3) {
		case 0:
			if ok := r.set(a, s); ok != (model[a] == nil) {
				t.Fatalf("set %08x is %v, and %p has it", a, ok, model[a])
			} else if ok {
				model[a] = s
			}
		case 1:
			if r.clear(a, s); model[a] == s {
				delete(model, a)
			}
		case 2:
			if got := r.lookup(a); got != model[a] {
				t.Fatalf("lookup %08x is %p, want %p", a, got, model[a])
			}
		}
	}
}

// pooled agrees with the prefixes and ranges that it was made of.
func TestPooled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const first = 10 << 24
		r, want := new(routes), map[uint32]string{}
		var pools []config.Pool
		at := uint32(first)
		for range rapid.IntRange(0, 4).Draw(rt, "pools") {
			bits := rapid.IntRange(26, 32).Draw(rt, "bits")
			size := uint32(1) << (32 - bits)
			at = (at + size - 1) &^ (size - 1)
			p := config.NewPool("p", netip.PrefixFrom(ip.AddrFrom4(at), bits))
			for i := range size {
				want[at+i] = "pooled"
			}
			for range rapid.IntRange(0, 3).Draw(rt, "ranges") {
				from := rapid.Uint32Range(0, size-1).Draw(rt, "from")
				to := rapid.Uint32Range(from, size-1).Draw(rt, "to")
				p.Exclude = append(p.Exclude, config.AddrRange{First: ip.AddrFrom4(at + from), Last: ip.AddrFrom4(at + to)})
				for i := from; i <= to; i++ {
					want[at+i] = ""
				}
			}
			if bits < 31 {
				want[at], want[at+size-1] = "silent", "silent"
			}
			pools = append([]config.Pool{p}, pools...)
			at += size + rapid.Uint32Range(0, 5).Draw(rt, "gap")
		}
		r.open(pools)
		for a := uint32(first - 3); a < at+3; a++ {
			got := ""
			switch ok, silent := r.pooled(a); {
			case silent:
				got = "silent"
			case ok:
				got = "pooled"
			}
			if got != want[a] {
				rt.Errorf("%v is %q, want %q of %v", ip.AddrFrom4(a), got, want[a], pools)
			}
		}
		for _, a := range []uint32{0, 1<<32 - 1} {
			if ok, _ := r.pooled(a); ok {
				rt.Errorf("%v is of a pool", ip.AddrFrom4(a))
			}
		}
	})
}

// A look costs the same for 10 users and for 50,000, in a pool or each elsewhere.
func BenchmarkRoutes(b *testing.B) {
	for _, tt := range []struct {
		name   string
		users  int
		stride uint32
	}{{"10", 10, 1}, {"50000", 50_000, 1}, {"50000 scattered", 50_000, 1021}} {
		b.Run(tt.name, func(b *testing.B) {
			r, s := new(routes), new(session)
			for i := range tt.users {
				r.set(10<<24+uint32(i)*tt.stride, s)
			}
			i := uint32(0)
			for b.Loop() {
				i = (i*1664525 + 1013904223) % uint32(tt.users)
				if r.lookup(10<<24+i*tt.stride) != s {
					b.Fatal("a user is not found")
				}
			}
		})
	}
}
