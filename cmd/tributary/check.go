package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/gateway"
)

func newCheckCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [-c FILE]",
		Short: "Validate a configuration and print what it would do",
		Long: `Reads a configuration, and says in words what a gateway would do with it, or
what is wrong with it, each mistake with its line and column. What is allowed
but probably not meant is a warning on standard error. Users files and password
files that it names are read and checked as well. It touches nothing: interfaces
and devices need not exist.`,
		Example: "  tributary check -c /etc/tributary/tributary.yaml",
		Args:    cobra.NoArgs,
	}
	path := configFlag(c)
	asJSON := jsonFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return usageError{err}
		}
		warnings, err := gateway.CheckFiles(cfg)
		if err := e.warn(append(slices.Clone(cfg.Warnings), warnings...)); err != nil {
			return err
		}
		if err != nil {
			return usageError{err}
		}
		if *asJSON {
			return printJSON(e.stdout, cfg)
		}
		_, err = fmt.Fprintf(e.stdout, "%s is valid.\n\n%s", printable(*path), cfg)
		return err
	}
	return c
}

// warn prints what is allowed but will probably disappoint.
func (e *env) warn(warnings config.Errors) error {
	for _, w := range warnings {
		at := *w // the file is first: editors jump there
		at.Message = "warning: " + at.Message
		if _, err := fmt.Fprintln(e.stderr, printable(at.Error())); err != nil {
			return err
		}
	}
	return nil
}
