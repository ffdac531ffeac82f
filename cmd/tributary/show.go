package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newShowCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "show LINE",
		Short: "Show everything about one line and its session",
		Long: `Shows everything about one line and its session. The session/NAME that users share
is a line while there is a PPPoE session; else it is shown as by "tributary
sessions NAME", with the reason why it is down.`,
		Example: `  tributary show virtual/1
  tributary show bank/ttyUSB0 --json`,
		Args: cobra.ExactArgs(1),
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.ValidArgsFunction = completeNames(socket, shownNames)
	c.RunE = func(c *cobra.Command, args []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		line, err := client.Line(c.Context(), args[0])
		if name, ok := strings.CutPrefix(args[0], sessionPrefix); ok && errors.Is(err, gateway.ErrNoLine) {
			// It is down, and has no line; but it is known why.
			s, err := client.Session(c.Context(), name)
			if err != nil {
				return err
			}
			return e.printSession(&s, *asJSON)
		}
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
	if l.Mode == string(config.ModeShared) {
		d.add("mode", l.Mode)
		d.add("shares session", l.Uplink)
	} else {
		d.add("uplink", l.Uplink)
	}
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
	d.reasons("packets not forwarded", l.Dropped)
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
