// Package control is the one door to a running gateway: HTTP and JSON over a
// Unix socket, described by OpenAPI at /openapi.json. The command line is one
// client of it. Everything that passes it is a copy.
package control

import (
	"time"

	"tributary/internal/gateway"
)

// Gateway is what *gateway.Gateway gives to the outside. S is its kind of
// Subscription, inferred from the argument of New.
type Gateway[S Subscription] interface {
	Lines() []gateway.LineInfo
	Line(name string) (gateway.LineInfo, bool)
	Uplinks() []gateway.UplinkInfo
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
