package gateway

import "sync"

// waiters are the users who wait for something of which there is not enough for
// all. Any goroutine may use them.
type waiters struct {
	mu  sync.Mutex
	all map[*session]struct{}
}

// add has s wait, and reports whether it did not before.
func (w *waiters) add(s *session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[*session]struct{})
	}
	_, was := w.all[s]
	w.all[s] = struct{}{}
	return !was
}

func (w *waiters) remove(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, s)
}

// wakeOne tells one of those who wait, who does so no longer, that there may be
// something for him; false if nobody waits. Whoever has no use for it wakes the next.
func (w *waiters) wakeOne(ev event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.all {
		delete(w.all, s)
		// Not in the turn of the owner that is here: s may be another's, whose
		// inbox is full.
		ev.s = s
		go s.owner.post(ev)
		return true
	}
	return false
}

// wakeAll tells all of them. No owner may call it.
func (w *waiters) wakeAll(ev event) {
	w.mu.Lock()
	all := w.all
	w.all = nil
	w.mu.Unlock()
	for s := range all {
		ev.s = s
		s.owner.post(ev)
	}
}

func (w *waiters) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all)
}
