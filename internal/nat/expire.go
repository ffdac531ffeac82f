package nat

import "time"

// wheel is when to look at which session: one list for each of the next seconds.
// A session that is used only gets a later time to expire; where it is in the
// wheel changes when its turn comes. So a packet costs one store, not a list.
type wheel struct {
	slots [wheelSize]uint32
	now   int64 // the second that was last looked at
}

const (
	wheelSize = 512
	// sweepWork bounds the sessions that one Tick looks at.
	sweepWork = 4096
)

// slotOf is where a second is. A clock may begin below zero.
func slotOf(second int64) uint16 { return uint16(second & (wheelSize - 1)) }

// schedule puts session i into the wheel, at its time or as far away as it goes.
func (s *shard) schedule(i uint32) {
	x := s.session.at(i)
	due := int64(x.expires/time.Second) + 1
	due = min(max(due, s.wheel.now+1), s.wheel.now+wheelSize-1)
	x.slot = slotOf(due)
	s.push(&s.wheel.slots[x.slot], i, ofWheel)
}

// keep renews session i until expires. One that now has less time than before
// must not wait for its old turn.
func (s *shard) keep(i uint32, x *session, expires time.Duration) {
	sooner := expires < x.expires
	x.expires = expires
	if sooner {
		s.remove(&s.wheel.slots[x.slot], i, ofWheel)
		s.schedule(i)
	}
}

// Tick forgets sessions whose time is over. It is to be called about once a
// second, by one goroutine, and does a bounded amount of work: more reports that
// there is some left, for a call that need not wait a second.
func (n *NAT) Tick(now time.Duration) (more bool) {
	n.ticked.Store(int64(now))
	work := sweepWork
	for range n.shards {
		s := &n.shards[n.sweep.Load()%shardCount]
		if s.expire(now, &work); work <= 0 {
			return true
		}
		n.sweep.Add(1)
	}
	return false
}

// expire looks at the sessions whose turn has come, at most as many as *work says.
func (s *shard) expire(now time.Duration, work *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.wheel
	second := int64(now / time.Second)
	// Every list is looked at once in a turn of the wheel.
	w.now = max(w.now, second-wheelSize)
	for w.now < second {
		slot := &w.slots[slotOf(w.now+1)]
		for *slot != 0 {
			if *work--; *work < 0 {
				return
			}
			i := *slot
			if x := s.session.at(i); x.expires <= now {
				s.close(now, i)
			} else {
				// It has time beyond this second, so it goes to a later slot.
				s.remove(slot, i, ofWheel)
				s.schedule(i)
			}
		}
		w.now++
	}
}
