package main

import (
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
		Long: `Sends PADIs and prints who answers, with what services. No session is opened.
It exits with 1 if nobody answers. Needs CAP_NET_RAW.`,
		Example: `  tributary discover -i eth1
  tributary discover -i eth1 --vlan 100 --service internet --wait 5s --json`,
		Args: cobra.NoArgs,
	}
	iface, tags, asJSON := interfaceFlag(c), vlanFlag(c), jsonFlag(c)
	service := c.Flags().String("service", "", "ask for this Service-Name (default: any)")
	wait := c.Flags().Duration("wait", 2*time.Second, "collect answers for so long")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *wait <= 0 {
			return usageError{errors.New("--wait takes a time")}
		}
		port, pool, err := e.openPort(*iface)
		if err != nil {
			return err
		}
		// RFC 4638 is asked for whatever our own MTU is: nothing comes of it but
		// the answer.
		found, err := lab.Discover(c.Context(), port, pool, lab.PPPoEConfig{Service: *service, VLANs: *tags, MaxPayload: ppp.DefaultMRU}, *wait)
		if err != nil {
			return err
		}
		if err := c.Context().Err(); err != nil {
			return err
		}
		if err := e.printAnswers(found, *asJSON); err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("no access concentrator answered on %s within %v", *iface, *wait)
		}
		return nil
	}
	return c
}

// answerInfo is one answer as JSON.
type answerInfo struct {
	ACName     string   `json:"ac_name"`
	MAC        string   `json:"mac"`
	Services   []string `json:"services"`
	MaxPayload int      `json:"max_payload,omitempty"`
	Message    string   `json:"message,omitempty"`
	AfterNS    int64    `json:"after_ns"`
}

func (e *env) printAnswers(found []lab.Answer, asJSON bool) error {
	if asJSON {
		all := make([]answerInfo, len(found))
		for i, a := range found {
			all[i] = answerInfo{a.ACName, a.AC.String(), a.Services, a.MaxPayload, a.Message, a.After.Nanoseconds()}
		}
		return printJSON(e.stdout, all)
	}
	if len(found) == 0 {
		return nil
	}
	t := newTable("ACCESS CONCENTRATOR", "MAC", "SERVICES", ">MAX PAYLOAD", ">AFTER", "MESSAGE")
	for _, a := range found {
		payload := ""
		if a.MaxPayload > 0 {
			payload = fmt.Sprint(a.MaxPayload)
		}
		t.row(a.ACName, a.AC.String(), services(a.Services), payload, shortTime(a.After).String(), a.Message)
	}
	return t.write(e.stdout)
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
