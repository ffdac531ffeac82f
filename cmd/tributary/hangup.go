package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tributary/internal/control"
)

func newHangupCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "hangup LINE",
		Short: "End a line and its session",
		Long: `Ends a line: its user and the access concentrator are told, and the line is
closed. The user may dial in again at once.`,
		Example: "  tributary hangup virtual/1",
		Args:    cobra.ExactArgs(1),
	}
	socket := e.socketFlag(c)
	c.ValidArgsFunction = completeNames(socket, lineNames)
	c.RunE = func(c *cobra.Command, args []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		if err := client.Hangup(c.Context(), args[0]); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stdout, "%s is hung up\n", printable(args[0]))
		return err
	}
	return c
}
