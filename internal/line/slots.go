package line

import (
	"math/bits"
	"sync"
)

// slots hands out the numbers of a listener's lines, from 1, always the lowest
// that is free: a group of modems looks the same to the operator every day,
// and a user who dials again mostly gets the place that he had.
type slots struct {
	mu   sync.Mutex
	max  int // 0 is no limit
	used []uint64
	n    int
}

// take gives the lowest free number, ok false when max are taken.
func (s *slots) take() (slot int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.max > 0 && s.n >= s.max {
		return 0, false
	}
	s.n++
	for i, w := range s.used {
		if ^w != 0 {
			b := bits.TrailingZeros64(^w)
			s.used[i] |= 1 << b
			return i*64 + b + 1, true
		}
	}
	s.used = append(s.used, 1)
	return (len(s.used)-1)*64 + 1, true
}

// free takes back a number that take gave.
func (s *slots) free(slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, b := (slot-1)/64, uint64(1)<<((slot-1)%64)
	if s.used[i]&b != 0 {
		s.used[i] &^= b
		s.n--
	}
}
