package line

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
)

func listenPTY(t *testing.T, pool *frame.Pool) *PTYListener {
	t.Helper()
	l, err := ListenPTY("terminal", filepath.Join(t.TempDir(), "ppp0"), 0o660, pool, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// openTerminal opens a terminal as a user's program would.
func openTerminal(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestPTYConversation(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenPTY(t, pool)
	terminal, err := os.Readlink(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(l.Addr()); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("the terminal's permissions: %v, %v, want 0660", st.Mode(), err)
	}

	for range 3 { // the same terminal, again and again
		user := openTerminal(t, l.Addr())
		line := accept(t, l)
		if i := line.Info(); i.Name != "terminal/ppp0" || i.Kind != "pty" || i.Remote != l.Addr() {
			t.Errorf("Info = %+v", i)
		}
		// Every octet value, and nothing echoed: the terminal is raw.
		all := []byte{0, 0x21}
		for c := range 256 {
			all = append(all, byte(c))
		}
		near, far := hdlc.Params{}, Over(user, Info{Name: "user"}, pool)
		line.SetParams(near, 0)
		far.SetParams(near, 0)
		send(t, far, pool, all)
		wantFrames(t, "from the user", line, all)
		send(t, line, pool, all)
		wantFrames(t, "to the user", far, all)

		far.Close()
		wantEnd(t, "the user closed the terminal", line, io.EOF)
		line.Close()
		if now, _ := os.Readlink(l.Addr()); now != terminal {
			t.Fatalf("the link leads to %s, want still %s", now, terminal)
		}
	}

	l.Close()
	if _, err := os.Lstat(l.Addr()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close the link is still there: %v", err)
	}
	wantHeld(t, "in the end", pool, 0)
}

func TestPTYHangUpTakesTheTerminalAway(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenPTY(t, pool)
	before, _ := os.Readlink(l.Addr())
	user := openTerminal(t, l.Addr())
	line := accept(t, l)
	send(t, line, pool, terminateAck)
	line.Close()
	next := make(chan Line)
	go func() {
		line, err := l.Accept()
		if err != nil {
			t.Errorf("Accept: %v", err)
		}
		next <- line
	}()

	// Whoever reads slowly still gets the last words, and then the hang-up.
	var got []byte
	for b := make([]byte, 1); ; {
		n, err := user.Read(b)
		if err != nil {
			break
		}
		got = append(got, b[:n]...)
	}
	if f := decoded(t, got, 0xffffffff); len(f) != 1 || !bytes.Equal(f[0], terminateAck) {
		t.Errorf("before the hang-up the user read %x, want the Terminate-Ack", got)
	}
	eventually(t, "the link leads to a new terminal", func() bool {
		now, err := os.Readlink(l.Addr())
		return err == nil && now != before
	})
	user = openTerminal(t, l.Addr())
	again := <-next
	defer again.Close()
	mustWrite(t, user, encoded(hdlc.Default, configureRequest))
	wantFrames(t, "the new terminal works", again, configureRequest)
}

func TestPTYWrittenAndClosedBeforeAccept(t *testing.T) {
	pool := frame.NewPool(8)
	l := listenPTY(t, pool)
	user := openTerminal(t, l.Addr())
	mustWrite(t, user, encoded(hdlc.Default, configureRequest))
	user.Close()
	line := accept(t, l)
	wantFrames(t, "what was written before anyone looked", line, configureRequest)
	wantEnd(t, "and the user is gone", line, io.EOF)
}

func TestPTYCloseWhileBlocked(t *testing.T) {
	pool := frame.NewPool(64)
	l := listenPTY(t, pool)
	openTerminal(t, l.Addr()) // and never reads
	line := accept(t, l)
	errs := make(chan error, 3)
	go func() {
		var batch [1]*frame.Buf
		_, err := line.Read(batch[:])
		errs <- err
	}()
	writing := make(chan struct{}, 1)
	go func() {
		b := buf(t, pool, ipPacket)
		for {
			if err := line.Write([]*frame.Buf{b}); err != nil {
				b.Put()
				errs <- err
				return
			}
			select {
			case writing <- struct{}{}:
			default:
			}
		}
	}()
	go func() {
		_, err := l.Accept() // waits for the line to be closed, then for a user
		errs <- err
	}()
	<-writing
	line.Close()
	for range 2 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Errorf("blocked in the line when it was closed: %v", err)
		}
	}
	l.Close()
	if err := <-errs; !errors.Is(err, ErrClosed) {
		t.Errorf("Accept when the listener was closed: %v", err)
	}
	wantHeld(t, "after Close", pool, 0)
}

func TestPTYLinkIsNeverSomethingElse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	toFile, dangling := filepath.Join(dir, "to-file"), filepath.Join(dir, "dangling")
	for link, target := range map[string]string{toFile: file, dangling: "/dev/pts/4000000"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ why, link, want string }{
		{"a file", file, "left alone"},
		{"a directory", dir, "left alone"},
		{"a link to a file", toFile, "left alone"},
		{"a directory that is not there", filepath.Join(dir, "no", "ppp0"), "make the directory"},
		{"a file as directory", filepath.Join(file, "ppp0"), "not a directory"},
	} {
		l, err := ListenPTY("g", tt.link, 0, frame.NewPool(1), quiet())
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.link) {
			t.Errorf("%s: %v, want %q and the path in it", tt.why, err, tt.want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, %v", b, err)
	}

	l, err := ListenPTY("g", dangling, 0, frame.NewPool(1), quiet())
	if err != nil {
		t.Fatalf("a link left by a gateway that was killed: %v", err)
	}
	// Someone else takes the path over: his link is not ours to remove.
	other := filepath.Join(dir, "other")
	if err := os.Symlink(file, other); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, dangling); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if to, err := os.Readlink(dangling); err != nil || to != file {
		t.Errorf("Close removed a link that was not ours: %v, %v", to, err)
	}
}

func TestListenAndCheck(t *testing.T) {
	dir := t.TempDir()
	pool := frame.NewPool(1)
	good, bad := filepath.Join(dir, "a"), filepath.Join(dir, "no", "b")
	ls, err := Listen(config.Lines{Name: "g", PTY: &config.PTY{Links: []string{good, filepath.Join(dir, "c")}}}, pool, quiet())
	if err != nil || len(ls) != 2 {
		t.Fatalf("two links: %d listeners, %v", len(ls), err)
	}
	for _, l := range ls {
		l.Close()
	}
	if _, err := Listen(config.Lines{Name: "g", PTY: &config.PTY{Links: []string{good, bad}}}, pool, quiet()); err == nil {
		t.Error("a link in a directory that is not there was accepted")
	}
	if _, err := os.Lstat(good); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the good link was made, though the other is impossible")
	}
	for _, tt := range []struct {
		why  string
		cfg  config.Lines
		want string
	}{
		{"nothing", config.Lines{Name: "g"}, "neither"},
		{"two links of one name", config.Lines{Name: "g", PTY: &config.PTY{Links: []string{good, filepath.Join(dir, ".", "x", "..", "a")}}}, "g/a"},
		{"no port", config.Lines{Name: "g", TCP: &config.TCP{Listen: "127.0.0.1"}}, "port"},
		{"no serial device", config.Lines{Name: "g", Serial: &config.Serial{Devices: []string{"/dev/null"}}}, ""},
		{"a file for a device", config.Lines{Name: "g", Serial: &config.Serial{Devices: []string{os.Args[0]}}}, "not a serial device"},
		{"a bad glob", config.Lines{Name: "g", Serial: &config.Serial{Devices: []string{"/dev/tty[S"}}}, "pattern"},
	} {
		err := Check(tt.cfg)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.why, err, tt.want)
		}
	}
	ls, err = Listen(config.Lines{Name: "g", TCP: &config.TCP{Listen: "127.0.0.1:0"}}, pool, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer ls[0].Close()
	if _, err := Listen(config.Lines{Name: "g", TCP: &config.TCP{Listen: ls[0].Addr()}}, pool, quiet()); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a port in use: %v", err)
	}
}
