package line

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tributary/internal/config"
	"tributary/internal/frame"
)

// Listen opens what one group of lines comes in by: a TCP port, ptys, serial devices.
// Everything that can be checked beforehand is checked before anything is touched,
// and if one of several cannot be opened, those opened before it are closed.
func Listen(cfg config.Lines, pool *frame.Pool, log *slog.Logger) ([]Listener, error) {
	if err := Check(cfg); err != nil {
		return nil, err
	}
	switch {
	case cfg.TCP != nil:
		l, err := ListenTCP(cfg.Name, *cfg.TCP, pool, log)
		if err != nil {
			return nil, err
		}
		return []Listener{l}, nil
	case cfg.Serial != nil:
		l, err := ListenSerial(cfg.Name, *cfg.Serial, pool, log)
		if err != nil {
			return nil, err
		}
		return []Listener{l}, nil
	}
	var ls []Listener
	for _, link := range cfg.PTY.Links {
		l, err := ListenPTY(cfg.Name, link, cfg.PTY.Mode, pool, log)
		if err != nil {
			for _, l := range ls {
				l.Close()
			}
			return nil, err
		}
		ls = append(ls, l)
	}
	return ls, nil
}

// Check says whether Listen would probably work, without touching anything: it
// opens no port and no device, and makes no link.
func Check(cfg config.Lines) error {
	switch {
	case cfg.TCP != nil:
		if _, err := net.ResolveTCPAddr("tcp", cfg.TCP.Listen); err != nil {
			return fmt.Errorf("line: %s: %w", cfg.Name, err)
		}
		return nil
	case cfg.Serial != nil:
		return checkSerial(*cfg.Serial)
	case cfg.PTY != nil:
		names := make(map[string]string)
		for _, link := range cfg.PTY.Links {
			if err := checkLink(link); err != nil {
				return err
			}
			base := filepath.Base(link)
			if other, ok := names[base]; ok {
				return fmt.Errorf("line: %s and %s would both be the line %s/%s; name one of the links differently",
					other, link, cfg.Name, base)
			}
			names[base] = link
		}
		return nil
	}
	return fmt.Errorf("line: %s: neither tcp nor serial nor pty", cfg.Name)
}

// checkDevice says whether path is a terminal device that we may open.
func checkDevice(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it may come
	}
	if err != nil {
		return serialError(path, err)
	}
	if st.Mode().Type() != fs.ModeDevice|fs.ModeCharDevice {
		return serialError(path, unix.ENOTTY)
	}
	if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
		return serialError(path, err)
	}
	return nil
}
