package guests

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tributary/test/guests/guest"
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
		return sandbox.Missing("the reference gateway is rp-pppoe's client: install the package pppoe")
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := guest.Build(ctx, here, filepath.Join(here, work), guest.KindFromEnv()); err != nil {
		return err
	}
	return buildGateway(ctx)
}

// buildGateway compiles the program under test. It has the race detector in
// it: guests make it do what unit tests do not.
func buildGateway(ctx context.Context) error {
	if os.Getenv("TRIBUTARY_BIN") != "" {
		return nil
	}
	for _, args := range [][]string{
		{"build", "-race", "-o", filepath.Join(work, "tributary-race"), "tributary/cmd/tributary"},
		{"build", "-o", filepath.Join(work, "tributary"), "tributary/cmd/tributary"},
	} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/tributary: %w\n%s", err, out)
		}
	}
	return nil
}
