package aaa

import "sync"

// Tally counts how many sessions each user has at the moment. It goes by name,
// so that a reload of the users file loses no count. The zero Tally is ready for
// use, by any number of goroutines; it has room only for users with sessions.
type Tally struct {
	mu       sync.Mutex
	sessions map[string]int
}

// Begin counts a session of user, unless he has as many as he may have: then it
// returns false. Each Begin that returned true is followed by one End.
func (t *Tally) Begin(user *User) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.sessions[user.Name]
	if user.Sessions > 0 && n >= user.Sessions {
		return false
	}
	if t.sessions == nil {
		t.sessions = map[string]int{}
	}
	t.sessions[user.Name] = n + 1
	return true
}

// End counts a session of user no longer.
func (t *Tally) End(user *User) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch n := t.sessions[user.Name]; n {
	case 0: // no session of his ever began
	case 1:
		delete(t.sessions, user.Name)
	default:
		t.sessions[user.Name] = n - 1
	}
}

// Sessions is how many sessions the user of that name has.
func (t *Tally) Sessions(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions[name]
}
