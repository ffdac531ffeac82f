package line

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
)

// DialOptions says how to dial. The zero value is usable.
type DialOptions struct {
	Name      string        // of the line; the target if empty
	Speed     int           // of a terminal, bit/s; 0 leaves it as it is
	Flow      config.Flow   // of a terminal
	Carrier   bool          // a terminal's DCD is watched: its loss ends the line
	KeepAlive time.Duration // of a TCP connection; 0 is off
}

// Dial makes the user's end of a line: target is tcp:HOST:PORT, or the path of a
// terminal. ctx bounds the dialling only.
func Dial(ctx context.Context, target string, pool *frame.Pool, opts DialOptions) (Line, error) {
	info := Info{Name: opts.Name, Remote: target}
	if info.Name == "" {
		info.Name = target
	}
	if addr, ok := strings.CutPrefix(target, "tcp:"); ok {
		return dialTCP(ctx, addr, pool, info, opts)
	}
	if !filepath.IsAbs(target) {
		return nil, fmt.Errorf("line: cannot dial %q: want tcp:HOST:PORT or the path of a terminal, such as /dev/ttyUSB0", target)
	}
	return dialSerial(target, pool, info, opts)
}

func dialTCP(ctx context.Context, addr string, pool *frame.Pool, info Info, opts DialOptions) (Line, error) {
	d := net.Dialer{KeepAlive: -1} // setKeepAlive sets it
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("line: %w", err)
	}
	s := newScratch()
	c, err := newTCPCarrier(conn.(*net.TCPConn), s, opts.KeepAlive)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("line: %w", err)
	}
	info.Kind, info.Remote = "tcp", conn.RemoteAddr().String()
	return newAsync(info, c, s, pool), nil
}

func dialSerial(path string, pool *frame.Pool, info Info, opts DialOptions) (Line, error) {
	port, err := openSerial(path, opts.Speed, opts.Flow, opts.Carrier)
	if err != nil {
		return nil, err
	}
	s := newScratch()
	fd, err := port.carrierOf(s)
	if err != nil {
		port.file.Close()
		return nil, serialError(path, err)
	}
	info.Kind, info.Speed = "serial", opts.Speed
	if opts.Flow == config.FlowXONOFF {
		info.ACCM = accmXONXOFF
	}
	return newAsync(info, &dialedPort{fdCarrier: fd, port: port}, s, pool), nil
}

// dialedPort is a serial device that no listener looks after: closing the line
// hangs up.
type dialedPort struct {
	*fdCarrier
	port *serialPort
}

func (c *dialedPort) close() error {
	err := c.fdCarrier.close()
	go c.port.hangUp(defaultSerialWays.dtrLow, nil)
	return err
}
