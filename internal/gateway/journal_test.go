package gateway

import (
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"tributary/pppoe"
)

// What the first version that kept a journal has written is read, and what is in it
// by the same keys can be taken out.
func TestJournalOfBefore(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "sessions.db"), 0o640, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("sessions"))
		if err != nil {
			return err
		}
		for key, value := range map[string]string{
			"eth1\x00\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x00\x4d[100 7]": `{"interface":"eth1","vlans":[100,7],"ac":[2,0,0,0,0,2],"our":[2,0,0,0,0,1],"sid":77,"line":"virtual/9"}`,
			"eth1\x00\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x00\x4e[]":      `{"interface":"eth1","vlans":null,"ac":[2,0,0,0,0,2],"our":[2,0,0,0,0,1],"sid":78,"line":""}`,
			"nonsense": `{"interface":`,
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
	left := leftIn(t, dir)
	want := journalEntry{Interface: "eth1", VLANs: []uint16{100, 7}, AC: pppoe.MAC{2, 0, 0, 0, 0, 2}, Our: pppoe.MAC{2, 0, 0, 0, 0, 1}, SessionID: 77, Line: "virtual/9"}
	if len(left) != 2 || left[1].key() != want.key() && left[0].key() != want.key() {
		t.Fatalf("left %+v", left)
	}
	j, _, err := openJournal(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	j.closed(want)
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if left = leftIn(t, dir); len(left) != 1 || left[0].SessionID != 78 {
		t.Errorf("left %+v", left)
	}
}
