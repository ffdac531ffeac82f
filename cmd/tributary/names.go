package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"tributary/internal/control"
)

// names are what a running gateway has of one kind. Without a gateway there are none.
type names func(ctx context.Context, client *control.Client) []string

// completeNames offers names for a command's one argument.
func completeNames(socket *string, all names) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client := control.Dial(*socket)
		defer client.Close()
		return all(c.Context(), client), cobra.ShellCompDirectiveNoFileComp
	}
}

// lineNames are those of lines that are up.
func lineNames(ctx context.Context, client *control.Client) (all []string) {
	lines, _ := client.Lines(ctx)
	for i := range lines {
		all = append(all, lines[i].Name)
	}
	return all
}

// shownNames are those of lines that are up, and of sessions whose line is not.
func shownNames(ctx context.Context, client *control.Client) []string {
	all := lineNames(ctx, client)
	sessions, _ := client.Sessions(ctx)
	for i := range sessions {
		if !slices.Contains(all, sessions[i].Line) {
			all = append(all, sessions[i].Line)
		}
	}
	return all
}

func sessionNames(ctx context.Context, client *control.Client) (all []string) {
	sessions, _ := client.Sessions(ctx)
	for i := range sessions {
		all = append(all, sessions[i].Name)
	}
	return all
}

func uplinkNames(ctx context.Context, client *control.Client) (all []string) {
	uplinks, _ := client.Uplinks(ctx)
	for i := range uplinks {
		all = append(all, uplinks[i].Name)
	}
	return all
}
