//go:build !linux

package ether

import (
	"errors"
	"fmt"
	"runtime"

	"tributary/internal/frame"
)

// Open attaches to a network interface, which needs Linux. Elsewhere the
// in-memory Hub is there, and with it the lab.
func Open(name string, _ *frame.Pool, _ Options) (Port, error) {
	return nil, fmt.Errorf("ether: %s: no packet sockets on %s: %w", name, runtime.GOOS, errors.ErrUnsupported)
}
