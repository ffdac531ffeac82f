package pool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Store keeps on disk who had what last, so that users have their addresses
// again when the gateway was restarted. One Store serves any number of pools.
//
// Changes are gathered and written in one transaction by a goroutine, so that
// nobody who takes an address waits for the disk. What a crash loses is the last
// moment's: users who then get another address than they had.
type Store struct {
	db   *bolt.DB
	fail func(error)
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	pending map[string][]byte // nil value: delete
	closed  bool

	writing sync.Mutex // held for one write: the next sees what it could not write
	failing bool       // the last write did not succeed; under writing
}

// record is one lease as it is kept.
type record struct {
	item  netip.Prefix
	user  string
	order uint64
}

var leasesBucket = []byte("leases")

// OpenStore opens or makes leases.db in dir. fail is told of every write that
// did not succeed, when that begins, and of what else goes wrong on the way; it
// may be called on any goroutine.
//
// A file that a power cut damaged is set aside for whoever wants to look, and a
// new one begun: leases are worth having, and not worth a gateway that is down.
func OpenStore(dir string, fail func(error)) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	path := filepath.Join(dir, "leases.db")
	db, err := openLeases(path)
	if isDamage(err) {
		aside := path + ".damaged"
		if rerr := os.Rename(path, aside); rerr != nil {
			return nil, fmt.Errorf("leases: %w", errors.Join(err, rerr))
		}
		fail(fmt.Errorf("leases in %s are damaged (%w); the file is now %s, and a new one begins", path, err, aside))
		db, err = openLeases(path)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use: another tributary runs with this state_dir; stop it, or give this one its own", path)
	}
	if err != nil {
		return nil, fmt.Errorf("leases %s: %w", path, err)
	}
	s := &Store{db: db, fail: fail, wake: make(chan struct{}, 1), done: make(chan struct{}), pending: map[string][]byte{}}
	go s.run()
	return s, nil
}

// openLeases opens the database and reads every page of leases once: damage is
// to be found now, and not when a user logs in.
func openLeases(path string) (db *bolt.DB, err error) {
	err = guard(func() (err error) {
		if db, err = bolt.Open(path, 0o640, &bolt.Options{Timeout: time.Second}); err != nil {
			return err
		}
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(leasesBucket)
			if err != nil {
				return err
			}
			return b.ForEach(func(_, _ []byte) error { return nil })
		})
	})
	if err == nil {
		return db, nil
	}
	if db != nil {
		err = errors.Join(err, guard(db.Close))
	}
	return nil, err
}

// errDamaged is what the database found by panicking, which is its way.
var errDamaged = errors.New("its pages do not hang together")

func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, berrors.ErrInvalid) || errors.Is(err, berrors.ErrChecksum) || errors.Is(err, berrors.ErrVersionMismatch)
}

// guard runs f and makes an error of a panic: bbolt answers a damaged page with
// one, and reads pages that a cut-off file does not have from its memory map.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// Close writes what is pending and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.wake)
	s.mu.Unlock()
	<-s.done
	return guard(s.db.Close)
}

func (s *Store) run() {
	defer close(s.done)
	for range s.wake {
		s.write()
	}
	s.write()
}

// note gathers one change.
func (s *Store) note(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return // a pool may outlive it
	}
	s.pending[key] = value
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write writes what was gathered. What cannot be written waits for the next
// write, unless it has changed since.
func (s *Store) write() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	changes := s.pending
	s.pending = make(map[string][]byte)
	s.mu.Unlock()
	err := guard(func() error { return s.update(changes) })
	if err == nil {
		s.failing = false
		return
	}
	s.mu.Lock()
	for k, v := range changes {
		if _, newer := s.pending[k]; !newer {
			s.pending[k] = v
		}
	}
	s.mu.Unlock()
	if !s.failing {
		s.failing = true
		s.fail(fmt.Errorf("leases: %w", err))
	}
}

func (s *Store) update(changes map[string][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(leasesBucket)
		for k, v := range changes {
			var err error
			if v == nil {
				err = b.Delete([]byte(k))
			} else {
				err = b.Put([]byte(k), v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// read returns the values whose keys begin with prefix.
func (s *Store) read(prefix string, each func(key, value []byte)) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return
	}
	s.write() // a pool of the same name may have been there until now
	err := guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(leasesBucket).Cursor()
			for k, v := c.Seek([]byte(prefix)); len(k) >= len(prefix) && string(k[:len(prefix)]) == prefix; k, v = c.Next() {
				each(k[len(prefix):], v)
			}
			return nil
		})
	})
	if err != nil {
		s.fail(fmt.Errorf("leases: %w", err))
	}
}

// keeper is the part of a Store that belongs to one pool; of no Store, if that
// is nil.
type keeper struct {
	store *Store
	of    string // the pool's name and kind
}

func (k keeper) prefix() string { return k.of + "\x00" }

func (k keeper) key(item netip.Prefix) string {
	return k.prefix() + string(item.Addr().AsSlice()) + string([]byte{byte(item.Bits())})
}

func (k keeper) put(r record) {
	if k.store != nil {
		k.store.note(k.key(r.item), appendRecord(nil, r))
	}
}

func (k keeper) forget(item netip.Prefix) {
	if k.store != nil {
		k.store.note(k.key(item), nil)
	}
}

// load returns what is kept, in the order in which it became so. What is no
// record is passed over.
func (k keeper) load() (all []record) {
	if k.store == nil {
		return nil
	}
	k.store.read(k.prefix(), func(key, value []byte) {
		if r, ok := parseRecord(key, value); ok {
			all = append(all, r)
		}
	})
	slices.SortStableFunc(all, func(a, b record) int {
		switch {
		case a.order < b.order:
			return -1
		case a.order > b.order:
			return 1
		}
		return 0
	})
	return all
}

// appendRecord is the value of r; its item is the key.
func appendRecord(dst []byte, r record) []byte {
	return append(binary.BigEndian.AppendUint64(dst, r.order), r.user...)
}

func parseRecord(key, value []byte) (r record, ok bool) {
	if len(key) == 0 || len(value) < 8 {
		return r, false
	}
	a, ok := netip.AddrFromSlice(key[:len(key)-1])
	bits := int(key[len(key)-1])
	if !ok || bits > a.BitLen() {
		return r, false
	}
	return record{netip.PrefixFrom(a, bits), string(value[8:]), binary.BigEndian.Uint64(value)}, true
}
