// Package tshark asks Wireshark's dissectors whether a capture is well formed.
package tshark

import (
	"os/exec"
	"strings"
	"testing"

	"tributary/test/sandbox"
)

// Check fails the test for every frame in a capture file that tshark finds
// malformed or reports an error for. What only the users' own traffic can
// cause (a TCP segment that was lost) is not an error to tshark, but a note.
func Check(t testing.TB, file string) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		sandbox.Skip(t, "tshark is not installed")
	}
	const fields = "-Tfields -eframe.number -eeth.src -e_ws.col.Protocol -e_ws.col.Info -e_ws.expert.message"
	out := run(t, file, append([]string{"-Y", "_ws.malformed || _ws.expert.severity == error"}, strings.Fields(fields)...)...)
	if out != "" {
		t.Errorf("tshark finds fault in %s:\n%s", file, out)
	}
	if run(t, file, "-c", "1") == "" {
		t.Errorf("tshark sees no frame in %s", file)
	}
}

func run(t testing.TB, file string, args ...string) string {
	t.Helper()
	// -n: no look-ups of names.
	cmd := exec.Command("tshark", append([]string{"-n", "-r", file}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}
