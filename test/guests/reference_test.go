package guests

import (
	"context"
	"net"
	"os/exec"
	"sync"
	"testing"

	"tributary/test/capture"
)

// startReference puts rp-pppoe's user-mode client in the gateway's place, one
// process per connection.
func (r *rig) startReference() {
	r.t.Helper()
	l, err := net.Listen("tcp", bank)
	if err != nil {
		r.t.Fatal(err)
	}
	log := r.logFile("pppoe.log")
	ctx, cancel := context.WithCancel(r.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			file, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				r.t.Error(err)
				return
			}
			// -U: several clients on one interface keep apart by Host-Uniq.
			cmd := exec.CommandContext(ctx, "pppoe", "-I", r.uplink, "-U")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, log
			err = cmd.Start()
			file.Close()
			if err != nil {
				r.t.Error(err)
				return
			}
			running.Go(func() { cmd.Wait() })
		}
	})
	r.t.Cleanup(func() {
		l.Close()
		cancel()
		running.Wait()
	})
}

// plainLine is what rp-pppoe's client wants of its pppd: it negotiates nothing
// with it and passes LCP through as it is.
const plainLine = "default-asyncmap noaccomp nopcomp"

// TestReference proves the rig itself, and says how fast it is with the
// gateway that people use today.
func TestReference(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.startReference()
	r.dial(1, plainLine)
	r.ping(1, 5, 56)
	r.ping(1, 2, 1464) // a whole MTU of 1492
	r.transfer(1)

	r.must(r.user, "kill $(head -n1 /run/ppp-l1.pid)")
	r.hasEnded(1, "pppd was told to end")
	r.ispSessions(0, "the user has hung up")
	r.want("the client says so to the AC, or pppd at the AC does", 1, func(f capture.Frame) bool { return f.Code == capture.PADT })
}
