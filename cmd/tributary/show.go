package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newShowCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "show LINE",
		Short: "Show everything about one line and its session",
		Example: `  tributary show virtual/1
  tributary show bank/ttyUSB0 --json`,
		Args: cobra.ExactArgs(1),
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.ValidArgsFunction = completeLines(socket)
	c.RunE = func(c *cobra.Command, args []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		line, err := client.Line(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, line)
		}
		return e.lineDetails(&line).write(e.stdout)
	}
	return c
}

func (e *env) lineDetails(l *gateway.LineInfo) *details {
	var d details
	d.section("line")
	d.add("name", l.Name)
	d.add("kind", l.Kind)
	d.add("remote", l.Remote)
	d.add("state", l.State)
	d.add("up for", age(e.now(), l.Since))
	d.add("framing", fmt.Sprintf("sent with ACCM %08x, received with %08x, PFC %s, ACFC %s",
		l.SendACCM, l.RecvACCM, onOff(l.PFC), onOff(l.ACFC)))
	d.counters(l.Line)

	d.section("session")
	d.add("uplink", l.Uplink)
	d.add("session id", sid(l.SessionID))
	d.add("access concentrator", strings.TrimSpace(l.ACName+" "+l.ACMAC))
	d.add("our MAC", l.OurMAC)
	d.add("VLANs", vlans(l.VLANs))
	if l.SessionID != 0 {
		d.add("set up in", l.SetUp.String())
	}
	d.add("PPP", l.Phase)
	d.add("authentication", l.Auth)
	d.add("user", l.User)
	d.add("address", l.Address)
	d.add("peer", l.Peer)
	d.add("prefix", l.Prefix)
	d.add("DNS", strings.Join(l.DNS, ", "))
	d.add("message", l.Message)
	d.counters(l.Session)
	if len(l.Dropped) > 0 {
		d.section("packets not forwarded")
		for _, why := range slices.Sorted(maps.Keys(l.Dropped)) {
			if n := l.Dropped[why]; n > 0 {
				d.add(strings.ReplaceAll(why, "_", " "), fmt.Sprint(n))
			}
		}
	}
	return &d
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// vlans is the tags, outer first.
func vlans(tags []uint16) string {
	s := make([]string, len(tags))
	for i, t := range tags {
		s[i] = fmt.Sprint(t)
	}
	return strings.Join(s, ".")
}
