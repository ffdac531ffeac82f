// Package sandbox runs a test binary in network, mount and process namespaces
// of its own. A test there may make interfaces, open packet sockets and start
// programs as it likes: the machine sees none of it, and when the test binary
// ends, however it ends, the kernel ends everything it started and takes its
// interfaces away.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
)

const (
	envInside  = "TRIBUTARY_SANDBOX"         // set in the test binary's second life
	envMissing = "TRIBUTARY_SANDBOX_MISSING" // why the tests cannot run
)

// CI reports whether nothing may be left out.
func CI() bool { return os.Getenv("CI") == "true" }

// Missing is the error of a prerequisite that this machine lacks; the text says
// which, and what to do about it.
type Missing string

func (m Missing) Error() string { return string(m) }

// Main is a TestMain. It calls prepare, which may use the whole machine (fetch,
// compile), and then runs the tests in a sandbox. When prepare returns a
// Missing, or the kernel refuses the namespaces, the tests run where they are
// and Need tells each of them why it cannot. Any other error fails at once.
func Main(m *testing.M, prepare func() error) {
	if os.Getenv(envInside) != "" {
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	// Where Debian has network programs, and an ordinary user's PATH has not.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	err := prepare()
	if err == nil {
		var code int
		if code, err = again(); err == nil {
			os.Exit(code)
		}
	}
	var missing Missing
	if !errors.As(err, &missing) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv(envMissing, missing.Error())
	os.Exit(m.Run())
}

// Need skips the test when the sandbox could not be had. In CI it fails: a
// prerequisite that is missing there is a fault of the scripts.
func Need(t testing.TB) {
	t.Helper()
	Skip(t, os.Getenv(envMissing))
}

// Skip skips the test for a reason, unless that is empty; in CI it fails.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if reason == "" {
		return
	}
	if CI() {
		t.Fatal("with CI=true nothing is left out: ", reason)
	}
	t.Skip(reason)
}

// again runs this test binary, with the same arguments, in new namespaces. An
// err means that the kernel would not make them.
func again() (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid := os.Getuid(); uid != 0 { // the kernel may let a user be root in a namespace of its own
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	// Pdeathsig is about the thread that started the process, not about the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode(), nil
	case errors.As(err, &exit): // ended by a signal
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return 1, nil
	case err != nil:
		return 0, Missing("no network and process namespaces for the tests (be root, or allow user namespaces): " + err.Error())
	}
	return 0, nil
}

// enter makes /proc and /sys those of the new namespaces and brings lo up.
func enter() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts made private: %w", err)
	}
	for _, fs := range []string{"proc", "sysfs"} {
		dir := map[string]string{"proc": "/proc", "sysfs": "/sys"}[fs]
		if err := syscall.Mount(fs, dir, fs, syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
