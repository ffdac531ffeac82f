package frame

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBufGrowsAndShrinks(t *testing.T) {
	b := NewPool(1).Get()
	want := func(why, frame string, headroom int) {
		t.Helper()
		if string(b.Bytes()) != frame || b.Len() != len(frame) || b.Headroom() != headroom {
			t.Errorf("%s: %q with %d in front, want %q with %d", why, b.Bytes(), b.Headroom(), frame, headroom)
		}
	}
	want("a new buffer is empty, with headroom", "", Headroom)

	n := copy(b.Space(), "0!payload and FCS")
	if !b.SetLen(n - len(" and FCS")) {
		t.Error("SetLen")
	}
	want("a decoder fills Space and the frame is the front of it", "0!payload", Headroom)

	copy(b.Prepend(6), "PPPoE ")
	want("a header goes in front, the payload stays where it is", "PPPoE 0!payload", Headroom-6)
	if !b.Append([]byte("pad")) || !b.Trim(3) {
		t.Error("Append and Trim")
	}
	want("padding behind, and off again", "PPPoE 0!payload", Headroom-6)
	if !b.TrimFront(6) {
		t.Error("TrimFront")
	}
	want("the header off again is headroom", "0!payload", Headroom)

	off, end := b.Bounds()
	if !b.SetBounds(off-6, end-2) {
		t.Error("SetBounds")
	}
	want("octets that were trimmed are still there", "PPPoE 0!paylo", Headroom-6)

	b.Reset(10)
	want("Reset empties", "", 10)
	if !b.SetBytes([]byte("control")) || !b.SetBytes([]byte("packet")) {
		t.Error("SetBytes")
	}
	want("SetBytes replaces", "packet", 10)
	b.Reset(-1)
	want("no headroom less than none", "", 0)
	b.Reset(Size + 1)
	want("nor more than there is", "", Size)
}

// TestBufRefuses: what does not fit is refused, and the frame is as it was.
func TestBufRefuses(t *testing.T) {
	b := NewPool(1).Get()
	b.Reset(4)
	b.SetBytes([]byte("frame"))
	tooLong := make([]byte, Size-4+1)
	for why, ok := range map[string]bool{
		"SetLen beyond the end":      b.SetLen(Size - 4 + 1),
		"SetLen below zero":          b.SetLen(-1),
		"SetLen overflow":            b.SetLen(math.MaxInt),
		"SetBounds beyond the end":   b.SetBounds(0, Size+1),
		"SetBounds below zero":       b.SetBounds(-1, 4),
		"SetBounds turned around":    b.SetBounds(8, 4),
		"SetBytes too long":          b.SetBytes(tooLong),
		"Append too long":            b.Append(tooLong[:Size-4-5+1]),
		"Prepend more than headroom": b.Prepend(5) != nil,
		"Prepend below zero":         b.Prepend(-1) != nil,
		"TrimFront beyond the frame": b.TrimFront(6),
		"TrimFront below zero":       b.TrimFront(-1),
		"Trim beyond the frame":      b.Trim(6),
		"Trim below zero":            b.Trim(-1),
	} {
		if ok {
			t.Errorf("%s: not refused", why)
		}
	}
	if string(b.Bytes()) != "frame" || b.Headroom() != 4 {
		t.Errorf("frame is %q with %d in front", b.Bytes(), b.Headroom())
	}
	if b.Prepend(4) == nil || !b.Append(tooLong[:Size-4-5]) || b.Len() != Size {
		t.Errorf("all that is there cannot be used: %d octets", b.Len())
	}
	if !b.TrimFront(Size) || b.Len() != 0 {
		t.Errorf("the frame cannot be trimmed to nothing: %d octets", b.Len())
	}
}

func TestBytesCannotGrowIntoWhatFollows(t *testing.T) {
	b := NewPool(1).Get()
	b.SetBytes([]byte("frame, FCS"))
	b.Trim(5)
	_ = append(b.Bytes(), "XXXXX"...)
	h := b.Prepend(2)
	_ = append(h, "XX"...)
	b.TrimFront(2)
	b.SetLen(10)
	if string(b.Bytes()) != "frame, FCS" {
		t.Errorf("frame is %q", b.Bytes())
	}
}

func TestList(t *testing.T) {
	p := NewPool(8)
	var l List
	take := func(why, want string, wantAt int64) {
		t.Helper()
		front, frontAt := l.Front()
		b, at := l.Pop()
		if front != b || frontAt != at || (b == nil) != (want == "") || at != wantAt {
			t.Fatalf("%s: popped %v at %d, front was %v at %d", why, b, at, front, frontAt)
		}
		if b == nil {
			return
		}
		if string(b.Bytes()) != want {
			t.Errorf("%s: %q, want %q", why, b.Bytes(), want)
		}
		b.Put()
	}
	add := func(s string, at int64) {
		b := p.Get()
		b.SetBytes([]byte(s))
		l.Push(b, at)
	}
	take("an empty list", "", 0)
	add("one", 10)
	add("three", 20)
	if l.Len() != 2 || l.Octets() != 8 {
		t.Errorf("%d buffers, %d octets", l.Len(), l.Octets())
	}
	take("first in, first out", "one", 10)
	add("two", 30)
	take("in order", "three", 20)
	take("the last", "two", 30)
	take("empty again", "", 0)
	add("a", 40)
	take("and usable again", "a", 40)
	if diff := cmp.Diff(List{}, l, cmp.AllowUnexported(List{})); diff != "" {
		t.Errorf("an emptied list holds something:\n%s", diff)
	}

	add("b", 1)
	add("c", 1)
	l.PutAll()
	if l.Len() != 0 || l.Octets() != 0 || p.InUse() != 0 {
		t.Errorf("after PutAll: %d buffers, %d octets, %d in use", l.Len(), l.Octets(), p.InUse())
	}
}

func TestBufBelongsToNoPool(t *testing.T) {
	var none *Buf
	none.Put()
	var b Buf
	if !b.SetBytes(bytes.Repeat([]byte{1}, Size)) {
		t.Error("the zero Buf does not hold a frame")
	}
	b.Put()
	b.Put()
}
