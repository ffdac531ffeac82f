package gateway

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
)

// A sharedRig is a rig in mode shared: callers with PPP of their own at one side,
// an ISP at the other.
type sharedRig struct {
	*rig
	isp *fakeISP
}

const usersFile = `users:
  - {name: alice, password: wonderland, sessions: 0}
  - {name: bob, password: builder}
  - {name: carol, password: christmas, address: 198.51.100.77}
  - {name: dave, password: diver, rate: {down: 64k, up: 64k}, limits: {session: 10m, idle: 1m}}
  - {name: eve, password: dropper, disabled: true}
`

// sharedConfig changes a rig's configuration to mode shared: one session, a pool.
func sharedConfig(t *testing.T, c *config.Config) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	l := &c.Lines[0]
	l.Mode, l.Uplink = config.ModeShared, ""
	l.Shared = config.NewShared("customers", write("users.yaml", usersFile), "office")
	s := config.NewSession("office", "isp")
	s.User, s.PasswordFile = "office@isp", write("secret", "the office\n")
	s.Auth = []config.Auth{config.AuthCHAPMD5, config.AuthMSCHAPv2, config.AuthPAP}
	c.Sessions = []config.Session{s}
	p := config.NewPool("customers", netip.MustParsePrefix("198.51.100.0/24"))
	p.Gateway = netip.MustParseAddr("198.51.100.1")
	c.Pools = []config.Pool{p}
}

// newSharedRig is a rig whose session with the ISP is up.
func newSharedRig(t *testing.T, change func(*config.Config)) *sharedRig {
	t.Helper()
	r := makeSharedRig(t, change)
	r.begin()
	r.wantEvent(EventTrunkUp, "the session is dialled at the start")
	return r
}

// makeSharedRig is one whose gateway does not run yet; see begin.
func makeSharedRig(t *testing.T, change func(*config.Config)) *sharedRig {
	t.Helper()
	r := &sharedRig{rig: makeRig(t, func(c *config.Config) {
		sharedConfig(t, c)
		if change != nil {
			change(c)
		}
	})}
	r.jitter = func(int64) int64 { return 0 }
	r.isp = newFakeISP(t, r.hub, r.pool)
	r.also = append(r.also, r.isp.close)
	return r
}

// begin starts the gateway, and lets discovery's offer wait pass.
func (r *sharedRig) begin() {
	r.t.Helper()
	r.start()
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// wantEmpty holds the gateway to having nothing of any user's.
func (r *sharedRig) wantEmpty(why string) {
	r.t.Helper()
	synctest.Wait()
	sh := r.gw.shared
	for name, p := range sh.pools {
		if n := p.pool.Stats().Taken; n != 0 {
			r.t.Errorf("%s: %d addresses of %s are taken", why, n, name)
		}
	}
	for name, t := range sh.trunks {
		t.mu.Lock()
		if n := len(t.members); n != 0 {
			r.t.Errorf("%s: %d users are on %s", why, n, name)
		}
		t.mu.Unlock()
	}
	for _, g := range sh.groups {
		if n := g.waiting.len(); n != 0 {
			r.t.Errorf("%s: %d users wait", why, n)
		}
		if g.users != nil {
			for u := range g.users.current.Load().All() {
				if n := g.users.tally.Sessions(u.Name); n != 0 {
					r.t.Errorf("%s: %s has %d sessions", why, u.Name, n)
				}
			}
		}
	}
	for i := range sh.routes.top {
		if n16 := sh.routes.top[i].Load(); n16 != nil {
			for j := range n16 {
				if n24 := n16[j].Load(); n24 != nil {
					for k := range n24 {
						if s := n24[k].Load(); s != nil && s != &sh.routes.router {
							r.t.Errorf("%s: %d.%d.%d.%d is somebody's", why, i>>8, i&0xff, j, k)
						}
					}
				}
			}
		}
	}
}

// wantEventOf takes events until one of this kind comes that is about the line.
func (r *rig) wantEventOf(line, kind string, why string) Event {
	r.t.Helper()
	for {
		if e := r.wantEvent(kind, why); e.Line == line {
			return e
		}
	}
}

// caller is a user whose end of the line speaks PPP.
type caller struct {
	t    *testing.T
	name string
	line line.Line
	pool *frame.Pool

	mu       sync.Mutex
	link     *ppp.Link
	timer    *time.Timer
	method   ppp.AuthMethod
	network  *ppp.NetworkUp // nil while it is down
	finished *ppp.Finished
	got      [][]byte // IP packets
	frames   [][]byte // control frames, as they came
	over     bool     // the line is closed
	six      caller6
}

// as is a caller's configuration: who he is, and what he agrees to.
func as(user, password string, accept ...ppp.AuthMethod) ppp.LinkConfig {
	return ppp.LinkConfig{Async: true, PFC: true, ACFC: true, Name: user, Secret: password, Accept: accept, IPv4: &ppp.IPv4Config{AskDNS: true}}
}

// call dials in, and lets what happens at once happen.
func (r *rig) call(name string, cfg ppp.LinkConfig) *caller {
	r.t.Helper()
	c := r.dialIn(name, cfg)
	synctest.Wait()
	return c
}

// dialIn dials in, from any goroutine.
func (r *rig) dialIn(name string, cfg ppp.LinkConfig) *caller {
	near, far := line.Pipe(line.Info{Name: name, Group: "virtual", Kind: "pipe", Remote: "test"}, r.pool, line.PipeOptions{})
	c := &caller{t: r.t, name: name, line: line.Over(far, line.Info{Name: "caller on " + name}, r.pool), pool: r.pool, link: ppp.NewLink(cfg)}
	c.timer = time.AfterFunc(time.Hour, c.tick)
	r.lines.c <- near
	c.do(func(now time.Time) {
		c.link.Open(now)
		c.link.Up(now)
	})
	go c.read()
	return c
}

// login is call for one who is let in.
func (r *rig) login(name string, cfg ppp.LinkConfig) *caller {
	r.t.Helper()
	c := r.call(name, cfg)
	c.wantUp("he is who he says")
	return c
}

func (c *caller) read() {
	var batch [8]*frame.Buf
	for {
		n, err := c.line.Read(batch[:])
		c.do(func(now time.Time) {
			for _, b := range batch[:n] {
				switch p, info, ok := ppp.Split(b.Bytes()); {
				case !ok:
					c.t.Errorf("%s: ill-formed frame % x", c.name, b.Bytes())
				case p == ppp.ProtoIPv4:
					c.got = append(c.got, bytes.Clone(info))
				case p == ppp.ProtoIPv6:
					c.six.input(now, info)
				default:
					c.frames = append(c.frames, bytes.Clone(b.Bytes()))
					c.link.Input(now, b.Bytes())
					c.drain(now)
				}
				b.Put()
			}
			if err != nil {
				c.over = true
				c.link.Down(now)
			}
		})
		if err != nil {
			c.line.Close()
			return
		}
	}
}

func (c *caller) tick() {
	c.do(func(now time.Time) {
		c.link.Tick(now)
		c.six.tick(now)
	})
}

// do runs f with the caller's state.
func (c *caller) do(f func(now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	f(now)
	c.drain(now)
	c.drain6(now)
	if at := earliest(c.link.Deadline(), c.six.deadline()); at.IsZero() || c.over {
		c.timer.Stop()
	} else {
		c.timer.Reset(max(at.Sub(now), time.Millisecond))
	}
}

func (c *caller) drain(now time.Time) {
	for out, ok := c.link.Next(); ok; out, ok = c.link.Next() {
		switch out := out.(type) {
		case ppp.SendFrame:
			c.write(out.Frame)
		case ppp.Params:
			c.line.SetParams(hdlc.Params{ACCM: out.Line.SendACCM, PFC: out.Line.SendPFC, ACFC: out.Line.SendACFC}, out.Line.RecvACCM)
		case ppp.Authenticated:
			c.method = out.Method
		case ppp.NetworkUp:
			c.network = &out
		case ppp.NetworkDown:
			c.network = nil
		case ppp.IPv6Up:
			c.six.up(now, out)
		case ppp.IPv6Down:
			c.six.host = nil
		case ppp.Finished:
			c.finished = &out
			c.timer.Stop()
		}
	}
}

func (c *caller) write(f []byte) {
	b := c.pool.Get()
	b.SetBytes(f)
	_ = c.line.Write([]*frame.Buf{b}) // a line that is down is read to its end
	b.Put()
}

// send sends IP packets.
func (c *caller) send(packets ...[]byte) {
	c.t.Helper()
	for _, p := range packets {
		c.write(append([]byte{0, 0x21}, p...))
	}
	synctest.Wait()
}

// terminate hangs up as PPP would have it.
func (c *caller) terminate() {
	c.do(func(now time.Time) { c.link.Close(now) })
	synctest.Wait()
}

// hangUp drops the line.
func (c *caller) hangUp() {
	c.line.Close()
	synctest.Wait()
}

func (c *caller) wantUp(why string) ppp.NetworkUp {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.network == nil {
		c.t.Fatalf("%s has no network: %s (PPP is in phase %v, %+v)", c.name, why, c.link.Phase(), c.finished)
	}
	return *c.network
}

func (c *caller) wantDown(why string) {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.network != nil {
		c.t.Fatalf("%s has a network: %s", c.name, why)
	}
}

func (c *caller) address() netip.Addr { return c.wantUp("he has an address").Local }

func (c *caller) want(why string) []byte {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) == 0 {
		c.t.Fatalf("%s got no packet: %s", c.name, why)
	}
	p := c.got[0]
	c.got = c.got[1:]
	return p
}

func (c *caller) wantNothing(why string) {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) != 0 {
		c.t.Fatalf("%s got % x: %s", c.name, c.got[0], why)
	}
}
