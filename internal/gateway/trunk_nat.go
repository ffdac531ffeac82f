package gateway

import (
	"net/netip"
	"time"

	"tributary/internal/nat"
)

// natOf is the NAT behind the address that the ISP gave: that of before, if it is
// the same address. Then an ISP that negotiates once more, or a session that is
// dialled again soon enough, costs users no mapping; and ports that rest go on to.
func (t *trunk) natOf(external netip.Addr) (*nat.NAT, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nat != nil && t.nat.External() == external {
		return t.nat, nil
	}
	n, err := nat.New(nat.Config{
		External: external, BlockSize: t.cfg.NATPorts.Block, BlocksPerUser: t.cfg.NATPorts.Blocks,
		OnBlock: func(b nat.Block) { t.g.shared.natLog.put(t, b) },
	})
	if err != nil {
		return nil, err
	}
	t.dropNAT()
	for _, u := range t.members {
		if u.ID != 0 {
			n.Join(u)
		}
	}
	t.nat, t.natDone = n, make(chan struct{})
	done := t.natDone
	t.g.readers.Go(func() { t.tickNAT(n, done) })
	return n, nil
}

// closeNAT is the trunk's end.
func (t *trunk) closeNAT() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropNAT()
}

// dropNAT forgets the NAT, under the lock.
func (t *trunk) dropNAT() {
	if t.nat == nil {
		return
	}
	close(t.natDone)
	t.nat.Close(clock())
	t.nat = nil
}

// tickNAT forgets sessions whose time is over until done, and tells those who wait
// for ports that some are free. Its time goes on while the trunk is down.
func (t *trunk) tickNAT(n *nat.NAT, done chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			full := t.free() <= 0
			for n.Tick(clock()) {
			}
			if full {
				t.wake()
			}
		case <-done:
			return
		case <-t.stop:
			return
		}
	}
}

// enter lets a user of the trunk through its NAT, and is the login that his packets
// are known by there; 0 without NAT. Whoever it is once more keeps his mappings: IPCP
// may come up again with the same address.
func (t *trunk) enter(s *session, u nat.User) uint32 {
	if !t.cfg.NAT {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was, ok := t.members[s]
	if u.ID = was.ID; !ok || u == was && u.ID != 0 {
		return u.ID
	}
	if was.ID != 0 && t.nat != nil {
		t.nat.Leave(clock(), was.ID)
	}
	for ok = false; !ok; {
		t.lastLogin++
		u.ID = t.lastLogin
		ok = t.nat == nil || t.nat.Join(u)
	}
	t.members[s] = u
	return u.ID
}

// behindNAT is who the user is to a NAT. Without a name he is whoever has the
// address.
func (u *subscriber) behindNAT() nat.User {
	b := nat.User{Addr: u.addr, Name: u.shownName()}
	if u.user != nil {
		b.Subscriber = u.user.Name + "\x00" + u.group.cfg.Users
	}
	return b
}

// portsGone reports whether it is ports that keep users from a trunk which is up.
func (t *trunk) portsGone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.Load() == nil || t.nat == nil {
		return false
	}
	n := len(t.members)
	return t.nat.Room(n) <= 0 && (t.cfg.MaxUsers == 0 || n < t.cfg.MaxUsers)
}

// natStats is what there is behind NAT; ok is false without it.
func (t *trunk) natStats() (s nat.Stats, ok bool) {
	t.mu.Lock()
	n := t.nat
	t.mu.Unlock()
	if n == nil {
		return s, false
	}
	return n.Stats(), true
}
