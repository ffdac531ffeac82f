//go:build linux

package netns_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"tributary/test/netns"
)

func TestTwoMachinesOnACable(t *testing.T) {
	a, b := netns.Pair(t)
	a.AddAddr("eth0", "192.0.2.1/24")
	b.AddAddr("eth0", "192.0.2.2/24")
	var l net.Listener
	a.Do(func() (err error) {
		l, err = net.Listen("tcp", "192.0.2.1:7")
		return err
	})
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write([]byte("hello from a"))
			c.Close()
		}
	}()
	var got []byte
	b.Do(func() error {
		// Not net.Dial, which may go on in another goroutine, and so elsewhere.
		c, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7})
		if err != nil {
			return err
		}
		defer c.Close()
		got, err = io.ReadAll(c)
		return err
	})
	if string(got) != "hello from a" {
		t.Errorf("b read %q", got)
	}
}

func TestCommandsRunInside(t *testing.T) {
	a, _ := netns.Pair(t)
	var out strings.Builder
	cmd := exec.Command("cat", "/proc/self/net/dev")
	cmd.Stdout = &out
	a.Start(cmd)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.Contains(s, "eth0:") || strings.Count(s, ":") != 2 {
		t.Errorf("the command saw\n%s", s)
	}
	if _, err := os.Stat(a.Path()); err != nil {
		t.Error(err)
	}
}

func TestTryReturnsTheError(t *testing.T) {
	want := errors.New("as it was")
	if err := netns.New(t).Try(func() error { return want }); err != want {
		t.Errorf("Try = %v", err)
	}
}
