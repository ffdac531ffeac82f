package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Listen makes the control socket at path, readable and writable by its owner
// and group, and its directory if need be. The socket of a process that is no
// more is replaced; that of a living one, or a file that is no socket, is not.
// Closing the listener removes the socket.
//
// Who may control a gateway is a matter of the file's group: chgrp it, or set
// the group of the directory's setgid bit.
func Listen(path string) (net.Listener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	lock, err := lockSocket(path)
	if err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &socket{UnixListener: l, path: path, lock: lock}, nil
}

// lockSocket makes sure that one process at a time serves path. The kernel
// forgets the lock when the process ends, however it ends, so the lock says who
// lives; the socket itself stays behind after a crash.
func lockSocket(path string) (*os.File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, inUse(path)
		}
		return nil, &fs.PathError{Op: "lock", Path: path + ".lock", Err: err}
	}
	return lock, nil
}

func inUse(path string) error {
	return fmt.Errorf("%s is in use: another gateway is running; stop it, or give this one a control.socket of its own", path)
}

// bind makes the socket under another name, so that it appears at its own with
// its permissions, and in the place of an old one, in one step.
func bind(path string) (*net.UnixListener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is there and is no socket: move it away, or change control.socket", path)
	default:
		// Not one of ours, since we have the lock, but it may be alive.
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, inUse(path)
		}
	}
	made := path + ".new"
	if err := os.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(made, 0o660)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		l.Close()
		os.Remove(made)
		return nil, err
	}
	return l, nil
}

// socket is a listener that takes its file and its lock with it.
type socket struct {
	*net.UnixListener
	path string
	lock *os.File
	once sync.Once
}

// Close stops listening and removes the socket.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	s.once.Do(func() {
		// Before the lock is free, while it can be nobody else's.
		err = errors.Join(err, os.Remove(s.path), s.lock.Close())
	})
	return err
}

// Addr is the socket's path.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }
