package gateway

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"tributary/internal/store"
	"tributary/pppoe"
)

// journal remembers on disk which sessions are open at which AC. An ISP that
// never saw a PADT can hold a session for up to 40 minutes and refuse the next
// one; so what a crash leaves behind gets its PADT at the next start.
//
// A nil journal remembers nothing.
type journal struct {
	store *store.Store
	fail  func(error)
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

// openJournal opens or makes the journal in dir and returns what an earlier life
// left in it. fail is told of every write that did not succeed. A damaged one is
// set aside, as store.Open does.
func openJournal(dir string, fail func(error)) (j *journal, left []journalEntry, err error) {
	s, err := store.Open(store.Config{Dir: dir, File: "sessions.db", Bucket: "sessions", What: "session journal", Fail: fail})
	if err != nil {
		return nil, nil, err
	}
	s.Read("", func(_, v []byte) {
		var e journalEntry
		if json.Unmarshal(v, &e) == nil {
			left = append(left, e)
		}
	})
	return &journal{s, fail}, left, nil
}

// opened and closed note one change; they do not wait for the disk.
func (j *journal) opened(e journalEntry) {
	if j == nil {
		return
	}
	v, err := json.Marshal(e)
	if err != nil {
		j.fail(err)
		return
	}
	j.store.Put(e.key(), v)
}

func (j *journal) closed(e journalEntry) {
	if j != nil {
		j.store.Delete(e.key())
	}
}

// close writes what is pending and closes the database.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.store.Close()
}
