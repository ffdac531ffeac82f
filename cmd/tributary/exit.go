package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // flags, arguments or configuration
)

// usageError is a mistake of whoever typed the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// ranError is an error of a command that was understood and ran. Every other
// error is cobra's, and means that it was not.
type ranError struct{ error }

func (e ranError) Unwrap() error { return e.error }

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, e *env, args []string) int {
	root := newRootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SilenceErrors, root.SilenceUsage = true, true
	tellRun(root)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	text, code := explain(c.CommandPath(), err)
	fmt.Fprintln(e.stderr, text)
	return code
}

// tellRun marks the errors of c and the commands below it as those of a command
// that ran.
func tellRun(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := run(c, args); err != nil {
				return ranError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		tellRun(sub)
	}
}

// explain says what failed, with what, and what to do; in one line, except for a
// configuration, which has a line for each mistake.
func explain(command string, err error) (text string, code int) {
	var (
		ran         ranError
		usage       usageError
		bad         config.Errors
		unreachable *control.Unreachable
		files       control.FileErrors
	)
	if !errors.As(err, &ran) {
		return fmt.Sprintf("%s: %s; see %s --help", command, printable(firstLine(err.Error())), command), exitUsage
	}
	if errors.As(err, &bad) || errors.As(err, &files) {
		lines := []string(files)
		if files == nil {
			lines = mistakes(bad)
		}
		for i := range lines {
			lines[i] = printable(lines[i])
		}
		return strings.Join(lines, "\n"), exitUsage
	}
	text, code = ran.Error(), exitFailed
	switch {
	case errors.As(err, &usage):
		code = exitUsage
		text += fmt.Sprintf("; see %s --help", command)
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &unreachable):
		text = fmt.Sprintf("no permission to open %s: use its owner or group, or sudo", unreachable.Socket)
	case errors.As(err, &unreachable):
		text = fmt.Sprintf("%s: is tributary running? Start it with \"tributary run -c FILE\", or give --socket", unreachable)
	case errors.Is(err, gateway.ErrNoLine):
		text += "; \"tributary lines\" shows those that are up"
	case errors.Is(err, control.ErrNoSession):
		text += "; \"tributary sessions\" shows those that there are"
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	}
	return command + ": " + printable(text), code
}

// firstLine leaves out cobra's suggestions, which go over several lines.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// isClosedPipe reports whether the reader of our output has gone, as head does.
func isClosedPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
