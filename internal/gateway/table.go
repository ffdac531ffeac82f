package gateway

import (
	"sync"
	"sync/atomic"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// key names one PPPoE session on one port. The session id alone never does:
// two ACs, two VLANs or two of our own addresses may use the same id.
type key struct {
	vlans ether.VLANs
	ac    pppoe.MAC
	our   pppoe.MAC
	sid   uint16
}

// table finds the session of a downstream frame. Each port has one. Readers
// take no lock: the 65,536 slots are indexed by session id, and each holds an
// immutable chain of the sessions that share the id.
type table struct {
	mu    sync.Mutex // writers
	slots [1 << 16]atomic.Pointer[entry]
	count atomic.Int64
}

// entry is one link of a chain. It does not change once it can be reached.
type entry struct {
	key  key
	s    *session
	next *entry
}

// lookup returns the session whose whole key matches, or nil.
func (t *table) lookup(k *key) *session {
	for e := t.slots[k.sid].Load(); e != nil; e = e.next {
		if e.key == *k {
			return e.s
		}
	}
	return nil
}

// insert adds s under k and reports whether it did: not if k is held already,
// by s or another.
func (t *table) insert(k key, s *session) (ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.slots[k.sid].Load()
	for e := head; e != nil; e = e.next {
		if e.key == k {
			return false
		}
	}
	t.slots[k.sid].Store(&entry{key: k, s: s, next: head})
	t.count.Add(1)
	return true
}

// claim adds s under k and returns the session that held k until now, if it was
// another.
func (t *table) claim(k key, s *session) (old *session) {
	if t.insert(k, s) {
		return nil
	}
	if old = t.lookup(&k); old == s {
		return nil
	}
	t.remove(k, old)
	t.insert(k, s)
	return old
}

// remove takes k out if it belongs to s.
func (t *table) remove(k key, s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	head := t.slots[k.sid].Load()
	var kept *entry // copied without k, since readers may be on the old chain
	found := false
	for e := head; e != nil; e = e.next {
		if e.key == k && e.s == s {
			found = true
			continue
		}
		kept = &entry{key: e.key, s: e.s, next: kept}
	}
	if found {
		t.slots[k.sid].Store(kept)
		t.count.Add(-1)
	}
}
