package main

import (
	"github.com/spf13/cobra"
)

func newCompletionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that completes commands, flags and names of lines in a shell",
		Example: `  source <(tributary completion bash)
  tributary completion zsh > "${fpath[1]}/_tributary"
  tributary completion fish > ~/.config/fish/completions/tributary.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "zsh":
				return c.Root().GenZshCompletion(e.stdout)
			case "fish":
				return c.Root().GenFishCompletion(e.stdout, true)
			}
			return c.Root().GenBashCompletionV2(e.stdout, true)
		},
	}
}
