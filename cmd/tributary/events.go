package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/control"
)

func newEventsCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "events [-f]",
		Short: "Print what happened, and with -f what happens",
		Long: `Prints the events that the gateway remembers, oldest first. With -f it begins
with the last ten and goes on until it is interrupted or the gateway ends.

Of users in mode shared, network-up and network-down have the address, or the IPv6
prefix, as their message: who had which one, and when.`,
		Example: `  tributary events
  tributary events -f
  tributary events -f -n 0 --json | jq 'select(.event.kind == "session-down")'`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	follow := c.Flags().BoolP("follow", "f", false, "go on with what happens")
	last := c.Flags().IntP("lines", "n", 0, "begin with the last `N` events at most (default all, with -f 10)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		q := control.EventsQuery{Follow: *follow, Last: *last}
		switch {
		case q.Last < 0:
			return usageError{errors.New("-n takes a number from 0 on")}
		case !c.Flags().Changed("lines") && *follow:
			q.Last = 10
		case !c.Flags().Changed("lines") || q.Last > control.MaxLast:
			q.Last = control.MaxLast
		}
		client := control.Dial(*socket)
		defer client.Close()
		encoder := json.NewEncoder(e.stdout)
		err := client.Events(c.Context(), q, func(m control.Message) error {
			if *asJSON {
				return encoder.Encode(m)
			}
			_, err := fmt.Fprint(e.stdout, eventText(&m))
			return err
		})
		switch {
		case isClosedPipe(err), errors.Is(err, context.Canceled):
			return nil // that is how following ends
		case err == nil && *follow:
			return errors.New("the gateway has ended")
		}
		return err
	}
	return c
}

// eventText is an event as a line of text, and one before it if some are missing.
func eventText(m *control.Message) string {
	var b strings.Builder
	if m.Lost > 0 {
		fmt.Fprintf(&b, "(%d events are missing here)\n", m.Lost)
	}
	ev := &m.Event
	fmt.Fprintf(&b, "%s %-16s", ev.Time.Local().Format(time.DateTime+".000"), printable(ev.Kind))
	field := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=%s", key, quoted(value))
		}
	}
	field("line", ev.Line)
	field("uplink", ev.Uplink)
	field("sid", sid(ev.SID))
	field("mac", ev.MAC)
	field("user", ev.User)
	field("reason", string(ev.Reason))
	field("message", ev.Message)
	b.WriteByte('\n')
	return b.String()
}
