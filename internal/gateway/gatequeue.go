package gateway

import (
	"container/heap"
	"time"

	"tributary/pppoe"
)

// padiKind is what a PADI is to its search.
type padiKind uint8

const (
	firstPADI padiKind = iota
	repetition
	padiKinds
)

// turnCost is how far behind the turn that is being served a new one is, and how far
// behind the last one of its kind. It is fair queueing with self-clocked time (Golestani, 1994) of
// two kinds, of which repetitions weigh a third.
var turnCost = [padiKinds]uint64{firstPADI: 1, repetition: 3}

// turns gives out the order of PADIs. A turn never changes, and so many only can be
// given that are before it: nobody starves.
type turns struct {
	served  uint64 // the turn that was served last
	last    [padiKinds]uint64
	waiting [padiKinds]int
}

func (t *turns) give(k padiKind) uint64 {
	if t.waiting[k] == 0 {
		t.last[k] = 0 // those who had the later ones have left
	}
	t.last[k] = max(t.last[k], t.served) + turnCost[k]
	t.waiting[k]++
	return t.last[k]
}

func (t *turns) serve(k padiKind, turn uint64) {
	t.served = max(t.served, turn)
	t.waiting[k]--
}

func (t *turns) leave(k padiKind) { t.waiting[k]-- }

// station is one address of ours, as an AC sees it.
type station struct {
	mac     pppoe.MAC
	waiting [padiKinds]passQueue
	busy    bool       // one of its lines has leave, and has not used it yet
	until   time.Time  // it rests
	at      [heaps]int // its place in each heap; -1: it is not there
}

func newStation(mac pppoe.MAC) *station {
	st := &station{mac: mac}
	for h := range st.at {
		st.at[h] = -1
	}
	return st
}

// turn is that of the first who waits for a PADI of kind k.
func (st *station) turn(k padiKind) uint64 { return st.waiting[k].head.pass.turn }

// place puts a station where it now belongs. A station that rests, or waits for an
// owner to use its leave, is not among those whose turn may come. A zero now ends no rest.
func (g *gate) place(st *station, now time.Time) {
	rests := st.until.After(now)
	g.heaps[resting].hold(st, rests && !st.busy)
	idle := !rests && !st.busy
	for k := firstPADI; k < padiKinds; k++ {
		g.heaps[k].hold(st, !rests && !st.busy && st.waiting[k].head != nil)
		idle = idle && st.waiting[k].head == nil
	}
	if idle && g.stations[st.mac] == st {
		delete(g.stations, st.mac)
	}
}

// The heaps of a gate: the stations that may send, by the turn of a first PADI and
// by that of a repetition, and those that rest, by when that ends.
const (
	resting = int(padiKinds)
	heaps   = resting + 1
)

func newHeaps() (h [heaps]stationHeap) {
	for i := range h {
		h[i].which = i
	}
	return h
}

// stationHeap has the station that comes first in front.
type stationHeap struct {
	which int
	items []*station
}

func (h *stationHeap) first() *station {
	if len(h.items) == 0 {
		return nil
	}
	return h.items[0]
}

// hold puts st in the heap, or in its right place there, or out of it.
func (h *stationHeap) hold(st *station, in bool) {
	switch at := st.at[h.which]; {
	case in && at < 0:
		heap.Push(h, st)
	case in:
		heap.Fix(h, at)
	case at >= 0:
		heap.Remove(h, at)
	}
}

func (h *stationHeap) Len() int { return len(h.items) }

func (h *stationHeap) Less(i, j int) bool {
	a, b := h.items[i], h.items[j]
	if h.which == resting {
		return a.until.Before(b.until)
	}
	return a.turn(padiKind(h.which)) < b.turn(padiKind(h.which))
}

func (h *stationHeap) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].at[h.which], h.items[j].at[h.which] = i, j
}

func (h *stationHeap) Push(x any) {
	st := x.(*station)
	st.at[h.which] = len(h.items)
	h.items = append(h.items, st)
}

func (h *stationHeap) Pop() any {
	last := len(h.items) - 1
	st := h.items[last]
	h.items[last], h.items = nil, h.items[:last]
	st.at[h.which] = -1
	return st
}

// passQueue is the sessions that wait at one station, the one with the least turn
// in front. They are linked through their passes.
type passQueue struct{ head, tail *session }

func (q *passQueue) push(s *session) {
	s.pass.before, s.pass.behind = q.tail, nil
	if q.tail == nil {
		q.head = s
	} else {
		q.tail.pass.behind = s
	}
	q.tail = s
}

func (q *passQueue) pop() *session {
	s := q.head
	q.remove(s)
	return s
}

func (q *passQueue) remove(s *session) {
	p := &s.pass
	if p.before == nil {
		q.head = p.behind
	} else {
		p.before.pass.behind = p.behind
	}
	if p.behind == nil {
		q.tail = p.before
	} else {
		p.behind.pass.before = p.before
	}
	p.before, p.behind = nil, nil
}
