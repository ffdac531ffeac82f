package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime is the processor time of the machine that the guest runs on, user's and
// system's, that it has used so far: all of it, its devices' too. Processes of the
// guest that have ended are not in it, where each is one of the machine's (UML).
func (g *Guest) CPUTime() (total time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	found := false
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// pid (comm) state ppid pgrp, and comm may have anything in it
		f := strings.Fields(string(b)[strings.LastIndexByte(string(b), ')')+1:])
		if len(f) < 3 || f[2] != strconv.Itoa(g.cmd.Process.Pid) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return 0, err
		}
		const sched = 2 // CPUCLOCK_SCHED, the clock of a process's run time
		var ts unix.Timespec
		if unix.ClockGettime(int32(^pid<<3|sched), &ts) == nil {
			total += time.Duration(ts.Nano())
			found = true
		}
	}
	if !found {
		return 0, fmt.Errorf("guest %s: %w", g.Name, ErrGone)
	}
	return total, nil
}

// Share is the path of a folder of this machine that the guest has at /host.
func (g *Guest) Share() string { return filepath.Join(g.dir, "share") }
