// Package control is the one door to a running gateway: HTTP and JSON over a
// Unix socket, described by OpenAPI at /openapi.json. The command line is one
// client of it. Everything that passes it is a copy.
package control

import (
	"errors"
	"strings"
	"time"

	"tributary/internal/gateway"
)

// Gateway is what *gateway.Gateway gives to the outside. S is its kind of
// Subscription, inferred from the argument of New.
type Gateway[S Subscription] interface {
	Lines() []gateway.LineInfo
	Line(name string) (gateway.LineInfo, bool)
	Uplinks() []gateway.UplinkInfo
	Sessions() []gateway.SessionInfo
	Pools() []gateway.PoolInfo
	Hangup(name string) error
	Subscribe(buffer int) S
}

// Subscription is a reader's end of the gateway's events. C is closed when no
// more will come. Lost is how many did not fit the buffer so far.
type Subscription interface {
	C() <-chan gateway.Event
	Lost() uint64
	Close()
}

// Reload is what reading the files again brought about.
type Reload struct {
	Users gateway.UsersReload `json:"users"`
	// Of the configuration file, which is read at the start only.
	Restart []string `json:"restart" doc:"Sections of the configuration file that differ from what runs: they need a restart"`
	Config  []string `json:"config" doc:"What is wrong with the configuration file as it is now: the next start would fail"`
}

// ErrNoReload is what is returned by a gateway that was not started from files.
var ErrNoReload = errors.New("this gateway has no files to read again")

// ErrNoSession is what is returned for a session that the configuration does not have.
var ErrNoSession = errors.New("no such session")

// FileErrors is what is wrong with files, a line for each mistake, each with the name of
// its file, and with line and column if they are known.
type FileErrors []string

func (e FileErrors) Error() string { return strings.Join(e, "\n") }

// Version says what is running, and since when.
type Version struct {
	Version string    `json:"version" doc:"Release, or the commit's pseudo-version"`
	Commit  string    `json:"commit,omitempty" doc:"Revision it was built from"`
	Dirty   bool      `json:"dirty,omitempty" doc:"Built from a changed checkout"`
	Built   string    `json:"built,omitempty" doc:"Time of that revision, RFC 3339"`
	Go      string    `json:"go" doc:"Go version"`
	OS      string    `json:"os" doc:"GOOS/GOARCH"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero" doc:"When this gateway was started"`
}

// Message is one event on the stream of /v1/events.
type Message struct {
	Seq   uint64        `json:"seq" doc:"Counts events from the gateway's start, beginning with 1"`
	Lost  uint64        `json:"lost,omitempty" doc:"So many events before this one were not kept for this reader"`
	Event gateway.Event `json:"event"`
}
