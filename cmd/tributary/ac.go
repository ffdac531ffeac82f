package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/lab"
	"tributary/ppp"
)

// acOptions are the flags of tributary ac that are not the access
// concentrator's own.
type acOptions struct {
	iface           string
	users           []string
	usersFile       string
	auth            string
	pool            string
	local, internet string
	dns             []string
	routes          []string
}

func newACCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "ac -i IFACE",
		Short: "Run a small PPPoE access concentrator on an Ethernet interface",
		Long: `Runs an access concentrator, for tests and labs: PPPoE, PPP with CHAP,
MS-CHAPv2 or PAP, addresses from a pool, and behind it a small internet in this process, whose one
host answers pings, serves HTTP and echoes what is sent to port 7. Nothing is
routed by the kernel.

Who may come in is said by --user and --users; without either, any user uN may
with the password pN. With --route, packets for a prefix go to a user's session,
and may come from there: so a gateway in mode shared has addresses for its users.
What happens is printed, one line each. On SIGINT or SIGTERM every session is
ended by a PADT. Needs CAP_NET_RAW.`,
		Example: `  tributary ac -i eth1
  tributary ac -i eth1 --vlan 100.7 --auth pap --users /etc/ppp/pap-secrets
  tributary ac -i eth1 --user joe:secret --pool 192.0.2.0/24 --local 192.0.2.1
  tributary ac -i eth1 --user office:secret --route office=198.18.0.0/16`,
		Args: cobra.NoArgs,
	}
	var (
		o   acOptions
		cfg lab.ACConfig
	)
	iface, tags := interfaceFlag(c), vlanFlag(c)
	f := c.Flags()
	f.StringVar(&cfg.Name, "name", "tributary-ac", "AC-Name")
	f.StringArrayVar(&cfg.Services, "service", nil, "offer this Service-Name; may be given again (default: any)")
	f.StringArrayVar(&o.users, "user", nil, "let `NAME:PASSWORD` in; may be given again")
	f.StringVar(&o.usersFile, "users", "", "let those in who are in `FILE`, which has the form of chap-secrets")
	f.StringVar(&o.auth, "auth", "chap", "ask for chap, ms-chapv2 or pap, or several (chap,pap), or none")
	f.StringVar(&o.pool, "pool", "10.64.0.0/16", "addresses for users")
	f.StringVar(&o.local, "local", "10.64.0.1", "our own address")
	f.StringVar(&o.internet, "internet", "198.51.100.1", "address of the host behind us")
	f.StringArrayVar(&o.dns, "dns", nil, "name server for those who ask; may be given twice (default: the host behind us)")
	f.StringArrayVar(&o.routes, "route", nil, "route a prefix to a user's session: `USER=PREFIX`; may be given again")
	f.IntVar(&cfg.MaxSessions, "max-sessions", 0, "so many sessions at once (default: no bound)")
	f.IntVar(&cfg.MaxPerMAC, "max-per-mac", 0, "so many sessions of one address at once (default: no bound)")
	f.IntVar(&cfg.MaxPayload, "max-payload", 0, "largest PPP payload in octets, up to 1500 (RFC 4638; default 1492)")
	f.DurationVar(&cfg.Echo, "echo", 20*time.Second, "between LCP Echo-Requests")
	f.DurationVar(&cfg.PADODelay, "pado-delay", 0, "wait so long before each PADO")
	c.RunE = func(c *cobra.Command, _ []string) error {
		o.iface, cfg.VLANs = *iface, *tags
		if err := o.apply(&cfg); err != nil {
			return usageError{err}
		}
		return e.runAC(c.Context(), o.iface, cfg)
	}
	return c
}

// apply puts the flags into cfg.
func (o *acOptions) apply(cfg *lab.ACConfig) (err error) {
	if cfg.Auth, err = authMethods(o.auth); err != nil {
		return err
	}
	if cfg.Pool, err = netip.ParsePrefix(o.pool); err != nil || !cfg.Pool.Addr().Is4() || cfg.Pool.Bits() > 30 {
		return fmt.Errorf("--pool %q: want an IPv4 prefix of at most 30 bits, such as 10.64.0.0/16", o.pool)
	}
	if cfg.Local, err = ip4Flag("local", o.local); err != nil {
		return err
	}
	if cfg.Internet, err = ip4Flag("internet", o.internet); err != nil {
		return err
	}
	switch {
	case cfg.Local == cfg.Internet:
		return errors.New("--local and --internet must differ")
	case len(o.dns) > len(cfg.DNS):
		return fmt.Errorf("--dns may be given %d times", len(cfg.DNS))
	case cfg.MaxSessions < 0 || cfg.MaxPerMAC < 0 || cfg.Echo < 0 || cfg.PADODelay < 0:
		return errors.New("numbers and times must not be negative")
	case cfg.MaxPayload != 0 && (cfg.MaxPayload < ppp.PPPoEMRU || cfg.MaxPayload > ppp.DefaultMRU):
		return fmt.Errorf("--max-payload takes %d to %d", ppp.PPPoEMRU, ppp.DefaultMRU)
	}
	if cfg.Echo == 0 {
		cfg.Echo = -1 // the flag's 0 is never
	}
	for i, dns := range o.dns {
		if cfg.DNS[i], err = ip4Flag("dns", dns); err != nil {
			return err
		}
	}
	users, err := o.readUsers()
	if err != nil {
		return err
	}
	if users != nil {
		cfg.Secret, cfg.Address = users.Secret, users.Address
	}
	return o.applyRoutes(cfg)
}

// applyRoutes puts --route into cfg, whose users are there.
func (o *acOptions) applyRoutes(cfg *lab.ACConfig) error {
	if len(o.routes) == 0 {
		return nil
	}
	known := cfg.Secret
	if known == nil {
		known = lab.Secret
	}
	routes := make(map[string][]netip.Prefix)
	for _, r := range o.routes {
		i := strings.LastIndexByte(r, '=') // a name may have one, a prefix has none
		if i <= 0 {
			return fmt.Errorf("--route %q: want USER=PREFIX, such as office=198.18.0.0/16", r)
		}
		user := r[:i]
		p, err := netip.ParsePrefix(r[i+1:])
		_, ok := known(user)
		switch {
		case err != nil || !p.Addr().Is4() || p != p.Masked():
			return fmt.Errorf("--route %q: want an IPv4 prefix behind the user, such as %s=198.18.0.0/16", r, user)
		case cfg.Auth == nil:
			return fmt.Errorf("--route %q: with --auth none nobody says who he is", r)
		case !ok:
			return fmt.Errorf("--route %q: there is no user %q", r, user)
		case p.Overlaps(cfg.Pool):
			return fmt.Errorf("--route %q: addresses of --pool %v are in it", r, cfg.Pool)
		case p.Contains(cfg.Local) || p.Contains(cfg.Internet):
			return fmt.Errorf("--route %q: an address of our own is in it", r)
		}
		routes[user] = append(routes[user], p)
	}
	cfg.Routes = func(user string) []netip.Prefix { return routes[user] }
	return nil
}

// readUsers are those of the flags; nil if none are given.
func (o *acOptions) readUsers() (users lab.Users, err error) {
	if o.usersFile != "" {
		f, err := os.Open(o.usersFile)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		if users, err = lab.ParseUsers(f); err != nil {
			return nil, fmt.Errorf("%s: %w", o.usersFile, err)
		}
	}
	for _, u := range o.users {
		name, secret, ok := strings.Cut(u, ":")
		if !ok || name == "" {
			return nil, errors.New("--user: want NAME:PASSWORD")
		}
		if users == nil {
			users = make(lab.Users)
		}
		users[name] = lab.User{Secret: secret}
	}
	return users, nil
}

// authMethods reads a list of methods, the most wanted first.
func authMethods(list string) (methods []ppp.AuthMethod, err error) {
	if list == "none" {
		return nil, nil
	}
	for word := range strings.SplitSeq(list, ",") {
		switch word {
		case "chap", "chap-md5":
			methods = append(methods, ppp.AuthCHAPMD5)
		case "ms-chapv2":
			methods = append(methods, ppp.AuthMSCHAPv2)
		case "pap":
			methods = append(methods, ppp.AuthPAP)
		default:
			return nil, fmt.Errorf("--auth %q: want chap, ms-chapv2, pap, several of them with commas, or none", list)
		}
	}
	return methods, nil
}

func ip4Flag(name, value string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(value)
	if err != nil || !addr.Is4() {
		return addr, fmt.Errorf("--%s %q: want an IPv4 address", name, value)
	}
	return addr, nil
}

// runAC runs an access concentrator until ctx is done.
func (e *env) runAC(ctx context.Context, iface string, cfg lab.ACConfig) error {
	port, pool, err := e.openPort(iface)
	if err != nil {
		return err
	}
	cfg.Event = func(ev lab.ACEvent) { fmt.Fprint(e.stdout, e.acEventText(&ev)) }
	fmt.Fprintf(e.stdout, "access concentrator %q on %s (%v); behind it %v\n", cfg.Name, port.Name(), port.MAC(), cfg.Internet)
	ac, err := lab.NewAC(port, pool, cfg)
	if err != nil {
		return errors.Join(err, port.Close())
	}
	select {
	case <-ctx.Done():
	case <-ac.Lost():
		err = ac.Err()
	}
	ac.Close()
	c := ac.Counters()
	fmt.Fprintf(e.stdout, "%d sessions were opened: %d ended by the other side's PADT, %d by ours; %d users refused\n",
		c.Opened, c.ClosedByPADT, c.Opened-c.ClosedByPADT, c.Refused)
	return err
}

// acEventText is one thing that happened, as a line of text.
func (e *env) acEventText(ev *lab.ACEvent) string {
	var b strings.Builder
	s := &ev.Session
	fmt.Fprintf(&b, "%s %-13s mac=%v sid=%d", e.now().Local().Format(time.DateTime+".000"), ev.Kind, s.Peer, s.ID)
	field := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, quoted(value))
		}
	}
	field("user", s.User)
	if s.Address.IsValid() {
		field("address", s.Address.String())
	}
	for _, p := range s.Routes {
		field("route", p.String())
	}
	if ev.Kind == "open" {
		field("service", s.Service)
		field("circuit", s.Line.CircuitID)
		field("remote", s.Line.RemoteID)
	}
	field("message", ev.Message)
	b.WriteByte('\n')
	return b.String()
}
