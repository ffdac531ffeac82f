package guests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tributary/test/guests/guest"
	"tributary/test/program"
	"tributary/test/sandbox"
)

// work holds the guest images and the gateway under test between runs.
const work = ".work"

func TestMain(m *testing.M) { sandbox.Main(m, prepare) }

// prepare makes what the tests run, while the network is still there.
func prepare() error {
	if !sandbox.CI() && os.Getenv("TRIBUTARY_GUESTS") == "" {
		return sandbox.Missing("guests take minutes: set TRIBUTARY_GUESTS=1, or CI=true (make test does)")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		return sandbox.Missing("guests need TAP devices: " + err.Error())
	} else {
		f.Close()
	}
	if _, err := exec.LookPath("pppoe"); err != nil {
		return sandbox.Missing("the reference gateway is rp-pppoe's client, which is not here, or not for this user to run: test/deps.sh, as root, installs it")
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := guest.Build(ctx, here, filepath.Join(here, work), guest.KindFromEnv()); err != nil {
		return err
	}
	return program.Build(ctx, work)
}
