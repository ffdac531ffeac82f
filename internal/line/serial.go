package line

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
)

// serialWays are the intervals of a SerialListener, and how it looks at DCD.
type serialWays struct {
	rescan  time.Duration // between two looks for devices that have come
	retry   time.Duration // after a device could not be opened
	carrier time.Duration // between two looks at DCD
	dtrLow  time.Duration // DTR is dropped for so long to hang up
	dcd     func(fd int) (up bool, err error)
}

var defaultSerialWays = serialWays{
	rescan: 2 * time.Second, retry: 2 * time.Second, carrier: 100 * time.Millisecond, dtrLow: 500 * time.Millisecond,
	dcd: carrierUp,
}

// SerialListener is the serial devices of one group: each is one line, again and
// again. With a watched carrier a line is up while DCD is there, without while the
// device is open. A device that goes (a USB adapter pulled out) is looked for until
// it is back; a glob finds devices that come later.
//
// The termios work is x/sys's: go.bug.st/serial has neither hardware flow control
// nor speeds beyond the fixed ones, and its reads keep a thread each.
type SerialListener struct {
	group   string
	cfg     config.Serial
	pool    *frame.Pool
	log     *slog.Logger
	scratch *scratch
	ways    serialWays

	lines    chan Line
	stop     chan struct{}
	stopOnce sync.Once
	running  sync.WaitGroup // scan and the devices; a device ends after its line
	failed   atomic.Uint64

	mu   sync.Mutex
	open map[string]string // by the device's real path: the line's name
}

// ListenSerial watches the devices of one group. That none is there yet is no error.
func ListenSerial(group string, cfg config.Serial, pool *frame.Pool, log *slog.Logger) (*SerialListener, error) {
	if err := checkSerial(cfg); err != nil {
		return nil, err
	}
	return listenSerial(group, cfg, pool, log, defaultSerialWays), nil
}

func listenSerial(group string, cfg config.Serial, pool *frame.Pool, log *slog.Logger, ways serialWays) *SerialListener {
	l := &SerialListener{
		group: group, cfg: cfg, pool: pool, log: log, scratch: newScratch(), ways: ways,
		lines: make(chan Line), stop: make(chan struct{}), open: make(map[string]string),
	}
	l.running.Go(l.scan)
	return l
}

// checkSerial looks at the devices without opening them: opening a serial device
// raises its DTR, and a modem may answer to that.
func checkSerial(cfg config.Serial) error {
	if cfg.Speed < 0 || cfg.Speed > 1<<31-1 {
		return fmt.Errorf("line: serial speed %d is not possible", cfg.Speed)
	}
	for _, pattern := range cfg.Devices {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("line: %s: %w", pattern, err)
		}
		for _, path := range paths {
			if err := checkDevice(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan starts a goroutine for every device that is there and has none.
func (l *SerialListener) scan() {
	for {
		for _, pattern := range l.cfg.Devices {
			paths, _ := filepath.Glob(pattern) // the pattern was checked
			for _, path := range paths {
				l.start(path)
			}
		}
		if !wait(l.ways.rescan, l.stop) {
			return
		}
	}
}

// start serves the device at path, unless it is served already, perhaps by another
// of its names (/dev/serial/by-id).
func (l *SerialListener) start(path string) {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return // gone between two looks
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[device]; ok {
		return
	}
	name := l.group + "/" + filepath.Base(path)
	for _, taken := range l.open {
		if taken == name { // two directories, one base name
			name = l.group + "/" + strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
		}
	}
	l.open[device] = name
	l.running.Go(func() {
		l.serve(path, name)
		l.mu.Lock()
		delete(l.open, device)
		l.mu.Unlock()
	})
}

// serve makes lines of one device, one after another, until the device is gone or
// the listener is closed.
func (l *SerialListener) serve(path, name string) {
	var said string
	for {
		port, err := openSerial(path, l.cfg.Speed, l.cfg.Flow, l.cfg.Carrier)
		if err == nil {
			said, port.dcd = "", l.ways.dcd
			err = l.serveOpen(port, name)
		} else {
			l.failed.Add(1)
		}
		if errors.Is(err, fs.ErrNotExist) {
			l.log.Info("serial device is gone", "group", l.group, "device", path)
			return // scan finds it when it is back
		}
		pause := time.Duration(0)
		if err != nil {
			if said != err.Error() { // once, not every two seconds
				l.log.Warn("serial device cannot be used, trying again", "group", l.group, "device", path, "error", err)
				said = err.Error()
			}
			pause = l.ways.retry
		}
		if !wait(pause, l.stop) {
			return
		}
	}
}

// serveOpen waits for the carrier, yields a line, waits until it is closed, and
// hangs up. An error is the device's.
func (l *SerialListener) serveOpen(port *serialPort, name string) error {
	if l.cfg.Carrier {
		up, err := l.awaitCarrier(port)
		if !up {
			port.file.Close()
			return err
		}
	}
	c, err := port.carrierOf(l.scratch)
	if err != nil {
		port.file.Close()
		return err
	}
	info := Info{Name: name, Group: l.group, Kind: "serial", Remote: port.path, Speed: l.cfg.Speed}
	if l.cfg.Flow == config.FlowXONOFF {
		info.ACCM = accmXONXOFF
	}
	line := newAsync(info, c, l.scratch, l.pool)
	select {
	case l.lines <- line:
	case <-l.stop:
		line.Close()
		port.file.Close()
		return nil
	}
	l.watch(port, line, c)
	port.hangUp(l.ways.dtrLow, l.stop)
	if _, err := os.Stat(port.path); err != nil {
		return err
	}
	return nil
}

// awaitCarrier returns when DCD is there, up false when it will not come.
func (l *SerialListener) awaitCarrier(port *serialPort) (up bool, err error) {
	for {
		if up, err := port.carrier(); up || err != nil {
			return up, err
		}
		if !wait(l.ways.carrier, l.stop) {
			return false, nil
		}
	}
}

// watch returns when line is closed. The kernel hangs up a terminal that loses
// its carrier; some USB adapters' drivers do not tell it, so DCD is looked at as
// well. A lost carrier ends the line's Read; whoever reads it then closes it.
func (l *SerialListener) watch(port *serialPort, line *async, c *fdCarrier) {
	if !l.cfg.Carrier {
		<-line.done
		return
	}
	tick := time.NewTicker(l.ways.carrier)
	defer tick.Stop()
	for {
		select {
		case <-line.done:
			return
		case <-tick.C:
			if up, err := port.carrier(); !up || err != nil {
				c.close()
				<-line.done
				return
			}
		}
	}
}

// Accept waits for the next line of any of the devices.
func (l *SerialListener) Accept() (Line, error) {
	select {
	case <-l.stop:
		return nil, ErrClosed
	default:
	}
	select {
	case line := <-l.lines:
		return line, nil
	case <-l.stop:
		return nil, ErrClosed
	}
}

// Refused counts the times that a device could not be opened or set up.
func (l *SerialListener) Refused() Refused { return Refused{Failed: l.failed.Load()} }

// Addr is the devices as configured.
func (l *SerialListener) Addr() string { return strings.Join(l.cfg.Devices, " ") }

// Close stops watching. Devices without a line are closed at once, the others when
// their line is.
func (l *SerialListener) Close() error {
	l.stopOnce.Do(func() { close(l.stop) })
	return nil
}
