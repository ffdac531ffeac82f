package pool

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// told collects what a Store complains of.
type told struct {
	mu   sync.Mutex
	errs []string
}

func (w *told) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err.Error())
}

func openStore(t *testing.T, dir string) (*Store, *told) {
	t.Helper()
	var w told
	s, err := OpenStore(dir, w.fail)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &w
}

func TestAddressesAreTheSameAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	prefix := netip.MustParsePrefix("198.51.100.0/29")
	store, _ := openStore(t, dir)
	k := newTalk(t, Config{Prefix: prefix, Store: store})
	k.take("", "alice", "198.51.100.1")
	k.take("", "b\xff\x00b", "198.51.100.2")
	k.take("", "carol", "198.51.100.3")
	k.release("", "198.51.100.1")
	links, err := NewPrefixes(PrefixConfig{Name: "customers", Prefix: netip.MustParsePrefix("2001:db8::/56"), Store: store})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := links.Take("alice", netip.Prefix{}, netip.Prefix{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	k.release("a pool that outlives its store does not mind", "198.51.100.3")
	if late := newTalk(t, Config{Prefix: prefix, Store: store}); late.p.Stats() != (Stats{Size: 6}) {
		t.Fatal("a closed store remembers nothing")
	}

	store, _ = openStore(t, dir)
	k = newTalk(t, Config{Prefix: prefix, Store: store})
	k.stats("who had one when it stopped has none now", Stats{Size: 6, Remembered: 3})
	k.take("hers", "alice", "198.51.100.1")
	k.take("a name is octets", "b\xff\x00b", "198.51.100.2")
	k.take("new", "dave", "198.51.100.4")
	k.take("new", "erin", "198.51.100.5")
	k.take("new", "frank", "198.51.100.6")
	k.take("carol's, who was not back in time", "grace", "198.51.100.3")
	links, err = NewPrefixes(PrefixConfig{Name: "customers", Prefix: netip.MustParsePrefix("2001:db8::/56"), Store: store})
	if err != nil || links.Stats() != (Stats{Size: 256, Remembered: 2}) {
		t.Fatalf("%+v, %v: links and addresses are kept apart", links.Stats(), err)
	}

	// A reload: a second pool of the name, while the store is open.
	k = newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/30"), Store: store, Exclude: []Range{{addr("198.51.100.2"), addr("198.51.100.2")}}})
	k.stats("what has not been written yet is known, what is not in it any more is not", Stats{Size: 1, Remembered: 1})
	k.take("hers", "alice", "198.51.100.1")
	k = newTalk(t, Config{Prefix: prefix, Store: store})
	k.stats("what was given up is forgotten", Stats{Size: 6, Remembered: 1})
}

// Those who have not been seen for longest make room first, whenever that was.
func TestAgeLastsAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	c := Config{Prefix: netip.MustParsePrefix("198.51.100.0/29")}
	for _, user := range []string{"a", "b", "c", "d", "e", "f", "a", "c"} { // one each day
		c.Store, _ = openStore(t, dir)
		k := newTalk(t, c)
		if _, err := k.p.Take(user, netip.Addr{}, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	c.Store, _ = openStore(t, dir)
	k := newTalk(t, c)
	for i, want := range []string{"198.51.100.2", "198.51.100.4", "198.51.100.5", "198.51.100.6", "198.51.100.1", "198.51.100.3"} {
		k.take("b, d, e, f, and then a and c", fmt.Sprint("new", i), want)
	}
}

func TestADamagedFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "leases.db")
	store, _ := openStore(t, dir)
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Store: store})
	for i := range 500 { // so that there are some pages
		if _, err := k.p.Take(fmt.Sprint("user", i), netip.Addr{}, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	damaged := map[string][]byte{"nonsense": []byte(strings.Repeat("leases?", 5000)), "cut off": whole[:3*page]}
	for at := 2 * page; at < len(whole); at += page {
		b := append([]byte(nil), whole...)
		for i := at; i < at+page; i++ {
			b[i] ^= 0x5a
		}
		damaged[fmt.Sprint("page ", at/page)] = b
	}
	aside := 0
	for name, b := range damaged {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "leases.db")
			if err := os.WriteFile(path, b, 0o640); err != nil {
				t.Fatal(err)
			}
			store, w := openStore(t, dir)
			k := newTalk(t, Config{Prefix: netip.MustParsePrefix("10.0.0.0/16"), Store: store})
			if _, err := k.p.Take("user7", netip.Addr{}, netip.Addr{}); err != nil {
				t.Error("a user gets an address, whatever became of the leases:", err)
			}
			_, err := os.Stat(path + ".damaged")
			if (err == nil) != (len(w.errs) > 0) {
				t.Errorf("set aside: %v, told: %v", err, w.errs)
			}
			if err == nil {
				aside++
			} else if got := k.p.Stats(); got.Remembered+got.Taken < 500 {
				t.Errorf("leases are gone without a word: %+v", got) // or else the page was not in use
			}
		})
	}
	if aside < 3 {
		t.Errorf("%d of %d were set aside", aside, len(damaged))
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir)
	if _, err := OpenStore(dir, nil); err == nil || !strings.Contains(err.Error(), "another tributary runs") {
		t.Error(err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "leases.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir, nil); err == nil {
		t.Error("a directory is no file of leases")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(filepath.Join(dir, "file"), nil); err == nil {
		t.Error("a file is no directory")
	}
}

// What the first version that kept leases has written is read.
func TestLeasesOfBefore(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "leases.db"), 0o640, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("leases"))
		if err != nil {
			return err
		}
		for key, value := range map[string]string{
			// pool, kind, address and its bits; a number that grows, and the user
			"customers\x00a\x00\xc6\x33\x64\x04\x20": "\x00\x00\x00\x00\x00\x00\x00\x09alice",
			"customers\x00a\x00\xc6\x33\x64\x05\x20": "\x00\x00\x00\x00\x00\x00\x00\x0a",
			"others\x00a\x00\xc6\x33\x64\x06\x20":    "\x00\x00\x00\x00\x00\x00\x00\x0bbob",
		} {
			if err := b.Put([]byte(key), []byte(value)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	store, w := openStore(t, dir)
	k := newTalk(t, Config{Prefix: netip.MustParsePrefix("198.51.100.0/29"), Store: store})
	k.stats("two leases are this pool's", Stats{Size: 6, Remembered: 2})
	k.take("hers", "alice", "198.51.100.4")
	if len(w.errs) > 0 {
		t.Errorf("told %q", w.errs)
	}
}

func FuzzRecord(f *testing.F) {
	k := keeper{of: "p\x00a"}
	for _, r := range []record{
		{netip.MustParsePrefix("10.0.0.1/32"), "alice", 7},
		{netip.MustParsePrefix("2001:db8::/64"), "", 1 << 63},
	} {
		f.Add([]byte(k.key(r.item)[len(k.prefix()):]), appendRecord(nil, r))
	}
	f.Add([]byte{}, []byte{})
	f.Add([]byte("\x0a\x00\x00\x01\x21"), []byte("01234567"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, ok := parseRecord(key, value)
		if !ok {
			return
		}
		if got := k.key(r.item)[len(k.prefix()):]; got != string(key) {
			t.Errorf("key %x is read as %v, which is %x", key, r.item, got)
		}
		if got := appendRecord(nil, r); string(got) != string(value) {
			t.Errorf("value %x is read as %v, which is %x", value, r, got)
		}
	})
}
