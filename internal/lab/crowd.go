package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"tributary/internal/frame"
	"tributary/internal/line"
)

// CrowdConfig is many users who all do the same.
type CrowdConfig struct {
	Users int
	// Dial makes user i's line. It is called by many goroutines at once.
	Dial func(ctx context.Context, i int) (line.Line, error)
	// Account is user i's name and secret; nil is the lab's own.
	Account func(i int) (user, secret string)
	Async   bool // the lines have RFC 1662 framing
	Pool    *frame.Pool
	// Internet is the lab's host that they ping, and load from and to.
	Internet netip.Addr
	// Neighbour is another user, by number, whom user i pings in each round as
	// well, while he is there; ok is false if there is none. May be nil.
	Neighbour func(i int) (j int, ok bool)
	// Patience bounds each step: a log-in, a transfer. 0 is a minute.
	Patience time.Duration
}

// Crowd is users in user space: each dials, logs in, pings, downloads and
// uploads, again and again, and hangs up at the end.
type Crowd struct {
	cfg   CrowdConfig
	users []*crowdUser

	mu    sync.Mutex
	first error // the first thing that failed
}

// CrowdUser is how far one user of a crowd is, as a copy.
type CrowdUser struct {
	Name    string
	Phase   string // "dialling", "lcp", "auth", "network", "done", "failed"
	Network Network
	Traffic Traffic
	Line    line.Counters // of the user's end
	// Neighbour is how many of the replies were his neighbour's; Hops is through
	// how many routers the last of them came.
	Neighbour uint64
	Hops      int
	Err       error // why it failed
}

type crowdUser struct {
	crowd *Crowd
	index int

	neighbour *crowdUser    // nil: none
	visitors  []*crowdUser  // whose neighbour this one is
	there     chan struct{} // closed: he can be pinged, or is over
	visited   chan struct{} // closed: he has pinged his neighbour, or is over
	arrive    sync.Once
	visit     sync.Once

	mu  sync.Mutex
	at  CrowdUser
	sub *Subscriber // nil before there is a line
}

// NewCrowd makes a crowd that has not begun.
func NewCrowd(cfg CrowdConfig) *Crowd {
	if cfg.Account == nil {
		cfg.Account = Account
	}
	if cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	c := &Crowd{cfg: cfg, users: make([]*crowdUser, cfg.Users)}
	for i := range c.users {
		u := &crowdUser{crowd: c, index: i, there: make(chan struct{}), visited: make(chan struct{})}
		u.at.Name, _ = cfg.Account(i)
		u.at.Phase = "dialling"
		c.users[i] = u
	}
	for i, u := range c.users {
		if cfg.Neighbour == nil {
			break
		}
		if j, ok := cfg.Neighbour(i); ok && j != i && j >= 0 && j < len(c.users) {
			u.neighbour = c.users[j]
			u.neighbour.visitors = append(u.neighbour.visitors, u)
		}
	}
	return c
}

// Run lets everyone go until ctx is done, or until everyone has failed. Each
// user finishes one round of everything first, then all hang up. The error is
// the first thing that failed.
func (c *Crowd) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, u := range c.users {
		wg.Go(func() {
			err := u.run(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", u.at.Name, err)
			}
			u.end(err)
		})
	}
	wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// Users is how far each is, by number.
func (c *Crowd) Users() []CrowdUser {
	all := make([]CrowdUser, len(c.users))
	for i, u := range c.users {
		u.mu.Lock()
		all[i] = u.at
		if u.sub != nil {
			all[i].Traffic, all[i].Line = u.sub.Traffic(), u.sub.Line().Counters()
		}
		u.mu.Unlock()
	}
	return all
}

func (u *crowdUser) phase(phase, _ string) {
	u.mu.Lock()
	u.at.Phase = phase
	u.mu.Unlock()
}

func (u *crowdUser) end(err error) {
	u.mu.Lock()
	u.at.Err, u.at.Phase = err, "done"
	if err != nil {
		u.at.Phase = "failed"
	}
	u.mu.Unlock()
	if c := u.crowd; err != nil {
		c.mu.Lock()
		if c.first == nil {
			c.first = err
		}
		c.mu.Unlock()
	}
	// Now at the latest, and after the error: what others then fail of is not the first.
	u.arrive.Do(func() { close(u.there) })
	u.visit.Do(func() { close(u.visited) })
}

// run is one user's life.
func (u *crowdUser) run(ctx context.Context) (err error) {
	cfg := &u.crowd.cfg
	wait, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), cfg.Patience, errPatience)
	defer cancel()
	ln, err := cfg.Dial(wait, u.index)
	if err != nil {
		return err
	}
	user, secret := cfg.Account(u.index)
	s := NewSubscriber(ln, cfg.Pool, SubscriberConfig{
		User: user, Secret: secret, Async: cfg.Async, PFC: cfg.Async, ACFC: cfg.Async, Phase: u.phase,
	})
	u.mu.Lock()
	u.sub = s
	u.mu.Unlock()
	defer func() {
		if ended := s.Close(); err == nil { // else it is the same, or follows from it
			err = ended
		}
	}()
	n, err := s.Network(wait)
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.at.Network = n
	u.mu.Unlock()
	if err := u.surf(ctx, s); err != nil {
		return err
	}
	return u.stay(s)
}

// stay waits for those who have yet to ping this user.
func (u *crowdUser) stay(s *Subscriber) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), u.crowd.cfg.Patience, errPatience)
	defer cancel()
	for _, v := range u.visitors {
		select {
		case <-v.visited:
		case <-s.over:
			return s.ended()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

var errPatience = errors.New("it took too long")

// Bounds of one transfer, in octets, and the time that it should take: long
// enough to fill the path, short enough for many rounds.
const (
	minTransfer = 64 << 10
	maxTransfer = 16 << 20
	fitTransfer = 400 * time.Millisecond
)

// surf uses the network until ctx is done, but once at least.
func (u *crowdUser) surf(ctx context.Context, s *Subscriber) error {
	cfg := &u.crowd.cfg
	client := s.Client()
	defer client.CloseIdleConnections()
	down, up := int64(minTransfer), int64(minTransfer)
	for round := context.WithoutCancel(ctx); ; round = ctx {
		step, cancel := context.WithTimeoutCause(round, cfg.Patience, errPatience)
		err := u.round(step, s, func(ctx context.Context) (err error) {
			if down, err = timed(down, func() error { return s.Download(ctx, client, cfg.Internet, down) }); err != nil {
				return err
			}
			up, err = timed(up, func() error { return s.Upload(ctx, client, cfg.Internet, up) })
			return err
		})
		cancel()
		if round.Err() != nil && !errors.Is(err, errCorrupt) {
			return nil // the end came in the middle of a round
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// round pings, transfers, and pings again: the host, and in between the neighbour.
func (u *crowdUser) round(ctx context.Context, s *Subscriber, transfer func(context.Context) error) error {
	if err := u.ping(ctx, s); err != nil {
		return err
	}
	// The reply says that the other end of the link is open as well.
	u.arrive.Do(func() { close(u.there) })
	if err := transfer(ctx); err != nil {
		return err
	}
	if err := u.pingNeighbour(ctx, s); err != nil {
		return err
	}
	return u.ping(ctx, s)
}

// Pings are lost on a good path too, when queues are full.
const (
	pingTries = 5
	pingWait  = 2 * time.Second
)

func (u *crowdUser) ping(ctx context.Context, s *Subscriber) error {
	_, err := pingAgain(ctx, s, u.crowd.cfg.Internet)
	return err
}

func pingAgain(ctx context.Context, s *Subscriber, to netip.Addr) (hops int, err error) {
	for range pingTries {
		try, cancel := context.WithTimeout(ctx, pingWait)
		_, hops, err = s.pingHops(try, to, 56)
		cancel()
		if err == nil || ctx.Err() != nil {
			return hops, err
		}
	}
	return 0, err
}

// pingNeighbour waits for the neighbour to be there, and pings him unless he has
// failed or hung up.
func (u *crowdUser) pingNeighbour(ctx context.Context, s *Subscriber) error {
	n := u.neighbour
	if n == nil {
		return nil
	}
	select {
	case <-n.there:
	case <-s.over:
		return s.ended()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	to, there := n.address()
	if !there {
		return nil
	}
	hops, err := pingAgain(ctx, s, to)
	if err != nil {
		if _, there := n.address(); !there {
			return nil // he went meanwhile
		}
		return fmt.Errorf("to %s: %w", n.at.Name, err)
	}
	u.mu.Lock()
	u.at.Neighbour++
	u.at.Hops = hops
	u.mu.Unlock()
	u.visit.Do(func() { close(u.visited) })
	return nil
}

// address is the user's, and whether he is there.
func (u *crowdUser) address() (addr netip.Addr, there bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	over := u.at.Phase == "done" || u.at.Phase == "failed"
	return u.at.Network.Address, u.at.Network.Address.IsValid() && !over
}

// timed runs one transfer of size octets and says how large the next should be.
func timed(size int64, f func() error) (int64, error) {
	begin := time.Now()
	if err := f(); err != nil {
		return size, err
	}
	switch took := time.Since(begin); {
	case took < fitTransfer/2:
		size = min(2*size, maxTransfer)
	case took > fitTransfer*2:
		size = max(size/2, minTransfer)
	}
	return size, nil
}
