package nat

// slab keeps entries of one kind in chunks that never move, by number. Numbers
// begin with 1; 0 is none. Entries hold no pointers, so the garbage collector has
// nothing to look for in them. Memory grows with the most that were ever in use
// at once, which the NAT's limits bound.
type slab[T any] struct {
	chunks []*[chunk]T
	free   []uint32
	next   uint32 // the first number that was never in use, less one
}

const chunk = 256

func (s *slab[T]) at(i uint32) *T { return &s.chunks[(i-1)/chunk][(i-1)%chunk] }

// take is a free entry, as it was left.
func (s *slab[T]) take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if s.next%chunk == 0 {
		s.chunks = append(s.chunks, new([chunk]T))
	}
	s.next++
	return s.next
}

func (s *slab[T]) give(i uint32) { s.free = append(s.free, i) }

// links are a session's neighbours in a list.
type links struct{ next, prev uint32 }

// list is which list: every session is in one of each kind.
type list int

const (
	ofWheel list = iota // sessions that are looked at in the same second
	ofUser              // sessions of a user
	lists
)

// push puts session i at the head of a list.
func (s *shard) push(head *uint32, i uint32, l list) {
	s.session.at(i).links[l] = links{next: *head}
	if *head != 0 {
		s.session.at(*head).links[l].prev = i
	}
	*head = i
}

// remove takes session i out of the list that head begins.
func (s *shard) remove(head *uint32, i uint32, l list) {
	at := s.session.at(i).links[l]
	if at.prev == 0 {
		*head = at.next
	} else {
		s.session.at(at.prev).links[l].next = at.next
	}
	if at.next != 0 {
		s.session.at(at.next).links[l].prev = at.prev
	}
}
