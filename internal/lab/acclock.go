package lab

import (
	"container/heap"
	"time"
)

// acClock is the sessions whose links wait for a time, the earliest first: ten
// thousand of them are not all asked at each tick.
type acClock []*acSession

func (c acClock) Len() int           { return len(c) }
func (c acClock) Less(i, j int) bool { return c[i].at.Before(c[j].at) }
func (c acClock) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].place, c[j].place = i, j
}
func (c *acClock) Push(x any) {
	s := x.(*acSession)
	s.place = len(*c)
	*c = append(*c, s)
}
func (c *acClock) Pop() any {
	old := *c
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*c = old[:len(old)-1]
	s.place = noPlace
	return s
}

// noPlace is the place of a session that waits for nothing.
const noPlace = -1

// schedule puts s where its link's deadline belongs; a session that is over waits
// for nothing.
func (a *AC) schedule(s *acSession) {
	var at time.Time
	if a.byID[s.key] == s {
		at = s.link.Deadline()
	}
	switch {
	case at.IsZero() && s.place == noPlace:
	case at.IsZero():
		heap.Remove(&a.clock, s.place)
	case s.place == noPlace:
		s.at = at
		heap.Push(&a.clock, s)
	case !at.Equal(s.at):
		s.at = at
		heap.Fix(&a.clock, s.place)
	}
}

// tickLinks gives every link its turn that is due.
func (a *AC) tickLinks(now time.Time) {
	var again []*acSession // a deadline that a tick did not move would spin here
	for len(a.clock) > 0 && due(now, a.clock[0].at) {
		s := heap.Pop(&a.clock).(*acSession)
		s.link.Tick(now)
		a.drainLink(now, s)
		if s.place != noPlace && due(now, s.at) {
			heap.Remove(&a.clock, s.place)
			again = append(again, s)
		}
	}
	for _, s := range again {
		a.schedule(s)
	}
}
