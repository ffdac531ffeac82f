package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newRootCommand has every command, each by its constructor.
func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "tributary",
		Short: "A PPP access gateway in user space",
		Long: `Tributary takes the PPP connections of many users, over TCP, serial lines or
pseudo-terminals, and carries each to an ISP's access concentrator over PPPoE.
It needs no kernel PPP.`,
		Example: `  tributary check -c tributary.yaml     what a configuration would do
  tributary lines                       who is connected
  tributary events -f                   what happens`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(e.stderr)
			if err := c.Help(); err != nil {
				return err
			}
			return usageError{errors.New("a command is missing")}
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(
		newRunCommand(e),
		newCheckCommand(e),
		newLinesCommand(e),
		newShowCommand(e),
		newUplinksCommand(e),
		newSessionsCommand(e),
		newPoolsCommand(e),
		newEventsCommand(e),
		newHangupCommand(e),
		newReloadCommand(e),
		newHashCommand(e),
		newLabCommand(e),
		newACCommand(e),
		newDialCommand(e),
		newDiscoverCommand(e),
		newVersionCommand(e),
		newCompletionCommand(e),
	)
	return root
}
