package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tributary/internal/aaa"
)

func newHashCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "hash",
		Short: "Make the hash of a password for a users file",
		Long: `Reads a password, from the terminal without showing it or else the first line of
standard input, and prints what the users file has under "hash" in its place. A
user of whom there is only a hash logs in by PAP: CHAP needs the password.`,
		Example: `  tributary hash
  tributary hash <password.txt`,
		Args: cobra.NoArgs,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		password, err := e.readPassword(c.Context())
		if err != nil {
			return err
		}
		hash, err := aaa.HashPassword(password)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.stdout, hash)
		return err
	}
	return c
}

// readPassword is the first line of standard input. A terminal asks, and does not
// show what is typed.
func (e *env) readPassword(ctx context.Context) (string, error) {
	if tty, ok := e.stdin.(*os.File); ok {
		fd := int(tty.Fd())
		if was, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			quiet := *was
			quiet.Lflag &^= unix.ECHO
			if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
				return "", fmt.Errorf("the terminal would show the password: %w", err)
			}
			defer func() {
				_ = unix.IoctlSetTermios(fd, unix.TCSETS, was)
				fmt.Fprintln(e.stderr)
			}()
			fmt.Fprint(e.stderr, "Password: ")
		}
	}
	read := make(chan error, 1)
	var line string
	go func() {
		var err error
		line, err = bufio.NewReader(io.LimitReader(e.stdin, 1024)).ReadString('\n')
		read <- err
	}()
	select {
	case <-ctx.Done(): // the terminal is to show again what is typed
		return "", ctx.Err()
	case err := <-read:
		if err != nil && !(errors.Is(err, io.EOF) && line != "") {
			return "", fmt.Errorf("there is no password on standard input: %w", err)
		}
	}
	return strings.TrimRight(line, "\r\n"), nil
}
