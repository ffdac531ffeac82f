package aaa

import "sync"

// Tally knows the sessions that each user has at the moment, which S stands for.
// It goes by name, so that a reload of the users file loses no count: there is one
// Tally for each users file, since a name in another is somebody else's. The zero
// Tally is ready for use, by any number of goroutines; it has room only for users
// with sessions.
type Tally[S comparable] struct {
	mu       sync.Mutex
	began    uint64 // how many ever did
	sessions map[string]map[S]uint64
}

// Begin counts session s of user's, unless he has as many as he may have: then ok
// is false, and oldest the one of them that began first. Each Begin that was ok is
// followed by one End.
func (t *Tally[S]) Begin(user *User, s S) (oldest S, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	his := t.sessions[user.Name]
	if user.Sessions > 0 && len(his) >= user.Sessions {
		return first(his), false
	}
	if t.sessions == nil {
		t.sessions = map[string]map[S]uint64{}
	}
	if his == nil {
		his = map[S]uint64{}
		t.sessions[user.Name] = his
	}
	t.began++
	his[s] = t.began
	return oldest, true
}

func first[S comparable](his map[S]uint64) (oldest S) {
	var least uint64
	for s, began := range his {
		if least == 0 || began < least {
			oldest, least = s, began
		}
	}
	return oldest
}

// End counts session s of user's no longer.
func (t *Tally[S]) End(user *User, s S) {
	t.mu.Lock()
	defer t.mu.Unlock()
	his := t.sessions[user.Name]
	if delete(his, s); len(his) == 0 {
		delete(t.sessions, user.Name)
	}
}

// Sessions is how many sessions the user of that name has.
func (t *Tally[S]) Sessions(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.sessions[name])
}
