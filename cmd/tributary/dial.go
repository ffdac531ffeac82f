package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
)

// dialOptions are the flags of tributary dial.
type dialOptions struct {
	target       string
	user         string
	password     string
	passwordFile string
	ping         string
	count        int
	interval     time.Duration
	size         int
	get          string
	stay         time.Duration
	timeout      time.Duration
	speed        int
	flow         string
	accm         string
	noPFC        bool
	noACFC       bool
	pppoe        lab.PPPoEConfig
	asJSON       bool

	pingAddr netip.Addr
	accmBits uint32
}

func newDialCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "dial TARGET",
		Short: "Dial in with a PPP client in user space",
		Long: `Dials TARGET with a PPP and TCP/IP of its own: neither the kernel's PPP nor its
routes are touched. TARGET is tcp:HOST:PORT, the path of a terminal with a modem
or a null-modem cable at its end, or pppoe:IFACE.

It shows how far the link comes, pings and downloads what it is told to, and
hangs up. Without --ping, --get and --for it stays until it is interrupted or
the other side hangs up. It exits with 1 if anything failed.`,
		Example: `  tributary dial tcp:127.0.0.1:2323 --user u1 --password p1 --ping 198.51.100.1
  tributary dial /dev/ttyUSB0 --speed 115200 --flow rtscts --user joe --password-file joe.secret
  tributary dial pppoe:eth1 --user u1 --password p1 --get http://198.51.100.1/bytes/1000000`,
		Args: cobra.ExactArgs(1),
	}
	var o dialOptions
	f := c.Flags()
	f.StringVarP(&o.user, "user", "u", "", "log in as `NAME`")
	f.StringVar(&o.password, "password", "", "with this password, which others on this host may see")
	f.StringVar(&o.passwordFile, "password-file", "", "with the password on the first line of `FILE`")
	f.StringVar(&o.ping, "ping", "", "ping `ADDRESS`")
	f.IntVar(&o.count, "count", 4, "so many pings")
	f.DurationVar(&o.interval, "interval", 500*time.Millisecond, "between two pings")
	f.IntVar(&o.size, "size", 56, "octets of data in a ping")
	f.StringVar(&o.get, "get", "", "download `URL`, whose host is an IPv4 address")
	f.DurationVar(&o.stay, "for", 0, "stay so long")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "for the link to come up")
	f.IntVar(&o.speed, "speed", 0, "of a terminal, in bit/s (default: as it is)")
	f.StringVar(&o.flow, "flow", "none", "of a terminal: none, rtscts or xonxoff")
	f.StringVar(&o.accm, "accm", "0", "control characters to be escaped, as a map in hexadecimal")
	f.BoolVar(&o.noPFC, "no-pfc", false, "do not ask for Protocol-Field-Compression")
	f.BoolVar(&o.noACFC, "no-acfc", false, "do not ask for Address-and-Control-Field-Compression")
	f.StringVar(&o.pppoe.Service, "service", "", "PPPoE: Service-Name (default: any)")
	f.StringVar(&o.pppoe.ACName, "ac", "", "PPPoE: only the access concentrator of this `NAME`")
	f.IntVar(&o.pppoe.MaxPayload, "max-payload", 0, "PPPoE: largest PPP payload in octets, up to 1500 (RFC 4638; default 1492)")
	tags, asJSON := vlanFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		o.target, o.pppoe.VLANs, o.asJSON = args[0], *tags, *asJSON
		if err := o.check(); err != nil {
			return usageError{err}
		}
		return e.dial(c.Context(), &o)
	}
	return c
}

func (o *dialOptions) check() (err error) {
	switch {
	case o.password != "" && o.passwordFile != "":
		return errors.New("--password and --password-file exclude each other")
	case o.user == "" && (o.password != "" || o.passwordFile != ""):
		return errors.New("a password is of no use without --user")
	case o.count < 1:
		return errors.New("--count takes a number from 1 on")
	case o.size < 0 || o.size > 1400:
		return errors.New("--size takes a number from 0 to 1400")
	case o.timeout <= 0 || o.stay < 0 || o.interval < 0:
		return errors.New("--timeout, --for and --interval take times")
	case o.pppoe.MaxPayload != 0 && (o.pppoe.MaxPayload < ppp.PPPoEMRU || o.pppoe.MaxPayload > ppp.DefaultMRU):
		return fmt.Errorf("--max-payload takes %d to %d", ppp.PPPoEMRU, ppp.DefaultMRU)
	case o.flow != string(config.FlowNone) && o.flow != string(config.FlowRTSCTS) && o.flow != string(config.FlowXONOFF):
		return fmt.Errorf("--flow %q: want none, rtscts or xonxoff", o.flow)
	}
	if o.ping != "" {
		if o.pingAddr, err = netip.ParseAddr(o.ping); err != nil || !o.pingAddr.Is4() {
			return fmt.Errorf("--ping %q: want an IPv4 address", o.ping)
		}
	}
	if o.accmBits, err = parseACCM(o.accm); err != nil {
		return err
	}
	if o.get != "" && !strings.HasPrefix(o.get, "http://") {
		return fmt.Errorf("--get %q: want http://ADDRESS/", o.get)
	}
	if o.passwordFile != "" {
		text, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		o.password = strings.TrimSuffix(line, "\r")
	}
	return nil
}

func parseACCM(s string) (bits uint32, err error) {
	if _, err := fmt.Sscanf(strings.TrimPrefix(s, "0x")+"\n", "%x\n", &bits); err != nil {
		return 0, fmt.Errorf("--accm %q: want a map in hexadecimal, such as a0000", s)
	}
	return bits, nil
}

// dialReport is what a dial came to, as JSON.
type dialReport struct {
	Target  string       `json:"target"`
	LCP     string       `json:"lcp,omitempty"`
	Auth    string       `json:"auth,omitempty"`
	Address string       `json:"address,omitempty"`
	Peer    string       `json:"peer,omitempty"`
	DNS     []string     `json:"dns,omitempty"`
	MTU     int          `json:"mtu,omitempty"`
	SetUpNS int64        `json:"setup_ns,omitempty"`
	Ping    *pingReport  `json:"ping,omitempty"`
	Get     *fetchReport `json:"get,omitempty"`
	Line    any          `json:"line,omitempty"`
	Error   string       `json:"error,omitempty"`
}

type pingReport struct {
	Address  string `json:"address"`
	Sent     int    `json:"sent"`
	Received uint64 `json:"received"`
	MinNS    int64  `json:"min_ns"`
	MeanNS   int64  `json:"mean_ns"`
	MaxNS    int64  `json:"max_ns"`
}

type fetchReport struct {
	URL    string  `json:"url"`
	Status string  `json:"status"`
	Octets int64   `json:"octets"`
	Second float64 `json:"seconds"`
	SHA256 string  `json:"sha256"`
	Stream bool    `json:"verified,omitempty"` // the lab's, octet by octet
}

// dialer is one dial under way.
type dialer struct {
	e    *env
	o    *dialOptions
	pool *frame.Pool

	mu     sync.Mutex // the output, and report while the link is up
	report dialReport
}

// dial does all that tributary dial does.
func (e *env) dial(ctx context.Context, o *dialOptions) error {
	d := &dialer{e: e, o: o, report: dialReport{Target: o.target}, pool: frame.NewPool(toolBuffers)}
	err := d.run(ctx)
	if !o.asJSON {
		return err
	}
	if err != nil {
		d.report.Error = err.Error()
	}
	return errors.Join(err, printJSON(e.stdout, &d.report))
}

// say shows one step, unless the result is to be JSON.
func (d *dialer) say(what, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.o.asJSON {
		fmt.Fprintf(d.e.stdout, "%-8s  %s\n", what, printable(fmt.Sprintf(format, args...)))
	}
}

func (d *dialer) run(ctx context.Context) (err error) {
	begin := time.Now()
	wait, cancel := context.WithTimeoutCause(ctx, d.o.timeout, fmt.Errorf("nothing came of it within %v", d.o.timeout))
	defer cancel()
	ln, async, err := d.dialLine(wait)
	if err != nil {
		return err
	}
	d.say("line", "%s", ln.Info().Remote)
	s := lab.NewSubscriber(ln, d.pool, lab.SubscriberConfig{
		User: d.o.user, Secret: d.o.password, Async: async, Echo: 10 * time.Second,
		ACCM: d.o.accmBits, PFC: !d.o.noPFC, ACFC: !d.o.noACFC, Phase: d.phase,
	})
	defer func() {
		d.report.Line = ln.Counters()
		err = errors.Join(err, d.hangUp(s))
	}()
	n, err := s.Network(wait)
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.report.SetUpNS = time.Since(begin).Nanoseconds()
	d.report.Address, d.report.Peer, d.report.MTU = n.Address.String(), n.Peer.String(), n.MTU
	for _, dns := range n.DNS {
		if dns.IsValid() {
			d.report.DNS = append(d.report.DNS, dns.String())
		}
	}
	d.mu.Unlock()
	return d.use(ctx, s)
}

// phase is told by the subscriber's loop, which is over when hangUp returns.
func (d *dialer) phase(phase, text string) {
	d.mu.Lock()
	switch phase {
	case "lcp":
		d.report.LCP = text
	case "auth":
		d.report.Auth = text
	}
	d.mu.Unlock()
	d.say(phase, "%s", text)
}

// hangUp ends the link, and reports what ended it if it was not us.
func (d *dialer) hangUp(s *lab.Subscriber) error {
	select {
	case <-s.Done():
		_ = s.Close() // whoever waited for the link has had its error
		return nil
	default:
	}
	err := s.Close()
	if err == nil {
		d.say("done", "hung up")
	}
	return err
}

// dialLine makes the line, and says whether it has RFC 1662 framing.
func (d *dialer) dialLine(ctx context.Context) (ln line.Line, async bool, err error) {
	iface, ok := strings.CutPrefix(d.o.target, "pppoe:")
	if !ok {
		ln, err = line.Dial(ctx, d.o.target, d.pool, line.DialOptions{Speed: d.o.speed, Flow: config.Flow(d.o.flow)})
		return ln, true, err
	}
	port, pool, err := d.e.openPort(iface)
	if err != nil {
		return nil, false, err
	}
	d.pool = pool
	ln, err = lab.DialPPPoE(ctx, port, pool, d.o.pppoe)
	return ln, false, err
}

// use does with the network what the flags say.
func (d *dialer) use(ctx context.Context, s *lab.Subscriber) error {
	until := ctx
	if d.o.stay > 0 {
		var cancel context.CancelFunc
		until, cancel = context.WithTimeout(ctx, d.o.stay)
		defer cancel()
	}
	if d.o.ping != "" {
		if err := d.doPing(ctx, s); err != nil {
			return err
		}
	}
	if d.o.get != "" {
		if err := d.doGet(ctx, s); err != nil {
			return err
		}
	}
	if d.o.stay == 0 && (d.o.ping != "" || d.o.get != "") {
		return nil
	}
	select {
	case <-until.Done(): // as wanted: by --for, or the user
		return nil
	case <-s.Done():
		return s.Close()
	}
}

// pingWait is how long a reply may take.
const pingWait = 2 * time.Second

func (d *dialer) doPing(ctx context.Context, s *lab.Subscriber) error {
	for i := range d.o.count {
		if i > 0 {
			select {
			case <-time.After(d.o.interval):
			case <-ctx.Done():
			case <-s.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		try, cancel := context.WithTimeoutCause(ctx, pingWait, fmt.Errorf("within %v", pingWait))
		rtt, err := s.Ping(try, d.o.pingAddr, d.o.size)
		cancel()
		select {
		case <-s.Done():
			return err
		default:
		}
		if err != nil {
			d.say("ping", "%v", err)
			continue
		}
		d.say("ping", "%d octets from %v in %v", d.o.size, d.o.pingAddr, shortTime(rtt))
	}
	t := s.Traffic()
	d.report.Ping = &pingReport{
		d.o.ping, d.o.count, t.Pings, t.PingMin.Nanoseconds(), t.PingMean().Nanoseconds(), t.PingMax.Nanoseconds(),
	}
	if t.Pings == 0 {
		return fmt.Errorf("%v did not answer any of %d pings", d.o.pingAddr, d.o.count)
	}
	d.say("ping", "%d sent, %d answered, %v least, %v mean, %v most", d.o.count, t.Pings,
		shortTime(t.PingMin), shortTime(t.PingMean()), shortTime(t.PingMax))
	return nil
}

func (d *dialer) doGet(ctx context.Context, s *lab.Subscriber) error {
	client := s.Client()
	defer client.CloseIdleConnections()
	begin := time.Now()
	f, err := s.Fetch(ctx, client, d.o.get)
	took := time.Since(begin)
	if err != nil {
		return err
	}
	d.report.Get = &fetchReport{d.o.get, f.Status, f.Octets, took.Seconds(), f.SHA256, f.Stream}
	verified := ""
	if f.Stream {
		verified = ", every octet as the lab sends it"
	}
	d.say("get", "%s: %d octets in %v, %sB/s, SHA-256 %s%s", f.Status, f.Octets, shortTime(took),
		octets(uint64(float64(f.Octets)/took.Seconds())), f.SHA256, verified)
	if !f.OK {
		return fmt.Errorf("GET %s: %s", d.o.get, f.Status)
	}
	return nil
}
