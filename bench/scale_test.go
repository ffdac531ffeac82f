//go:build linux

package main

import (
	"testing"
	"time"
)

func TestFewerLinesAreAskedAsOftenAsAllWouldBe(t *testing.T) {
	if all := steadyPhases(30*time.Second, 50000, 50000); len(all) != 2 {
		t.Errorf("%v: there are all lines, so the second phase has it", all)
	}
	phases := steadyPhases(30*time.Second, 20000, 50000)
	if len(phases) != 3 {
		t.Fatalf("%v", phases)
	}
	// Questions a second: 20,000 in 12 s are 50,000 in 30 s.
	if want := 12 * time.Second; phases[2].every != want || phases[1].every != 30*time.Second || phases[0].every != 0 {
		t.Errorf("%v, want 0s, 30s, %v", phases, want)
	}
	if want := "the AC asks 20000 lines as often as it would 50000"; phases[2].name != want {
		t.Errorf("%q, want %q", phases[2].name, want)
	}
}
