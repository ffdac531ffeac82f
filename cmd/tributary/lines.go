package main

import (
	"cmp"
	"strconv"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newLinesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "lines",
		Short: "List the lines that are up, and their sessions",
		Long: `Lists every line that is up. STATE is what PPP is doing once the session is
open, and what the gateway is doing before; SESSION is the PPPoE session id, or,
in mode shared, the name of the session that carries the user; UP and DOWN are
octets of PPP, towards the ISP and from it. Below is what is known of lines whose
user has no IPv4 address.`,
		Example: `  tributary lines
  tributary lines --json | jq -r '.[].name'`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		lines, err := client.Lines(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, lines)
		}
		return e.printLines(lines)
	}
	return c
}

func (e *env) printLines(lines []gateway.LineInfo) error {
	t := newTable("LINE", "REMOTE", "STATE", "SESSION", "USER", "ADDRESS", ">UP", ">DOWN", ">AGE")
	var why notes
	now := e.now()
	for i := range lines {
		l := &lines[i]
		t.row(l.Name, l.Remote, lineState(l), lineSession(l), l.User, cmp.Or(l.Address, l.Prefix),
			octets(l.Session.UpOctets), octets(l.Session.DownOctets), age(now, l.Since))
		why.add(l.Name, lineWhy(l))
	}
	if err := t.write(e.stdout); err != nil {
		return err
	}
	return why.write(e.stdout)
}

// lineSession is what carries the line to the ISP.
func lineSession(l *gateway.LineInfo) string {
	if l.Mode == string(config.ModeShared) {
		return l.Uplink
	}
	return sid(l.SessionID)
}

// lineWhy is what holds up a line whose user has no IPv4 address.
func lineWhy(l *gateway.LineInfo) string {
	if l.Address != "" {
		return ""
	}
	return l.Message
}

// lineState is one word for how far a line has come.
func lineState(l *gateway.LineInfo) string {
	if l.State == "up" && l.Phase != "" {
		return l.Phase
	}
	return l.State
}

func sid(id uint16) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(int(id))
}
