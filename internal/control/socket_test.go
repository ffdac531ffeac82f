package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// waitFor waits until n events are in the history.
func waitFor(t *testing.T, s *Server, n uint64) {
	t.Helper()
	for {
		s.history.mu.Lock()
		have, changed := s.history.n, s.history.changed
		s.history.mu.Unlock()
		if have >= n {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the events did not come")
		}
	}
}

func TestListenPermissions(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "a", "b", "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("the socket is %v, %v; want 0660 whatever the umask is", info.Mode(), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close, the socket is still there: %v", err)
	}
	if err := l.Close(); err == nil {
		t.Error("a second Close says nothing: net.ErrClosed is expected")
	}
}

func TestListenWhatIsThere(t *testing.T) {
	t.Run("the socket of a process that crashed is replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		l, err := Listen(path)
		if err != nil {
			t.Fatalf("Listen: %v", err)
		}
		defer l.Close()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("nobody is at the new socket: %v", err)
		}
		c.Close()
	})
	t.Run("a running gateway is left alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		first, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("the second Listen gives %v", err)
		}
		first.Close()
		again, err := Listen(path)
		if err != nil {
			t.Fatalf("after the first has gone: %v", err)
		}
		again.Close()
	})
	t.Run("a stranger's living socket is left alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		stranger, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("Listen gives %v", err)
		}
	})
	t.Run("a file is left alone", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(path); err == nil {
			t.Error("a file was taken for a socket")
		}
		if got, _ := os.ReadFile(path); string(got) != "precious" {
			t.Errorf("the file is now %q", got)
		}
	})
	t.Run("a path that is too long says so", func(t *testing.T) {
		if _, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("x", 200))); err == nil {
			t.Error("a path of more than 108 octets was taken")
		}
	})
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	c := Dial(filepath.Join(dir, "none"))
	_, err := c.Lines(context.Background())
	var gone *Unreachable
	if !errors.As(err, &gone) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a socket: %v, want Unreachable that is fs.ErrNotExist", err)
	}
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("%q shows a URL that is not real", err)
	}
}
