package nat

import (
	"net/netip"
	"time"
)

// User is one login of a subscriber: who is behind the NAT from Join to Leave.
type User struct {
	// ID is the login's. A packet names its user by it, and not by the address,
	// which is another user's as soon as this one has gone: a line's reader that
	// still has a packet of before, or the ISP's with one under way, can make or find
	// nothing of whoever has the address by then. No two logins have the same ID,
	// and none has 0.
	ID   uint32
	Addr netip.Addr // inside: for the log
	Name string     // for the log
	// Subscriber is whoever the blocks are kept for: one who comes back gets those
	// that he had. "" is whoever has the address.
	Subscriber string
}

// Join lets a user's packets through. It is false if the ID is somebody's.
func (n *NAT) Join(u User) bool {
	s := n.shardOf(u.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == 0 || s.users[u.ID] != nil {
		return false
	}
	key := "name " + u.Subscriber
	if u.Subscriber == "" {
		key = "address " + u.Addr.String()
	}
	s.users[u.ID] = &user{User: u, subscriber: n.pool.enter(key)}
	return true
}

// Leave forgets a user: its sessions, ports and blocks. What a goroutine that knew
// the user still sends is dropped.
func (n *NAT) Leave(now time.Duration, id uint32) {
	s := n.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(now, id)
}

func (s *shard) leave(now time.Duration, id uint32) {
	u := s.users[id]
	if u == nil {
		return
	}
	for u.first != 0 {
		s.close(now, u.first)
	}
	for len(u.blocks) > 0 {
		s.nat.release(now, u.blocks[0])
	}
	delete(s.users, id)
	s.nat.pool.exit(u.subscriber)
}

// behind reports whether a user has joined and not left.
func (n *NAT) behind(id uint32) bool {
	s := n.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[id] != nil
}

// Close forgets all users, because the external address is gone.
func (n *NAT) Close(now time.Duration) {
	for i := range n.shards {
		s := &n.shards[i]
		s.mu.Lock()
		for id := range s.users {
			s.leave(now, id)
		}
		s.mu.Unlock()
	}
}

// Room is how many more users than so many there are blocks for, one each; those
// that are to join are among them as those that have.
func (n *NAT) Room(users int) int {
	n.pool.mu.Lock()
	defer n.pool.mu.Unlock()
	return n.pool.free + n.pool.served - users
}
