package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tributary/internal/aaa"
	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/internal/pool"
	"tributary/ppp"
)

// shared is everything of mode shared that is not one user's: the sessions that
// users share, the addresses they get, and who they may be.
type shared struct {
	g        *Gateway
	trunks   map[string]*trunk
	pools    map[string]*addressPool
	groups   map[string]*sharedGroup
	routes   routes
	routes6  routes6
	users6   users6
	files    map[string]*roster // by path
	reload   sync.Mutex         // one at a time
	verifier *aaa.Verifier
	store    *pool.Store
	natLog   *natLog
}

// sharedGroup is a group of lines whose users share sessions.
type sharedGroup struct {
	shared *shared
	name   string
	cfg    *config.Shared
	auth   []ppp.AuthMethod
	users  *roster // nil: nobody is asked who he is
	pool   *addressPool
	trunks []*trunk

	waiting waiters // for a session that is up and has room
}

// roster is a users file, of one group of lines or of several, and the sessions
// of its users.
type roster struct {
	current atomic.Pointer[aaa.Users]
	tally   aaa.Tally[*session]
}

// addressPool is a pool with its name.
type addressPool struct {
	cfg  *config.Pool
	pool *pool.Pool
	six  *prefixPool // nil without IPv6
}

// gatewayOf is our address towards users: the pool's or, if it has none, the session's own.
func (p *addressPool) gatewayOf(t *trunk) (a netip.Addr) {
	if p != nil {
		a = p.cfg.Gateway
	}
	if t == nil || a.IsValid() {
		return a
	}
	if st := t.state.Load(); st != nil {
		return st.local
	}
	return a
}

// Bounds of the logins under way.
const (
	verifyWorkers = 2
	verifyQueue   = 1024
)

// openShared opens what groups in mode shared need, if there are any.
func (g *Gateway) openShared() error {
	sh := &shared{
		g: g, trunks: make(map[string]*trunk), pools: make(map[string]*addressPool), groups: make(map[string]*sharedGroup),
		files: make(map[string]*roster), verifier: aaa.NewVerifier(verifyWorkers, verifyQueue),
	}
	g.shared = sh
	if len(g.cfg.Sessions) == 0 {
		return nil
	}
	if slices.ContainsFunc(g.cfg.Sessions, func(s config.Session) bool { return s.NAT }) {
		sh.natLog = newNATLog(g.log)
	}
	if g.cfg.StateDir != "" {
		var err error
		if sh.store, err = pool.OpenStore(g.cfg.StateDir, func(err error) { g.log.Error("leases are not kept", "err", err) }); err != nil {
			return err
		}
	}
	for i := range g.cfg.Sessions {
		c := &g.cfg.Sessions[i]
		secret, err := readSecret(c.PasswordFile)
		if err != nil {
			return fmt.Errorf("sessions %s: %w", c.Name, err)
		}
		up := g.uplink(c.Uplink)
		if up == nil {
			return fmt.Errorf("sessions %s: there is no uplink %q", c.Name, c.Uplink)
		}
		sh.trunks[c.Name] = newTrunk(g, c, up, secret)
	}
	if err := sh.openGroups(); err != nil {
		return err
	}
	for name, t := range sh.trunks {
		if sh.used(t) {
			g.listeners = append(g.listeners, groupListener{t, &t.group, t.up})
		} else {
			t.status.enter(g.born, SessionUnused)
			g.log.Warn("no lines use the session; it is not dialled", "session", name)
		}
	}
	return nil
}

func (sh *shared) used(t *trunk) bool {
	if t.delegates != nil {
		return true
	}
	for _, g := range sh.groups {
		if slices.Contains(g.trunks, t) {
			return true
		}
	}
	return false
}

func (sh *shared) openGroups() error {
	var fixed []netip.Addr
	for i := range sh.g.cfg.Lines {
		l := &sh.g.cfg.Lines[i]
		if l.Shared == nil {
			continue
		}
		g := &sharedGroup{shared: sh, name: l.Name, cfg: l.Shared, auth: methods(l.Shared.Auth)}
		if l.Shared.Users != "" {
			if g.users = sh.files[l.Shared.Users]; g.users == nil {
				users, err := aaa.Load(l.Shared.Users)
				if err != nil {
					return fmt.Errorf("lines %s: %w", l.Name, err)
				}
				g.users = new(roster)
				g.users.current.Store(users)
				sh.files[l.Shared.Users] = g.users
				fixed = append(fixed, users.Fixed()...)
			}
		}
		for _, name := range l.Shared.Sessions {
			t := sh.trunks[name]
			if t == nil {
				return fmt.Errorf("lines %s: there is no session %q", l.Name, name)
			}
			g.trunks = append(g.trunks, t)
		}
		sh.groups[l.Name] = g
	}
	for i := range sh.g.cfg.Pools {
		c := &sh.g.cfg.Pools[i]
		pc := pool.Config{Name: c.Name, Prefix: c.Prefix, Fixed: fixed, Store: sh.store}
		for _, r := range c.Exclude {
			pc.Exclude = append(pc.Exclude, pool.Range(r))
		}
		if c.Gateway.IsValid() {
			pc.Exclude = append(pc.Exclude, pool.Range{First: c.Gateway, Last: c.Gateway})
		}
		p, err := pool.New(pc)
		if err != nil {
			return fmt.Errorf("pools %s: %w", c.Name, err)
		}
		six, err := sh.newPrefixPool(c)
		if err != nil {
			return fmt.Errorf("pools %s: %w", c.Name, err)
		}
		sh.pools[c.Name] = &addressPool{c, p, six}
	}
	sh.routes.open(sh.g.cfg.Pools)
	for i := range sh.g.cfg.Lines {
		l := &sh.g.cfg.Lines[i]
		if g := sh.groups[l.Name]; g != nil {
			if g.pool = sh.pools[l.Shared.Pool]; g.pool == nil {
				return fmt.Errorf("lines %s: there is no pool %q", l.Name, l.Shared.Pool)
			}
		}
	}
	for _, f := range sh.files {
		// A user's own pool must be there before he dials in.
		if err := f.current.Load().CheckPools(sh.hasPool); err != nil {
			return err
		}
	}
	return nil
}

func (sh *shared) hasPool(name string) bool { return sh.pools[name] != nil }

// close lets go of what openShared opened.
func (sh *shared) close() error {
	if sh == nil {
		return nil
	}
	sh.verifier.Close()
	for _, t := range sh.trunks {
		t.closeNAT()
	}
	sh.natLog.close()
	if sh.store == nil {
		return nil
	}
	return sh.store.Close()
}

// maxSecret is the largest password file, in octets: a password, and room for what
// people write below it.
const maxSecret = 64 << 10

// readSecret reads a password file: its first line.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := aaa.ReadSecret(path, maxSecret)
	if err != nil {
		return "", err
	}
	secret, _, _ := strings.Cut(string(text), "\n")
	secret = strings.TrimSuffix(secret, "\r")
	if secret == "" {
		return "", fmt.Errorf("%s: its first line, the password, is empty", path)
	}
	return secret, nil
}

// poolOf is where a user's address comes from.
func (g *sharedGroup) poolOf(u *aaa.User) *addressPool {
	if u != nil && u.Pool != "" {
		if p := g.shared.pools[u.Pool]; p != nil {
			return p
		}
	}
	return g.pool
}

// reserve takes a session's own address out of the pools that it is of, as with
// an ISP that gives the session one of the prefix it routes there. A user who has it
// from before loses it: it is not his any more, whatever the pool says.
func (sh *shared) reserve(t *trunk, local netip.Addr) (from []*addressPool) {
	for _, p := range sh.pools {
		if !p.cfg.Prefix.Contains(local) {
			continue
		}
		if _, err := p.pool.Take(t.Addr(), local, local); err == nil {
			from = append(from, p)
		} else if s := sh.routes.user(ip.Addr4(local)); s != nil {
			sh.g.log.Warn("a user has the address that the ISP gave to the session", "line", s.info.Name, "address", local, "session", t.cfg.Name)
			s.owner.post(event{s: s, kind: evEnd, aux: ending{reason: ReasonNoAddress, message: "the address " + local.String() + " is the session's"}})
		}
	}
	return from
}

// limits are the times that a user may stay: his own, else the group's.
func (g *sharedGroup) limits(u *aaa.User) aaa.Limits {
	l := aaa.Limits{Session: g.cfg.SessionTimeout, Idle: g.cfg.IdleTimeout}
	if u == nil {
		return l
	}
	if u.Limits.Session > 0 {
		l.Session = u.Limits.Session
	}
	if u.Limits.Idle > 0 {
		l.Idle = u.Limits.Idle
	}
	return l
}

// anyUp is a session of the group's that is up, nil if none is.
func (g *sharedGroup) anyUp() *trunk {
	for _, t := range g.trunks {
		if t.state.Load() != nil {
			return t
		}
	}
	return nil
}

// trunkUp tells those who wait for a session that one is up.
func (sh *shared) trunkUp() {
	for _, g := range sh.groups {
		g.waiting.wakeAll(event{kind: evTrunkUp})
	}
}

// trunkFree tells one who waits that there is room on t; false if nobody waits.
func (sh *shared) trunkFree(t *trunk) bool {
	for _, g := range sh.groups {
		if slices.Contains(g.trunks, t) && g.waiting.wakeOne(event{kind: evTrunkUp}) {
			return true
		}
	}
	return false
}

// whyNoTrunk is what keeps users waiting.
func (g *sharedGroup) whyNoTrunk() string {
	for _, t := range g.trunks {
		if t.portsGone() {
			return "the address of session " + t.cfg.Name + " has no ports left for one more user (nat_ports)"
		}
	}
	if g.anyUp() != nil {
		return "the sessions with the ISP have as many users as they may have"
	}
	for _, t := range g.trunks {
		if t.carries(false) {
			return "no session with the ISP has IPv4"
		}
	}
	return "no session with the ISP is up"
}
