package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func (w *told) config(dir string) Config {
	return Config{Dir: dir, File: "things.db", Bucket: "things", What: "things", Fail: w.fail}
}

// open opens the Store in dir, which is closed at the end of the test.
func open(t *testing.T, dir string) (*Store, *told) {
	t.Helper()
	w := new(told)
	s, err := Open(w.config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, w
}

// all is what a Store has under a prefix.
func all(s *Store, prefix string) map[string]string {
	m := map[string]string{}
	s.Read(prefix, func(k, v []byte) { m[string(k)] = string(v) })
	return m
}

func want(t *testing.T, why string, s *Store, prefix string, m map[string]string) {
	t.Helper()
	if got := all(s, prefix); !maps.Equal(got, m) {
		t.Errorf("%s: it has %q under %q, want %q", why, got, prefix, m)
	}
}

func TestWhatIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "deeper") // made if it is not there
	s, w := open(t, dir)
	want(t, "it begins empty", s, "", map[string]string{})
	s.Put("a\x00one", []byte("1"))
	s.Put("a\x00two", nil)
	s.Put("ab", []byte("3"))
	s.Put("b", []byte("4"))
	s.Delete("b")
	s.Delete("never there")
	want(t, "what was noted is read, written or not", s, "", map[string]string{"a\x00one": "1", "a\x00two": "", "ab": "3"})
	want(t, "by prefix, which is taken off", s, "a\x00", map[string]string{"one": "1", "two": ""})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	s.Put("late", []byte("5"))
	s.Delete("ab")
	want(t, "closed, it gives nothing", s, "", map[string]string{})

	s, _ = open(t, dir)
	want(t, "what was noted after Close is not there", s, "", map[string]string{"a\x00one": "1", "a\x00two": "", "ab": "3"})
	if len(w.errs) != 0 {
		t.Errorf("told %q", w.errs)
	}
}

// A Store is a map that outlives being closed.
func TestStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		w := new(told)
		s, err := Open(w.config(dir))
		if err != nil {
			rt.Fatal(err)
		}
		model := map[string]string{}
		keys := rapid.StringMatching(`[ab\x00]{1,3}`)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			k := keys.Draw(rt, "key")
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				s.Delete(k)
				delete(model, k)
			case 1:
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = Open(w.config(dir)); err != nil {
					rt.Fatal(err)
				}
			default:
				v := rapid.String().Draw(rt, "value")
				s.Put(k, []byte(v))
				model[k] = v
			}
		}
		if got := all(s, ""); !maps.Equal(got, model) || len(w.errs) > 0 {
			rt.Errorf("it has %q, want %q; told %q", got, model, w.errs)
		}
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	s, w := open(t, dir)
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for j := range 500 {
				s.Put(fmt.Sprint(i, " ", j), []byte("x"))
				if j%2 == 1 {
					s.Delete(fmt.Sprint(i, " ", j-1))
				}
				if j%100 == 0 {
					all(s, fmt.Sprint(i))
				}
			}
		})
	}
	writers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ = open(t, dir)
	if n := len(all(s, "")); n != 8*250 || len(w.errs) > 0 {
		t.Errorf("%d of 2000 are there; told %q", n, w.errs)
	}
}

func TestADamagedFileIsSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "things.db")
	s, _ := open(t, dir)
	for i := range 500 { // so that there are some pages
		s.Put(fmt.Sprintf("key %03d", i), []byte("some value, so that they take some room"))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	damaged := map[string][]byte{"nonsense": []byte(strings.Repeat("things?", 5000)), "cut off": whole[:3*page]}
	for at := range len(whole) / page {
		b := slices.Clone(whole)
		for i := at * page; i < (at+1)*page; i++ {
			b[i] ^= 0x5a
		}
		damaged[fmt.Sprint("page ", at)] = b
	}
	aside := 0
	for name, b := range damaged {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "things.db")
			if err := os.WriteFile(path, b, 0o640); err != nil {
				t.Fatal(err)
			}
			s, w := open(t, dir)
			s.Put("new", []byte("value"))
			if all(s, "new")[""] != "value" {
				t.Error("it does not work")
			}
			was, err := os.ReadFile(path + ".damaged")
			if (err == nil) != (len(w.errs) > 0) {
				t.Errorf("set aside: %v, told: %v", err, w.errs)
			}
			if err != nil {
				// Pages 0 and 1 are the two latest states: without one, the other holds.
				if n := len(all(s, "key")); n < 500 && name != "page 0" && name != "page 1" {
					t.Errorf("%d things are left, and not a word", n)
				}
				return
			}
			aside++
			if string(was) != string(b) {
				t.Error("what was set aside is not what was there")
			}
			if !strings.HasPrefix(w.errs[0], "things: "+path+" is damaged") {
				t.Errorf("told %q", w.errs)
			}
		})
	}
	if aside < 3 {
		t.Errorf("%d of %d were set aside", aside, len(damaged))
	}
}

func TestAFileThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	w := new(told)
	open(t, dir)
	if _, err := Open(w.config(dir)); err == nil || !strings.Contains(err.Error(), "another tributary runs") {
		t.Error(err)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "things.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.config(dir)); err == nil || !strings.HasPrefix(err.Error(), "things: ") {
		t.Errorf("a directory is no file of things: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "things.db.damaged")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it was set aside, and is not damaged")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(w.config(filepath.Join(dir, "file"))); err == nil || !strings.HasPrefix(err.Error(), "state_dir: ") {
		t.Errorf("a file is no directory: %v", err)
	}
	if len(w.errs) != 0 {
		t.Errorf("told %q as well", w.errs)
	}
}

// A disk that is full is told of once, and what could not be written is written
// when there is room.
func TestAFailedWriteIsWrittenLater(t *testing.T) {
	w := new(told)
	c := w.config(t.TempDir())
	bucket := []byte(c.Bucket)
	db, err := openDB(filepath.Join(c.Dir, c.File), bucket)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(c, db) // without its goroutine: the test says when it writes
	s.Put("kept", []byte("1"))
	s.write()
	if err := db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucket) }); err != nil { // which no disk does, but every write fails
		t.Fatal(err)
	}
	s.Put("first", []byte("1"))
	s.write()
	s.Put("second", []byte("2"))
	s.Put("first", []byte("newer"))
	s.Delete("kept")
	s.write()
	if len(w.errs) != 1 || !strings.HasPrefix(w.errs[0], "things: ") {
		t.Fatalf("told %q, want one complaint for both", w.errs)
	}
	if got := all(s, ""); len(got) != 0 || len(w.errs) != 2 {
		t.Errorf("it reads %q, told %q", got, w.errs)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(bucket)
		return errors.Join(err, b.Put([]byte("kept"), []byte("1")))
	}); err != nil {
		t.Fatal(err)
	}
	s.write()
	want(t, "all three are written", s, "", map[string]string{"first": "newer", "second": "2"})
	if err := db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucket) }); err != nil {
		t.Fatal(err)
	}
	s.Put("third", []byte("3"))
	s.write()
	if len(w.errs) != 3 {
		t.Errorf("told %q: it had recovered, so this is another failure", w.errs)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
