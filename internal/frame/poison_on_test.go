//go:build poison

package frame

import (
	"bytes"
	"testing"
)

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	f()
}

func TestPoison(t *testing.T) {
	p := NewPool(4)
	b := p.Get()
	b.SetBytes([]byte("frame"))
	borrowed := b.Bytes()
	b.Put()
	if !bytes.Equal(borrowed, poisoned[:5]) {
		t.Errorf("a slice kept beyond Put still reads %q", borrowed)
	}
	if b.Len() != 0 {
		t.Errorf("a buffer put back has %d octets", b.Len())
	}
	mustPanic(t, "frame: buffer Put twice", b.Put)

	// As Get would find it, without relying on which buffer sync.Pool gives.
	borrowed[0] = 'X'
	mustPanic(t, "frame: buffer written to after Put", func() { b.debug.taken(b) })
}
