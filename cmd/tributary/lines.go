package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newLinesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "lines",
		Short: "List the lines that are up, and their sessions",
		Long: `Lists every line that is up. STATE is what PPP is doing once the session is
open, and what the gateway is doing before; SID is the PPPoE session id; UP and
DOWN are octets of PPP, towards the ISP and from it.`,
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
		return e.linesTable(lines).write(e.stdout)
	}
	return c
}

func (e *env) linesTable(lines []gateway.LineInfo) *table {
	t := newTable("LINE", "REMOTE", "STATE", "SID", "USER", "ADDRESS", ">UP", ">DOWN", ">AGE")
	now := e.now()
	for i := range lines {
		l := &lines[i]
		t.row(l.Name, l.Remote, lineState(l), sid(l.SessionID), l.User, l.Address,
			octets(l.Session.UpOctets), octets(l.Session.DownOctets), age(now, l.Since))
	}
	return t
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

// completeLines offers the names of lines that are up.
func completeLines(socket *string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client := control.Dial(*socket)
		defer client.Close()
		lines, _ := client.Lines(c.Context()) // without a gateway, nothing is offered
		names := make([]string, len(lines))
		for i := range lines {
			names[i] = lines[i].Name
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
