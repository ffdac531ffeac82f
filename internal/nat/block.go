package nat

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// block is a range of external ports that one user has, of every protocol. Its
// fields belong to the shard of its user, under that shard's lock, and those of
// rest to the pool.
type block struct {
	owner atomic.Uint32 // number of the shard and one; 0 is nobody
	user  *user
	used  [spaces]int
	ports [spaces][]uint32 // the mapping that has a port, 0 if none has
	rest
}

// rest is a block's place in the pool, while nobody has it.
type rest struct {
	from       time.Duration // when it may be anybody's
	last       *subscriber   // whose it was; nil: nobody's yet
	prev, next uint32        // blocks that became free before and after it; 0: none
}

// pool is the blocks that nobody has, in the order in which they became free.
// Block 0, of System Ports, is never one of them.
type pool struct {
	mu          sync.Mutex
	blocks      []block
	head, tail  uint32
	free, all   int
	subscribers map[string]*subscriber
	joined      int // users
	served      int // of these have a block
}

// subscriber is whoever blocks are kept for: as long as one of his logins lasts, or
// a block that was his is nobody else's.
type subscriber struct {
	key     string
	logins  int
	resting []uint32 // in the order in which they became free
}

func (p *pool) init(blocks []block, first, last int) {
	p.blocks, p.subscribers = blocks, make(map[string]*subscriber)
	for i := first; i <= last; i++ {
		p.put(uint32(i), rest{from: -1 << 63}) // any clock has begun by the least Duration
	}
	p.all = p.free
}

// put makes a block the last of those that are free.
func (p *pool) put(number uint32, r rest) {
	r.prev = p.tail
	if r.prev == 0 {
		p.head = number
	} else {
		p.blocks[r.prev].next = number
	}
	p.blocks[number].rest, p.tail = r, number
	p.free++
	if r.last != nil {
		r.last.resting = append(r.last.resting, number)
	}
}

// take has a block be free no longer.
func (p *pool) take(number uint32) {
	r := p.blocks[number].rest
	if r.prev == 0 {
		p.head = r.next
	} else {
		p.blocks[r.prev].next = r.next
	}
	if r.next == 0 {
		p.tail = r.prev
	} else {
		p.blocks[r.next].prev = r.prev
	}
	p.blocks[number].rest = rest{}
	p.free--
	if r.last != nil {
		// Of all free blocks and of one subscriber's, it is always the first that goes.
		r.last.resting = slices.Delete(r.last.resting, 0, 1)
		p.forget(r.last)
	}
}

// forget lets go of a subscriber that nothing is kept for.
func (p *pool) forget(s *subscriber) {
	if s.logins == 0 && len(s.resting) == 0 {
		delete(p.subscribers, s.key)
	}
}

// enter counts one more login.
func (p *pool) enter(key string) *subscriber {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.subscribers[key]
	if s == nil {
		s = &subscriber{key: key}
		p.subscribers[key] = s
	}
	s.logins++
	p.joined++
	return s
}

// exit counts one less, of a user who has given back what he had.
func (p *pool) exit(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.logins--
	p.joined--
	p.forget(s)
}

// choose is the block that u gets next, 0 if none. RFC 6888 REQ-8: "Once an
// external port is deallocated, it SHOULD NOT be reallocated to a new mapping until
// at least 120 seconds have passed", so that nobody gets what was meant for another.
//
// A subscriber gets back what was his, rested or not: what still comes was meant for
// him. REQ-8 makes the same exception (B) for ports that are assigned to a subscriber
// for good. It also means that who dials in again and again never has more blocks,
// resting ones included, than his logins may have at once.
//
// Who has none gets the block that has rested longest even if that is not long
// enough, for without it he has no network at all. REQ-8 makes that exception (C)
// for ports whose filtering looks at addresses: what was meant for another does
// not get through to him. So nobody can take the ports of the others by dialling in
// as ever new subscribers, either.
func (n *NAT) choose(now time.Duration, u *user) uint32 {
	p := &n.pool
	more := len(u.blocks) > 0
	switch {
	case p.free == 0:
		return 0
	case more && p.free <= p.joined-p.served:
		return 0 // whoever has none yet comes first
	case len(u.subscriber.resting) > 0:
		return u.subscriber.resting[0]
	case p.blocks[p.head].from <= now, !more && n.cfg.Filtering != EndpointIndependent:
		return p.head
	}
	return 0
}

// assign gives u, whose shard is s and locked, one more block.
func (n *NAT) assign(now time.Duration, s *shard, u *user) (number uint32, ok bool) {
	p := &n.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if number = n.choose(now, u); number == 0 {
		return 0, false
	}
	p.take(number)
	if len(u.blocks) == 0 {
		p.served++
	}
	u.blocks = append(u.blocks, number)
	b := &n.blocks[number]
	b.user = u
	if b.ports[0] == nil {
		for i := range b.ports {
			b.ports[i] = make([]uint32, n.cfg.BlockSize)
		}
	}
	b.owner.Store(s.number + 1)
	n.tell(u, number, false)
	return number, true
}

// release takes a block back from its user, whose shard is locked. No mapping is
// in it any more.
func (n *NAT) release(now time.Duration, number uint32) {
	p, b := &n.pool, &n.blocks[number]
	p.mu.Lock()
	defer p.mu.Unlock()
	u := b.user
	n.tell(u, number, true)
	b.owner.Store(0)
	b.user = nil
	u.blocks = slices.DeleteFunc(u.blocks, func(b uint32) bool { return b == number })
	if len(u.blocks) == 0 {
		p.served--
	}
	p.put(number, rest{from: now + max(n.cfg.HoldDown, 0), last: u.subscriber})
}

// tell is under the pool's lock, so that who gets a block is told after who had it.
func (n *NAT) tell(u *user, number uint32, released bool) {
	if n.cfg.OnBlock == nil {
		return
	}
	first := number << n.shift
	n.cfg.OnBlock(Block{
		User:     u.User,
		External: n.cfg.External,
		First:    uint16(first),
		Last:     uint16(first + uint32(n.cfg.BlockSize) - 1),
		Released: released,
	})
}
