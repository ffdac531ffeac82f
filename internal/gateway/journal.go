package gateway

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"tributary/pppoe"
)

// journal remembers on disk which sessions are open at which AC. An ISP that
// never saw a PADT can hold a session for up to 40 minutes and refuse the next
// one; so what a crash leaves behind gets its PADT at the next start.
//
// Its goroutine owns the database. Changes are gathered and written in one
// transaction, so that a thousand sessions coming up do not mean a thousand
// disk flushes, and no session waits for the disk.
type journal struct {
	db *bolt.DB

	mu      sync.Mutex
	pending map[string][]byte // nil value: delete
	stop    bool
	wake    chan struct{}
	done    chan struct{}
	fail    func(error)
	failing bool // run's own: the last write did not succeed
}

// journalEntry is one session as it stands on disk.
type journalEntry struct {
	Interface string    `json:"interface"`
	VLANs     []uint16  `json:"vlans"`
	AC        pppoe.MAC `json:"ac"`
	Our       pppoe.MAC `json:"our"`
	SessionID uint16    `json:"sid"`
	Line      string    `json:"line"`
}

func (e journalEntry) key() string {
	k := append([]byte(e.Interface), 0)
	k = append(k, e.AC[:]...)
	k = append(k, e.Our[:]...)
	k = binary.BigEndian.AppendUint16(k, e.SessionID)
	k = fmt.Appendf(k, "%v", e.VLANs)
	return string(k)
}

var journalBucket = []byte("sessions")

// openJournal opens or makes the journal in dir and returns what an earlier
// life left in it. fail is told of every write that did not succeed.
//
// A journal that a power cut damaged must not keep the gateway down: it is set
// aside for whoever wants to look, and a new one begun.
func openJournal(dir string, fail func(error)) (*journal, []journalEntry, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, nil, fmt.Errorf("state_dir: %w", err)
	}
	path := filepath.Join(dir, "sessions.db")
	db, left, err := readJournal(path)
	if isDamage(err) {
		aside := path + ".damaged"
		if rerr := os.Rename(path, aside); rerr != nil {
			return nil, nil, fmt.Errorf("session journal: %w", errors.Join(err, rerr))
		}
		fail(fmt.Errorf("session journal %s is damaged (%w); it is now %s, and a new one begins", path, err, aside))
		db, left, err = readJournal(path)
	}
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("%s is in use: another tributary runs with this state_dir; stop it, or give this one its own", path)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("session journal %s: %w", path, err)
	}
	j := &journal{db: db, pending: make(map[string][]byte), wake: make(chan struct{}, 1), done: make(chan struct{}), fail: fail}
	go j.run()
	return j, left, nil
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

// readJournal opens the database at path and reads all of it.
func readJournal(path string) (db *bolt.DB, left []journalEntry, err error) {
	err = guard(func() (err error) {
		if db, err = bolt.Open(path, 0o640, &bolt.Options{Timeout: time.Second}); err != nil {
			return err
		}
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(journalBucket)
			if err != nil {
				return err
			}
			return b.ForEach(func(_, v []byte) error {
				var e journalEntry
				if json.Unmarshal(v, &e) == nil {
					left = append(left, e)
				}
				return nil
			})
		})
	})
	if err == nil {
		return db, left, nil
	}
	if db != nil {
		err = errors.Join(err, guard(db.Close))
	}
	return nil, nil, err
}

// opened and closed note one change; they do not wait for the disk.
func (j *journal) opened(e journalEntry) {
	v, err := json.Marshal(e)
	if err != nil {
		j.fail(err)
		return
	}
	j.note(e.key(), v)
}

func (j *journal) closed(e journalEntry) { j.note(e.key(), nil) }

func (j *journal) note(k string, v []byte) {
	if j == nil {
		return
	}
	j.mu.Lock()
	j.pending[k] = v
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *journal) run() {
	defer close(j.done)
	for range j.wake {
		j.mu.Lock()
		changes, stop := j.pending, j.stop
		j.pending = make(map[string][]byte, len(changes))
		j.mu.Unlock()
		err := guard(func() error { return j.write(changes) })
		j.tell(err)
		if stop {
			return
		}
		if err != nil {
			j.putBack(changes)
		}
	}
}

// tell reports a failure when it begins, not each time it goes on.
func (j *journal) tell(err error) {
	if err != nil && !j.failing {
		j.fail(fmt.Errorf("session journal: %w", err))
	}
	j.failing = err != nil
}

// putBack keeps what could not be written for the next write, unless it has
// changed since.
func (j *journal) putBack(changes map[string][]byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for k, v := range changes {
		if _, newer := j.pending[k]; !newer {
			j.pending[k] = v
		}
	}
}

func (j *journal) write(changes map[string][]byte) error {
	if len(changes) == 0 {
		return nil
	}
	return j.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(journalBucket)
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

// close writes what is pending and closes the database.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	j.stop = true
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
	<-j.done
	return guard(j.db.Close)
}
