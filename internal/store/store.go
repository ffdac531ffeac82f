// Package store keeps small things on disk: keys and values in one file, which is
// a database, so that a crash leaves all of a change or nothing of it.
//
// Changes are gathered and written in one transaction by a goroutine. Whoever notes
// one never waits for the disk, and a thousand of them do not mean a thousand flushes.
// What a crash loses is the last moment's.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Config says where a Store is and what to call it.
type Config struct {
	Dir    string // made if it is not there
	File   string // in Dir
	Bucket string // of the file's database
	What   string // is kept there, for errors: "leases"
	// Fail is told of each write that did not succeed, when that begins, and of what
	// else goes wrong on the way. It may be called on any goroutine.
	Fail func(error)
}

// Store is one open file. Any number of goroutines may use it.
type Store struct {
	cfg    Config
	bucket []byte
	db     *bolt.DB
	wake   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	pending map[string][]byte // what is not written yet; nil value: delete
	closed  bool

	writing sync.Mutex // held for one write: the next sees what it could not write
	failing bool       // the last write did not succeed; under writing
}

// Open opens the file, or makes it.
//
// One that a power cut damaged is set aside for whoever wants to look, under its name
// with ".damaged" behind, and a new one begun: what is kept is worth having, and
// not worth a gateway that is down. Fail is told.
func Open(c Config) (*Store, error) {
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("state_dir: %w", err)
	}
	path := filepath.Join(c.Dir, c.File)
	db, err := openDB(path, []byte(c.Bucket))
	if isDamage(err) {
		aside := path + ".damaged"
		if rerr := os.Rename(path, aside); rerr != nil {
			return nil, fmt.Errorf("%s: %w", c.What, errors.Join(err, rerr))
		}
		c.Fail(fmt.Errorf("%s: %s is damaged (%w); it is now %s, and a new one begins", c.What, path, err, aside))
		db, err = openDB(path, []byte(c.Bucket))
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%s is in use: another tributary runs with this state_dir; stop it, or give this one its own", path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", c.What, path, err)
	}
	s := newStore(c, db)
	go s.run()
	return s, nil
}

func newStore(c Config, db *bolt.DB) *Store {
	return &Store{
		cfg: c, bucket: []byte(c.Bucket), db: db, wake: make(chan struct{}, 1), done: make(chan struct{}), pending: make(map[string][]byte),
	}
}

// openDB opens the database and reads every page of the bucket once: damage is to
// be found now, and not when something is asked for.
func openDB(path string, bucket []byte) (db *bolt.DB, err error) {
	err = guard(func() (err error) {
		if db, err = bolt.Open(path, 0o640, &bolt.Options{Timeout: time.Second}); err != nil {
			return err
		}
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
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

// Put notes the value of a key, which the caller does not change any more. After
// Close nothing is noted: who uses a Store may outlive it.
func (s *Store) Put(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	s.note(key, value)
}

// Delete notes that a key has no value any more.
func (s *Store) Delete(key string) { s.note(key, nil) }

func (s *Store) note(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.pending[key] = value
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Read calls each for every key that begins with prefix, in the order of the keys,
// with what is behind the prefix, and its value. Both are valid until each returns.
// What has been noted is written first.
func (s *Store) Read(prefix string, each func(key, value []byte)) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return
	}
	s.write()
	err := guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket(s.bucket).Cursor()
			for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
				each(k[len(prefix):], v)
			}
			return nil
		})
	})
	if err != nil {
		s.cfg.Fail(fmt.Errorf("%s: %w", s.cfg.What, err))
	}
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

// write writes what was gathered. What cannot be written waits for the next write,
// unless it has changed since.
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
		s.cfg.Fail(fmt.Errorf("%s: %w", s.cfg.What, err))
	}
}

func (s *Store) update(changes map[string][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(s.bucket)
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
