package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/lab"
	"tributary/ppp"
)

// toolBuffers is what a command that is one client, or one small server, may
// have waiting.
const toolBuffers = 1 << 14

func newDiscoverCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "discover -i IFACE",
		Short: "Find the access concentrators on an Ethernet interface",
		Long: `Sends PADIs, one a second, and prints who answers: with what services; what PPP
payload it carries (RFC 4638); how long its cookie is, and whether each PADO has
a new one; whether the Host-Uniq comes back, as it must; how many PADIs it has
answered, and how fast. What else an access concentrator says is below the table,
and with --json there is every tag. No session is opened. It exits with 1 if
nobody answers. Needs CAP_NET_RAW.`,
		Example: `  tributary discover -i eth1
  tributary discover -i eth1 --vlan 100 --service internet --wait 5s --json
  tributary discover -i eth1 --host-uniq 0x1a2b3c4d`,
		Args: cobra.NoArgs,
	}
	iface, tags, asJSON := interfaceFlag(c), vlanFlag(c), jsonFlag(c)
	cfg := lab.DiscoverConfig{
		// RFC 4638 is asked for whatever our own MTU is: nothing comes of it but
		// the answer.
		MaxPayload: ppp.DefaultMRU,
	}
	f := c.Flags()
	f.StringVar(&cfg.Service, "service", "", "ask for this Service-Name (default: any)")
	f.IntVar(&cfg.Count, "count", 3, "send so many PADIs, one a second")
	f.DurationVar(&cfg.Wait, "wait", 2*time.Second, "collect answers for so long behind the last PADI")
	uniq := f.String("host-uniq", "", "send this Host-Uniq, as `TEXT` or 0x and hexadecimal digits (default: another one in each PADI)")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		cfg.VLANs = *tags
		switch {
		case cfg.Wait <= 0:
			return usageError{errors.New("--wait takes a time")}
		case cfg.Count < 1 || cfg.Count > maxPADIs:
			return usageError{fmt.Errorf("--count takes a number from 1 to %d", maxPADIs)}
		}
		if cfg.HostUniq, err = hostUniqFlag(*uniq); err != nil {
			return usageError{err}
		}
		port, pool, err := e.openPort(*iface)
		if err != nil {
			return err
		}
		found, err := lab.Discover(c.Context(), port, pool, cfg)
		if err != nil {
			return err
		}
		if err := c.Context().Err(); err != nil {
			return err
		}
		if err := e.printSurvey(found, *asJSON); err != nil {
			return err
		}
		if len(found.Answers) == 0 {
			return fmt.Errorf("no access concentrator answered on %s within %v of the last PADI", *iface, cfg.Wait)
		}
		return nil
	}
	return c
}

// maxPADIs is what --count takes.
const maxPADIs = 1000

// hostUniqFlag is the Host-Uniq that a flag says; nil if it is empty.
func hostUniqFlag(s string) (uniq []byte, err error) {
	switch digits, isHex := strings.CutPrefix(s, "0x"); {
	case s == "":
		return nil, nil
	case isHex:
		if uniq, err = hex.DecodeString(digits); err != nil || len(uniq) == 0 {
			return nil, fmt.Errorf("--host-uniq %q: want text, or 0x and an even number of hexadecimal digits", s)
		}
		return uniq, nil
	}
	return []byte(s), nil
}

// printSurvey prints what was found; what was not taken for an answer goes to standard
// error.
func (e *env) printSurvey(found lab.Survey, asJSON bool) (err error) {
	if asJSON {
		err = printJSON(e.stdout, answerInfos(found))
	} else {
		err = e.printAnswers(found)
	}
	if err != nil {
		return err
	}
	if found.Strange > 0 {
		fmt.Fprintf(e.stderr, "%d PADOs had a Host-Uniq that was not ours: they are for another client at this address, or forged\n", found.Strange)
	}
	if found.Beyond > 0 {
		fmt.Fprintf(e.stderr, "%d PADOs more came of further access concentrators: somebody invents them\n", found.Beyond)
	}
	return nil
}

func (e *env) printAnswers(found lab.Survey) error {
	if len(found.Answers) == 0 {
		return nil
	}
	t := newTable("NAME", "MAC", "SERVICES", ">MTU", "COOKIE", "HOST-UNIQ", ">ANSWERS", ">MIN/AVG/MAX ms")
	var notes strings.Builder
	for _, a := range found.Answers {
		times := fmt.Sprintf("%s/%s/%s", millis(a.Min), millis(a.Avg), millis(a.Max))
		t.row(a.ACName, a.AC.String(), services(a.Services), strconv.Itoa(max(a.MaxPayload, ppp.PPPoEMRU)), cookieText(&a), hostUniqText(&a),
			fmt.Sprintf("%d/%d", a.Answered, found.PADIs), times)
		for _, note := range answerNotes(&a) {
			fmt.Fprintf(&notes, "%s %v: %s\n", printable(a.ACName), a.AC, printable(note))
		}
	}
	if err := t.write(e.stdout); err != nil {
		return err
	}
	if notes.Len() > 0 {
		_, err := fmt.Fprintf(e.stdout, "\n%s", notes.String())
		return err
	}
	return nil
}

// millis is a time in milliseconds, as exact as it matters.
func millis(d time.Duration) string {
	digits := 0
	if d < 100*time.Millisecond {
		digits = 1
	}
	if d < time.Millisecond {
		digits = 2
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', digits, 64)
}

func cookieText(a *lab.Answer) string {
	switch {
	case a.CookieLen == 0 && !a.CookieChanges:
		return "none"
	case a.PADOs < 2:
		return strconv.Itoa(a.CookieLen)
	case a.CookieChanges:
		return fmt.Sprintf("%d, new", a.CookieLen)
	}
	return fmt.Sprintf("%d, same", a.CookieLen)
}

// hostUniqText says whether the Host-Uniq comes back. RFC 2516 appendix A: it MUST.
func hostUniqText(a *lab.Answer) string {
	if a.NoHostUniq {
		return "dropped"
	}
	return "echoed"
}

// services is a list of Service-Names; the empty one stands for any.
func services(names []string) string {
	shown := make([]string, len(names))
	for i, n := range names {
		if shown[i] = n; n == "" {
			shown[i] = "(any)"
		}
	}
	return strings.Join(shown, ", ")
}

// interfaceFlag gives c the flag -i, which it must be given.
func interfaceFlag(c *cobra.Command) *string {
	iface := c.Flags().StringP("interface", "i", "", "Ethernet interface `IFACE`")
	_ = c.MarkFlagRequired("interface") // fails only for a flag that is not there
	return iface
}

// vlanFlag gives c the flag --vlan.
func vlanFlag(c *cobra.Command) *ether.VLANs {
	tags := new(ether.VLANs)
	c.Flags().Var(&vlanValue{tags}, "vlan", "VLAN, or outer.inner: 100 or 100.7")
	return tags
}

// vlanValue is ether.VLANs as a flag.
type vlanValue struct{ tags *ether.VLANs }

func (v *vlanValue) Type() string   { return "ID" }
func (v *vlanValue) String() string { return v.tags.String() }

func (v *vlanValue) Set(s string) error {
	var ids []uint16
	for part := range strings.SplitSeq(s, ".") {
		id, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no VLAN: want 1 to %d, or two such as 100.7", part, ether.MaxVLAN)
		}
		ids = append(ids, uint16(id))
	}
	tags, err := ether.MakeVLANs(ids...)
	if err != nil {
		return err
	}
	*v.tags = tags
	return nil
}

// openPort opens a real interface for one of the tools.
func (e *env) openPort(name string) (ether.Port, *frame.Pool, error) {
	pool := frame.NewPool(toolBuffers)
	open := e.openEther
	if open == nil {
		open = openEthernet
	}
	port, err := open(name, pool)
	return port, pool, err
}
