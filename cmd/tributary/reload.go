package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newReloadCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the gateway read its users files again",
		Long: `Has a running gateway read its users files, and the password files of its
sessions, again. Nobody who is connected is touched: what is new counts from the
next login, and for a session from its next dial. If anything is wrong with one
of the files, nothing changes.

The configuration itself is read at the start only. What has changed in it since,
and so needs a restart, is named. SIGHUP does the same; the answer is in the log.`,
		Example: `  tributary reload
  systemctl reload tributary`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		r, err := client.Reload(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(e.stdout, r)
		}
		_, err = fmt.Fprint(e.stdout, reloadText(&r))
		return err
	}
	return c
}

func reloadText(r *control.Reload) string {
	var b strings.Builder
	u := &r.Users
	if u.Files == 0 {
		b.WriteString("there are no users files\n")
	} else {
		fmt.Fprintf(&b, "%d users in %d files: %d new, %d gone, %d changed\n", u.Users, u.Files, u.Added, u.Removed, u.Changed)
	}
	if len(r.Restart) > 0 {
		fmt.Fprintf(&b, "the configuration has changed, and needs a restart: %s\n", printable(strings.Join(r.Restart, ", ")))
	}
	if len(r.Config) > 0 {
		b.WriteString("the configuration file has mistakes: the gateway would not start with it\n")
		for _, mistake := range r.Config {
			fmt.Fprintf(&b, "  %s\n", printable(mistake))
		}
	}
	return b.String()
}

// reloader reads the files of a running gateway again.
type reloader struct {
	gw   *gateway.Gateway
	log  *slog.Logger
	path string         // of the configuration file
	runs *config.Config // what it said at the start
}

// reload is for the API; what comes of it is in the log as well.
func (r *reloader) reload() (control.Reload, error) {
	users, err := r.gw.ReloadUsers()
	if err != nil {
		for _, mistake := range mistakes(err) {
			r.log.Error("nothing is read again: there is a mistake in a file", "mistake", mistake)
		}
		return control.Reload{}, err
	}
	done := control.Reload{Users: users}
	now, err := config.Load(r.path)
	if err != nil {
		done.Config = mistakes(err)
		for _, mistake := range done.Config {
			r.log.Warn("the gateway would not start with the configuration file as it is now", "mistake", mistake)
		}
		return done, nil
	}
	if done.Restart = config.Diff(r.runs, now); len(done.Restart) > 0 {
		r.log.Warn("the configuration has changed, and needs a restart", "sections", strings.Join(done.Restart, ", "))
	}
	return done, nil
}

// listen reloads at each signal, until the gateway has ended. What came of it is in
// the log.
func (r *reloader) listen(ended <-chan struct{}, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			_, _ = r.reload()
		case <-ended:
			return
		}
	}
}

// mistakes is an error in lines, one for each mistake in a file.
func mistakes(err error) []string {
	var bad config.Errors
	if !errors.As(err, &bad) {
		return []string{err.Error()}
	}
	lines := make([]string, len(bad))
	for i, e := range bad {
		lines[i] = e.Error()
	}
	return lines
}
