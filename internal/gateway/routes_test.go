package gateway

import (
	"math/rand/v2"
	"testing"
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
