// Package tshark asks Wireshark's dissectors whether a capture is well formed.
package tshark

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"tributary/test/sandbox"
)

// Check fails the test for every frame in a capture file that tshark finds
// malformed, reports an error for, or, if it is PPP's or PPPoE's own, a
// warning; and when it sees no frame at all. Warnings about the users' TCP
// (a segment that was lost) are not ours.
func Check(t testing.TB, file string) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		sandbox.Skip(t, "tshark is not installed")
	}
	frames, faults, err := dissect(file)
	switch {
	case err != nil:
		t.Error(err)
	case frames == 0:
		t.Errorf("tshark sees no frame in %s", file)
	case len(faults) > 0:
		t.Errorf("tshark finds fault with %d of %d frames in %s:\n%s", len(faults), frames, file, strings.Join(faults[:min(len(faults), 20)], "\n"))
	default:
		t.Logf("tshark: %d frames, no fault", frames)
	}
}

// Values of _ws.expert.severity. A malformed packet is an error.
const (
	severityWarning = "6291456"
	severityError   = "8388608"
)

// dissect counts the frames of a capture and describes those at fault.
func dissect(file string) (frames int, faults []string, err error) {
	// -n: no look-ups of names.
	cmd := exec.Command("tshark", "-n", "-r", file, "-T", "fields",
		"-e", "_ws.expert.severity", "-e", "_ws.malformed", "-e", "_ws.col.Protocol", "-e", "frame.number", "-e", "eth.src",
		"-e", "_ws.col.Info", "-e", "_ws.expert.message")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, nil, fmt.Errorf("tshark -r %s: %w: %s", file, err, stderr.String())
	}
	for line := range strings.Lines(string(out)) {
		frames++
		field := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		if len(field) < 4 {
			return 0, nil, fmt.Errorf("tshark -r %s: unexpected output %q", file, line)
		}
		severities := strings.Split(field[0], ",")
		if field[1] != "" || slices.Contains(severities, severityError) ||
			strings.HasPrefix(field[2], "PPP") && slices.Contains(severities, severityWarning) {
			faults = append(faults, field[2]+" "+field[3])
		}
	}
	return frames, faults, nil
}
