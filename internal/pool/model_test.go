package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the rules of Take, as one would write them down with no thought of
// speed: it looks at every address each time.
type model struct {
	size    int // addresses .1 to .size are hosts
	holes   map[int]bool
	fixed   map[int]bool
	had     map[int]*modelLease
	outside bool // the one fixed address that is not the pool's is taken
	events  int
}

type modelLease struct {
	user  string
	taken bool
	since int
	kept  bool // on disk
}

func (m *model) blocked(i int) bool { return m.holes[i] || m.fixed[i] }

// best is the address of which better says that it goes before all others.
func (m *model) best(may func(i int, d *modelLease) bool, better func(a, b *modelLease) bool) (best int) {
	for i := 1; i <= m.size; i++ {
		if d := m.had[i]; may(i, d) && (best == 0 || better != nil && better(d, m.had[best])) {
			best = i
		}
	}
	return best
}

func (m *model) choose(user string, asked int) int {
	if d := m.had[asked]; d != nil && !d.taken && d.user == user {
		return asked
	}
	older := func(a, b *modelLease) bool { return a.since < b.since }
	newer := func(a, b *modelLease) bool { return a.since > b.since }
	his := func(_ int, d *modelLease) bool { return d != nil && !d.taken && user != "" && d.user == user }
	free := func(_ int, d *modelLease) bool { return d != nil && !d.taken }
	fresh := func(i int, d *modelLease) bool { return d == nil && !m.blocked(i) }
	if i := m.best(his, newer); i > 0 {
		return i
	}
	if asked >= 1 && asked <= m.size && fresh(asked, m.had[asked]) {
		return asked
	}
	if i := m.best(fresh, nil); i > 0 {
		return i
	}
	return m.best(free, older)
}

func (m *model) event(i int, user string, taken bool) {
	m.events++
	m.had[i] = &modelLease{user, taken, m.events, !m.blocked(i)}
	if m.blocked(i) && !taken {
		delete(m.had, i)
	}
}

func (m *model) setFixed(fixed map[int]bool) {
	for i := range fixed {
		if d := m.had[i]; d != nil && !m.fixed[i] {
			if d.kept = false; !d.taken {
				delete(m.had, i)
			}
		}
	}
	m.fixed = fixed
}

func (m *model) restart() {
	m.outside = false
	for i, d := range m.had {
		if d.taken = false; !d.kept {
			delete(m.had, i)
		}
	}
}

// Whatever happens in whatever order, and however often the gateway restarts,
// users get what the rules say.
func TestPoolIsItsModel(t *testing.T) {
	dirs := t.TempDir()
	elsewhere := addr("203.0.113.1")
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(dirs, "")
		if err != nil {
			t.Fatal(err)
		}
		bits := rapid.SampledFrom([]int{28, 29, 30}).Draw(t, "bits")
		m := &model{size: 1<<(32-bits) - 2, holes: map[int]bool{}, fixed: map[int]bool{}, had: map[int]*modelLease{}}
		c := Config{Name: "p", Prefix: netip.PrefixFrom(at(0), bits)}
		for range rapid.IntRange(0, 2).Draw(t, "holes") {
			from := rapid.IntRange(0, m.size).Draw(t, "from")
			to := rapid.IntRange(from, m.size+1).Draw(t, "to")
			c.Exclude = append(c.Exclude, Range{at(from), at(to)})
			for i := from; i <= to && i <= m.size; i++ {
				m.holes[i] = true
			}
		}
		var pool *Pool
		open := func() {
			if c.Store, err = OpenStore(dir, func(err error) { panic(err) }); err != nil {
				t.Fatal(err)
			}
			if pool, err = New(c); err != nil {
				t.Fatal(err)
			}
		}
		open()
		defer func() { c.Store.Close() }()
		number := rapid.IntRange(0, m.size+2)
		user := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"})
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				who, asked := user.Draw(t, "user"), number.Draw(t, "asked")
				want := m.choose(who, asked)
				got, err := pool.Take(who, at(asked), netip.Addr{})
				if want == 0 {
					if !errors.Is(err, ErrExhausted) {
						t.Fatalf("%v, %v, and all are taken", got, err)
					}
					return
				}
				if err != nil || got != at(want) {
					t.Fatalf("%q gets %v, %v, want %v", who, got, err, at(want))
				}
				m.event(want, who, true)
			},
			"take fixed": func(t *rapid.T) {
				who, i := user.Draw(t, "user"), number.Draw(t, "fixed")
				fixed := at(i)
				if i == m.size+2 {
					fixed = elsewhere
				}
				got, err := pool.Take(who, netip.Addr{}, fixed)
				d := m.had[i]
				switch {
				case i == 0 || i == m.size+1:
					if !errors.Is(err, ErrUnusable) {
						t.Fatalf("%v: %v, %v", fixed, got, err)
					}
				case d != nil && d.taken || i == m.size+2 && m.outside:
					if !errors.Is(err, ErrTaken) {
						t.Fatalf("%v: %v, %v", fixed, got, err)
					}
				case err != nil || got != fixed:
					t.Fatalf("%v: %v, %v", fixed, got, err)
				case i == m.size+2:
					m.outside = true
				default:
					m.event(i, who, true)
				}
			},
			"release": func(t *rapid.T) {
				i := number.Draw(t, "address")
				if i == m.size+2 {
					if pool.Release(elsewhere) != m.outside {
						t.Fatalf("%v was taken: %v", elsewhere, m.outside)
					}
					m.outside = false
					return
				}
				d := m.had[i]
				if taken := d != nil && d.taken; pool.Release(at(i)) != taken {
					t.Fatalf("%v was taken: %v", at(i), taken)
				} else if taken {
					m.event(i, d.user, false)
				}
			},
			"set fixed": func(t *rapid.T) {
				fixed := map[int]bool{}
				c.Fixed = []netip.Addr{elsewhere}
				for _, i := range rapid.SliceOfN(number, 0, 3).Draw(t, "fixed") {
					c.Fixed = append(c.Fixed, at(i))
					if i >= 1 && i <= m.size {
						fixed[i] = true
					}
				}
				m.setFixed(fixed)
				pool.SetFixed(c.Fixed)
			},
			"restart": func(t *rapid.T) {
				if err := c.Store.Close(); err != nil {
					t.Fatal(err)
				}
				m.restart()
				open()
			},
			"": func(t *rapid.T) {
				var want Stats
				for i := 1; i <= m.size; i++ {
					d := m.had[i]
					switch {
					case d != nil && d.taken:
						want.Taken++
					case d != nil:
						want.Remembered++
					}
					if !m.blocked(i) {
						want.Size++
					}
				}
				if m.outside {
					want.Taken++
				}
				if got := pool.Stats(); got != want {
					t.Fatalf("%+v, want %+v", got, want)
				}
				check(t, pool.s)
			},
		})
	})
}

// check holds that what is remembered twice is the same both times, and that
// nothing is remembered that is not needed.
func check(t *rapid.T, s *space) {
	var ages []uint64
	users := map[string][]uint64{}
	for d := s.free.oldest; d != nil; d = d.links[byAge].after {
		if d.taken || s.leases[d.index] != d || s.blocked(d.index) {
			t.Fatalf("%v is in the list of what is free", d)
		}
		ages = append(ages, d.order)
		if d.user != "" {
			users[d.user] = append(users[d.user], d.order)
		}
	}
	if !slices.IsSorted(ages) {
		t.Fatalf("not by age: %v", ages)
	}
	got := map[string][]uint64{}
	for user, had := range s.former {
		for d := had.newest; d != nil; d = d.links[byUser].before {
			got[user] = append([]uint64{d.order}, got[user]...)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(users) {
		t.Fatalf("by user %v, by age %v", got, users)
	}
}

// Items and their numbers belong together, and a span has what lies in it.
func TestPlanIsItsInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pl plan
		if rapid.Bool().Draw(t, "4") {
			a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")))
			pl = hostsOf(netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "bits")).Masked())
		} else {
			a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
			pl = linksOf(netip.PrefixFrom(a, rapid.IntRange(0, 64).Draw(t, "bits")).Masked())
		}
		i := rapid.Uint32Range(0, pl.n-1).Draw(t, "i")
		item := pl.nth(i)
		if got, ok := pl.index(item); !ok || got != i || !pl.usable(item) {
			t.Fatalf("item %d is %v, which is item %d, %v", i, item, got, ok)
		}
		if item.Overlaps(netip.PrefixFrom(pl.bad[0], 32)) || item.Overlaps(netip.PrefixFrom(pl.bad[1], 32)) {
			t.Fatalf("item %d is %v", i, item)
		}
		if got := newSpans(pl.span(item.Addr(), last(item))); len(got) != 1 || got[0] != (span{i, i}) || got.len() != 1 {
			t.Fatalf("item %d is in %v", i, got)
		}
		if _, ok := pl.index(pl.nth(pl.n)); ok {
			t.Fatalf("%v is one too many", pl.nth(pl.n))
		}
	})
}

func TestSpansAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := map[uint32]bool{}
		var given []span
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			lo := rapid.Uint32Range(0, 40).Draw(t, "lo")
			hi := rapid.Uint32Range(lo, 40).Draw(t, "hi")
			given = append(given, span{lo, hi})
			for i := lo; i <= hi; i++ {
				in[i] = true
			}
		}
		s := newSpans(given)
		for i := range uint32(42) {
			got, ok := s.find(i)
			if ok != in[i] || ok && (got.lo > i || got.hi < i || in[got.hi+1]) {
				t.Fatalf("%d: %v, %v in %v of %v", i, got, ok, s, given)
			}
		}
		if s.len() != len(in) {
			t.Fatalf("%v has %d, want %d", s, s.len(), len(in))
		}
	})
}
