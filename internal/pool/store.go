package pool

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"tributary/internal/store"
)

// Store keeps on disk who had what last, so that users have their addresses
// again when the gateway was restarted. One Store serves any number of pools.
//
// Nobody who takes an address waits for the disk. What a crash loses is the last
// moment's: users who then get another address than they had.
type Store struct{ s *store.Store }

// record is one lease as it is kept.
type record struct {
	item  netip.Prefix
	user  string
	order uint64
}

// OpenStore opens or makes leases.db in dir. fail is told of every write that
// did not succeed, when that begins, and of what else goes wrong on the way; it
// may be called on any goroutine. A file that is damaged is set aside, as
// [store.Open] does.
func OpenStore(dir string, fail func(error)) (*Store, error) {
	s, err := store.Open(store.Config{Dir: dir, File: "leases.db", Bucket: "leases", What: "leases", Fail: fail})
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// Close writes what is pending and closes the file. A pool may outlive it.
func (s *Store) Close() error { return s.s.Close() }

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
		k.store.s.Put(k.key(r.item), appendRecord(nil, r))
	}
}

func (k keeper) forget(item netip.Prefix) {
	if k.store != nil {
		k.store.s.Delete(k.key(item))
	}
}

// load returns what is kept, in the order in which it became so. What is no
// record is passed over.
func (k keeper) load() (all []record) {
	if k.store == nil {
		return nil
	}
	k.store.s.Read(k.prefix(), func(key, value []byte) {
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
