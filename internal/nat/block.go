package nat

import (
	"sync"
	"sync/atomic"
	"time"
)

// block is a range of external ports that one user has, of every protocol. Its
// fields belong to the shard of its owner, under that shard's lock, and to nobody
// while it has none.
type block struct {
	owner atomic.Uint32 // number of the shard and one; 0 is nobody
	user  *user
	used  [spaces]int
	ports [spaces][]uint32 // the mapping that has a port, 0 if none has
}

// pool is the blocks that nobody has, in the order in which they became free.
type pool struct {
	mu      sync.Mutex
	free    []resting // a ring
	head, n int
}

// resting is a free block and when it may be had.
type resting struct {
	number uint32
	from   time.Duration
}

func (p *pool) init(first, last int) {
	p.free = make([]resting, last-first+1)
	for i := range p.free {
		// Any clock has begun by the least Duration.
		p.free[i] = resting{uint32(first + i), -1 << 63}
	}
	p.n = len(p.free)
}

func (p *pool) size() (free, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n, len(p.free)
}

// assign gives the block that has rested longest to u, whose shard is locked.
func (n *NAT) assign(now time.Duration, s *shard, u *user) (number uint32, ok bool) {
	p := &n.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 || p.free[p.head].from > now {
		return 0, false
	}
	number = p.free[p.head].number
	p.head, p.n = (p.head+1)%len(p.free), p.n-1
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
	n.tell(b.user, number, true)
	b.owner.Store(0)
	b.user = nil
	p.free[(p.head+p.n)%len(p.free)] = resting{number, now + max(n.cfg.HoldDown, 0)}
	p.n++
}

// tell is under the pool's lock, so that who gets a block is told after who had it.
func (n *NAT) tell(u *user, number uint32, released bool) {
	if n.cfg.OnBlock == nil {
		return
	}
	first := number << n.shift
	n.cfg.OnBlock(Block{
		User:     u.id,
		External: n.cfg.External,
		First:    uint16(first),
		Last:     uint16(first + uint32(n.cfg.BlockSize) - 1),
		Released: released,
	})
}
