package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// talk is what users and one pool say to each other.
type talk struct {
	t *testing.T
	p *Pool
}

func newTalk(t *testing.T, c Config) *talk {
	t.Helper()
	c.Name = "customers"
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &talk{t, p}
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func addrs(s ...string) (as []netip.Addr) {
	for _, one := range s {
		as = append(as, addr(one))
	}
	return as
}

// take without a wish; want is "" if nothing is left.
func (k *talk) take(why, user, want string) {
	k.t.Helper()
	var err error
	if want == "" {
		err = ErrExhausted
	}
	k.ask(why, user, "", "", want, err)
}

func (k *talk) ask(why, user, asked, fixed, want string, wantErr error) {
	k.t.Helper()
	got, err := k.p.Take(user, addr(asked), addr(fixed))
	if !errors.Is(err, wantErr) || err == nil && got != addr(want) {
		k.t.Fatalf("%s: %q gets %v (%v), want %q (%v)", why, user, got, err, want, wantErr)
	}
	if wantErr != nil && (got.IsValid() || !strings.HasPrefix(err.Error(), "pool customers: ")) {
		k.t.Fatalf("%s: %v, %v", why, got, err)
	}
}

func (k *talk) release(why, a string) {
	k.t.Helper()
	if !k.p.Release(addr(a)) {
		k.t.Fatalf("%s: %s was not taken", why, a)
	}
}

func (k *talk) stats(why string, want Stats) {
	k.t.Helper()
	if got := k.p.Stats(); got != want {
		k.t.Fatalf("%s: %+v, want %+v", why, got, want)
	}
}

func TestWhoGetsWhat(t *testing.T) {
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/29")})
	k.stats("neither the network nor the broadcast", Stats{Size: 6})
	k.take("the first address", "alice", "198.51.100.1")
	k.take("the next", "bob", "198.51.100.2")
	k.release("alice leaves", "198.51.100.1")
	k.take("one that nobody had, though alice's is free", "carol", "198.51.100.3")
	k.take("hers again", "alice", "198.51.100.1")
	k.take("a second session of hers has another", "alice", "198.51.100.4")
	k.release("her first ends", "198.51.100.1")
	k.release("her second ends", "198.51.100.4")
	k.take("the one she had last", "alice", "198.51.100.4")
	k.take("then the other", "alice", "198.51.100.1")
	k.release("", "198.51.100.1")
	k.release("", "198.51.100.4")
	k.ask("of hers, the one she asks for", "alice", "198.51.100.1", "", "198.51.100.1", nil)
	k.ask("what nobody had is for whoever asks", "dave", "198.51.100.6", "", "198.51.100.6", nil)
	k.ask("what is taken is not", "erin", "198.51.100.6", "", "198.51.100.5", nil)
	k.stats("one is free, and was alice's", Stats{Size: 6, Taken: 5, Remembered: 1})
	k.ask("there is no other left: alice's makes room, asked for or not", "frank", "203.0.113.1", "", "198.51.100.4", nil)
	k.ask("nothing is left", "grace", "", "", "", ErrExhausted)
	k.release("bob leaves", "198.51.100.2")
	k.release("dave leaves", "198.51.100.6")
	k.take("the one free for longest", "grace", "198.51.100.2")
	k.take("bob has lost his", "bob", "198.51.100.6")
}

func TestAnyoneKeepsAnAddressByAsking(t *testing.T) {
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/29")})
	k.take("no name, no wish", "", "198.51.100.1")
	k.release("", "198.51.100.1")
	k.take("another line without a name is not the same user", "", "198.51.100.2")
	k.ask("one that knows what it had gets it", "", "198.51.100.1", "", "198.51.100.1", nil)
	k.release("", "198.51.100.1")
	k.ask("alice may not ask for what others had", "alice", "198.51.100.1", "", "198.51.100.3", nil)
	k.release("", "198.51.100.3")
	k.ask("nor may anyone for what was alice's", "", "198.51.100.3", "", "198.51.100.4", nil)
}

func TestFixedAddresses(t *testing.T) {
	c := Config{
		Prefix:  netip.MustParsePrefix("198.51.100.0/29"),
		Exclude: []Range{{addr("198.51.100.5"), addr("198.51.100.9")}, {addr("198.51.100.4"), addr("198.51.100.4")}, {addr("10.0.0.0"), addr("10.0.0.1")}},
		Fixed:   addrs("198.51.100.1", "198.51.100.6", "203.0.113.7"),
	}
	k := newTalk(t, c)
	k.stats(".2 and .3 are for everyone", Stats{Size: 2})
	k.take("not alice's", "bob", "198.51.100.2")
	k.ask("nor by asking", "bob", "198.51.100.1", "", "198.51.100.3", nil)
	k.ask("nor what is excluded", "carol", "198.51.100.4", "", "", ErrExhausted)
	k.ask("alice's", "alice", "", "198.51.100.1", "198.51.100.1", nil)
	k.ask("is hers once", "alice", "", "198.51.100.1", "", ErrTaken)
	k.ask("excluded, and somebody's", "dave", "", "198.51.100.6", "198.51.100.6", nil)
	k.ask("outside, and somebody's", "erin", "", "203.0.113.7", "203.0.113.7", nil)
	k.ask("once", "erin", "", "203.0.113.7", "", ErrTaken)
	k.ask("the network's address", "frank", "", "198.51.100.0", "", ErrUnusable)
	k.ask("the broadcast address", "frank", "", "198.51.100.7", "", ErrUnusable)
	k.ask("of another kind", "frank", "", "2001:db8::1", "", ErrUnusable)
	k.stats("five have one", Stats{Size: 2, Taken: 5})
	k.release("", "203.0.113.7")
	k.release("", "198.51.100.1")
	k.release("", "198.51.100.6")
	k.stats("fixed addresses are not remembered", Stats{Size: 2, Taken: 2})
	k.ask("and free for their users", "erin", "", "203.0.113.7", "203.0.113.7", nil)

	k.p.SetFixed(addrs("198.51.100.2", "198.51.100.2", "198.51.100.6"))
	k.stats(".1 is for everyone now, .2 is not", Stats{Size: 2, Taken: 3})
	k.ask("bob has it still", "grace", "", "198.51.100.2", "", ErrTaken)
	k.take("nobody's any more", "carol", "198.51.100.1")
	k.release("bob leaves", "198.51.100.2")
	k.take("what is grace's now is not for bob", "heidi", "")
}

func TestAFreeAddressBecomesFixed(t *testing.T) {
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/30")})
	k.take("", "alice", "198.51.100.1")
	k.release("", "198.51.100.1")
	k.p.SetFixed(addrs("198.51.100.1"))
	k.take("alice's former address is bob's", "alice", "198.51.100.2")
	k.ask("", "carol", "", "", "", ErrExhausted)
	k.ask("", "bob", "", "198.51.100.1", "198.51.100.1", nil)
	k.p.SetFixed(nil)
	k.release("it is nobody's, and bob had it", "198.51.100.1")
	k.take("", "bob", "198.51.100.1")
	k.release("", "198.51.100.1")
	k.ask("a fixed address that no reload has told of goes first", "carol", "", "198.51.100.1", "198.51.100.1", nil)
	k.take("and bob finds none", "bob", "")
}

func TestReleaseOfWhatIsNotTaken(t *testing.T) {
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/30")})
	k.take("", "alice", "198.51.100.1")
	k.release("", "198.51.100.1")
	for _, a := range addrs("198.51.100.1", "198.51.100.2", "198.51.100.0", "203.0.113.1", "2001:db8::", "") {
		if k.p.Release(a) {
			t.Errorf("%v was taken", a)
		}
	}
	k.stats("nothing has changed", Stats{Size: 2, Remembered: 1})
}

func TestSizes(t *testing.T) {
	for prefix, want := range map[string]struct {
		size        int
		first, next string
	}{
		"192.0.2.7/32":     {1, "192.0.2.7", ""},
		"192.0.2.6/31":     {2, "192.0.2.6", "192.0.2.7"},
		"192.0.2.4/30":     {2, "192.0.2.5", "192.0.2.6"},
		"172.16.0.0/16":    {65534, "172.16.0.1", "172.16.0.2"},
		"10.0.0.0/8":       {MaxItems, "10.0.0.1", "10.0.0.2"},
		"0.0.0.0/0":        {MaxItems, "0.0.0.1", "0.0.0.2"},
		"255.255.255.0/24": {254, "255.255.255.1", "255.255.255.2"},
	} {
		t.Run(prefix, func(t *testing.T) {
			k := newTalk(t, Config{Prefix: netip.MustParsePrefix(prefix)})
			k.stats("size", Stats{Size: want.size})
			k.take("first", "a", want.first)
			if want.next == "" {
				k.ask("no second", "b", "", "", "", ErrExhausted)
				return
			}
			k.take("next", "b", want.next)
		})
	}
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("10.0.0.0/8")})
	k.ask("a fixed address beyond what the pool counts", "a", "", "10.255.0.1", "10.255.0.1", nil)
	k.ask("once", "a", "", "10.255.0.1", "", ErrTaken)
	k.release("", "10.255.0.1")
}

func TestWhatIsNoPool(t *testing.T) {
	for _, c := range []Config{
		{},
		{Prefix: netip.MustParsePrefix("192.0.2.1/24")},
		{Prefix: netip.MustParsePrefix("2001:db8::/64")},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Exclude: []Range{{addr("192.0.2.9"), addr("192.0.2.1")}}},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Exclude: []Range{{addr("192.0.2.9"), netip.Addr{}}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is a pool", c)
		}
	}
	for _, c := range []PrefixConfig{
		{},
		{Prefix: netip.MustParsePrefix("2001:db8::1/48")},
		{Prefix: netip.MustParsePrefix("2001:db8::/65")},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		{Prefix: netip.MustParsePrefix("::ffff:192.0.2.0/112")},
		{Prefix: netip.MustParsePrefix("2001:db8::/48"), Exclude: []netip.Prefix{{}}},
		{Prefix: netip.MustParsePrefix("2001:db8::/48"), Exclude: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	} {
		if _, err := NewPrefixes(c); err == nil {
			t.Errorf("%+v is a pool", c)
		}
	}
}

func TestPrefixes(t *testing.T) {
	p, err := NewPrefixes(PrefixConfig{
		Name: "links", Prefix: netip.MustParsePrefix("2001:db8:0:fff8::/61"),
		Exclude: []netip.Prefix{
			netip.MustParsePrefix("2001:db8:0:fff8::/64"),  // ours
			netip.MustParsePrefix("2001:db8:0:fffb::1/80"), // a part of one
			netip.MustParsePrefix("2001:db8:0:fffc::/62"),
			netip.MustParsePrefix("2001:db8:1::/48"), // elsewhere
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Stats(); got.Size != 2 {
		t.Fatalf("%+v, want two links", got)
	}
	take := func(why, user, fixed, want string) {
		t.Helper()
		var f netip.Prefix
		if fixed != "" {
			f = netip.MustParsePrefix(fixed)
		}
		got, err := p.Take(user, netip.Prefix{}, f)
		if want == "" && err == nil || want != "" && got.String() != want {
			t.Fatalf("%s: %v, %v, want %q", why, got, err, want)
		}
	}
	take("behind what is excluded", "alice", "", "2001:db8:0:fff9::/64")
	take("the next", "bob", "", "2001:db8:0:fffa::/64")
	take("no more", "carol", "", "")
	if !p.Release(netip.MustParsePrefix("2001:db8:0:fff9::/64")) || p.Release(netip.MustParsePrefix("2001:db8:0:fff9::/80")) {
		t.Fatal("Release")
	}
	take("hers again", "alice", "", "2001:db8:0:fff9::/64")
	p.SetFixed([]netip.Prefix{netip.MustParsePrefix("2001:db8:0:fffd::/64")})
	take("dave's own", "dave", "2001:db8:0:fffd::/64", "2001:db8:0:fffd::/64")
	take("another length is no link", "dave", "2001:db8:0:fff0::/60", "")
	take("nor are bits behind the length", "dave", "2001:db8:0:ffff::1/64", "")

	for prefix, want := range map[string]int{"2001:db8::/64": 1, "2001:db8::/48": 65536, "2001:db8::/32": MaxItems, "::/0": MaxItems} {
		p, err := NewPrefixes(PrefixConfig{Prefix: netip.MustParsePrefix(prefix)})
		if err != nil || p.Stats().Size != want {
			t.Errorf("%s: %+v, %v", prefix, p.Stats(), err)
		}
	}
}

// Many lines come up at once: nobody gets what another has.
func TestManyAtOnce(t *testing.T) {
	const users, each = 8, 200
	p, err := New(Config{Prefix: netip.MustParsePrefix("10.0.0.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	held := map[netip.Addr]string{}
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			user := fmt.Sprint("user", u)
			for range each {
				a, err := p.Take(user, netip.Addr{}, netip.Addr{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, taken := held[a]; taken {
					t.Errorf("%s gets %v, which %s has", user, a, other)
				}
				held[a] = user
				mu.Unlock()
				mu.Lock()
				delete(held, a)
				mu.Unlock()
				p.Release(a)
			}
		})
	}
	wg.Wait()
	if got := p.Stats(); got.Taken != 0 || got.Remembered != users {
		t.Errorf("%+v, want one address remembered for each of %d users", got, users)
	}
}

func BenchmarkTake(b *testing.B) {
	const n = 50_000
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprint("user", i)
	}
	got := make([]netip.Addr, n)
	for b.Loop() {
		p, err := New(Config{Prefix: netip.MustParsePrefix("10.0.0.0/16")})
		if err != nil {
			b.Fatal(err)
		}
		for range 2 { // as new users, and again
			for i, u := range users {
				if got[i], err = p.Take(u, netip.Addr{}, netip.Addr{}); err != nil {
					b.Fatal(err)
				}
			}
			for _, a := range got {
				p.Release(a)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2*n), "ns/lease")
}
