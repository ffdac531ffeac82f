package aaa

import (
	"sync"

	"tributary/ppp"
)

// Verifier verifies off the caller's turn. A hash takes a tenth of a second of a
// processor, and megabytes: only so many are computed at once, and only so many
// requests wait.
type Verifier struct {
	jobs    chan job
	workers sync.WaitGroup
	stop    chan struct{} // closed by Close: what waits is refused

	mu     sync.RWMutex // held for writing while jobs is closed
	closed bool
}

type job struct {
	users *Users
	r     ppp.AuthRequest
	done  func(Result)
}

// NewVerifier returns a Verifier that computes at most workers hashes at once,
// and lets at most queue requests wait, at least one of each. It is to be closed.
func NewVerifier(workers, queue int) *Verifier {
	v := &Verifier{jobs: make(chan job, max(queue, 1)), stop: make(chan struct{})}
	for range max(workers, 1) {
		v.workers.Go(v.work)
	}
	return v
}

// Verify has r verified against users, which may be others with each call. It
// does not wait. If it returns true, done is called once, on a goroutine of the
// Verifier, which it must not hold up; if it returns false, too many requests
// wait or the Verifier is closed, and done is not called.
func (v *Verifier) Verify(users *Users, r ppp.AuthRequest, done func(Result)) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.closed {
		return false
	}
	select {
	case v.jobs <- job{users, r, done}:
		return true
	default:
		return false
	}
}

// Close refuses what still waits, and returns when every done has been called.
func (v *Verifier) Close() {
	v.mu.Lock()
	if !v.closed {
		v.closed = true
		close(v.stop)
		close(v.jobs)
	}
	v.mu.Unlock()
	v.workers.Wait()
}

func (v *Verifier) work() {
	for j := range v.jobs {
		select {
		case <-v.stop:
			j.done(refuse(ReasonStopping))
		default:
			j.done(j.users.Verify(j.r))
		}
	}
}
