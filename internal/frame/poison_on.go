//go:build poison

package frame

import (
	"bytes"
	"sync/atomic"
)

// debug watches over a buffer's life: built with the tag poison, a buffer that
// was put back is filled with a pattern, and the process ends when one is put
// back twice or was written to while it lay in the pool.
type debug struct{ free atomic.Bool }

// pattern is not a flag, an escape, or the start of anything in PPP or Ethernet.
const pattern = 0xdb

var poisoned = bytes.Repeat([]byte{pattern}, Size)

func (d *debug) taken(b *Buf) {
	if d.free.Swap(false) && !bytes.Equal(b.data[:], poisoned) {
		panic("frame: buffer written to after Put")
	}
}

func (d *debug) returned(b *Buf) {
	if b.pool == nil && !d.free.Load() {
		return
	}
	if d.free.Swap(true) {
		panic("frame: buffer Put twice")
	}
	copy(b.data[:], poisoned)
	b.off, b.end = 0, 0
}
