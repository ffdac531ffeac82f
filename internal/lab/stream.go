package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Stream is an endless stream of octets that looks random and is always the
// same, so that both ends of a transfer can check it without any of it in store.
type Stream struct {
	x    uint64
	word [8]byte
	left int // octets of word that are still to come
}

// NewStream begins the stream.
func NewStream() *Stream { return &Stream{x: 0x9e3779b97f4a7c15} }

// next is the stream's next eight octets (xorshift64).
func (s *Stream) next() uint64 {
	s.x ^= s.x << 13
	s.x ^= s.x >> 7
	s.x ^= s.x << 17
	return s.x
}

// Read fills b; it never fails.
func (s *Stream) Read(b []byte) (int, error) {
	n := copy(b, s.word[8-s.left:])
	s.left -= n
	rest := b[n:]
	for ; len(rest) >= 8; rest = rest[8:] {
		binary.LittleEndian.PutUint64(rest, s.next())
	}
	if len(rest) > 0 {
		binary.LittleEndian.PutUint64(s.word[:], s.next())
		s.left = 8 - copy(rest, s.word[:])
	}
	return len(b), nil
}

// Check is a writer that compares what it is given with the stream.
type Check struct {
	stream *Stream
	want   [4096]byte
	N      int64 // octets compared so far, all of them right
}

// NewCheck compares from the stream's beginning.
func NewCheck() *Check { return &Check{stream: NewStream()} }

var errCorrupt = errors.New("the transfer was corrupted")

// Write compares b; an error says at which octet it is wrong.
func (c *Check) Write(b []byte) (done int, err error) {
	for done < len(b) {
		want := c.want[:min(len(c.want), len(b)-done)]
		_, _ = c.stream.Read(want) // never fails
		if got := b[done : done+len(want)]; !bytes.Equal(got, want) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			c.N += int64(i)
			return done + i, fmt.Errorf("%w at octet %d", errCorrupt, c.N)
		}
		done += len(want)
		c.N += int64(len(want))
	}
	return done, nil
}
