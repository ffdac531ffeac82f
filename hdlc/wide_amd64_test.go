//go:build !purego

package hdlc

import (
	"os"
	"testing"
)

// needWide: where CI runs, the assembler runs.
func needWide(t testing.TB) {
	t.Helper()
	switch {
	case wide:
	case os.Getenv("CI") != "":
		t.Fatal("this processor lacks an instruction that the assembler uses")
	default:
		t.Skip("this processor lacks an instruction that the assembler uses")
	}
}
