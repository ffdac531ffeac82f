package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/control"
)

// version is set by the linker (-X main.version=v1.2.3) for a release that is
// built outside of its repository.
var version string

// thisVersion is what this binary was built from.
func thisVersion() control.Version {
	v := control.Version{Version: version, Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Built = s.Value
		case "vcs.modified":
			v.Dirty = s.Value == "true"
		}
	}
	return v
}

func newVersionCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program, or of the running gateway",
		Example: `  tributary version
  tributary version --running --json`,
		Args: cobra.NoArgs,
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	running := c.Flags().Bool("running", false, "ask the running gateway instead")
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := e.version
		if *running {
			client := control.Dial(*socket)
			defer client.Close()
			var err error
			if v, err = client.Version(c.Context()); err != nil {
				return err
			}
		}
		if *asJSON {
			return printJSON(e.stdout, v)
		}
		return e.printVersion(e.stdout, v)
	}
	return c
}

func (e *env) printVersion(w io.Writer, v control.Version) error {
	text := "tributary " + orElse(v.Version, "(unknown version)")
	if v.Commit != "" {
		text += ", commit " + v.Commit
		if v.Dirty {
			text += " with changes"
		}
		if v.Built != "" {
			text += " of " + v.Built
		}
	}
	text += ", " + v.Go + " " + v.OS
	if !v.Started.IsZero() {
		text += fmt.Sprintf("\nrunning as process %d since %s", v.PID, v.Started.Local().Format(time.DateTime))
	}
	for line := range strings.Lines(text) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
