package lab

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The stream does not depend on how it is cut, and Check sees each octet.
func TestStreamAndCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20_000).Draw(t, "size")
		whole := make([]byte, size)
		_, _ = NewStream().Read(whole)

		s, c := NewStream(), NewCheck()
		for at := 0; at < size; {
			n := min(rapid.IntRange(1, 5000).Draw(t, "n"), size-at)
			part := make([]byte, n)
			if got, err := s.Read(part); got != n || err != nil || !bytes.Equal(part, whole[at:at+n]) {
				t.Fatalf("octets %d to %d differ from those of one read", at, at+n)
			}
			if got, err := c.Write(part); got != n || err != nil {
				t.Fatalf("Check: %d, %v", got, err)
			}
			at += n
		}
		if c.N != int64(size) {
			t.Fatalf("Check counts %d of %d octets", c.N, size)
		}

		bad := rapid.IntRange(0, size-1).Draw(t, "bad")
		whole[bad] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		c = NewCheck()
		n, err := c.Write(whole)
		if !errors.Is(err, errCorrupt) || n != bad || c.N != int64(bad) {
			t.Fatalf("octet %d is wrong; Check says %d, %v", bad, n, err)
		}
	})
	if n, err := io.CopyN(&sameStream{check: NewCheck()}, bytes.NewReader([]byte("abc")), 3); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestStreamAllocs(t *testing.T) {
	s, c, b := NewStream(), NewCheck(), make([]byte, 1500)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = s.Read(b)
		_, _ = c.Write(b)
	}); n != 0 {
		t.Errorf("%v allocations for 1,500 octets", n)
	}
}

func TestTrafficAdd(t *testing.T) {
	ms := time.Millisecond
	a := Traffic{Pings: 2, PingMin: 2 * ms, PingMax: 4 * ms, PingSum: 6 * ms, Downloads: 1, Down: 10}
	b := Traffic{Pings: 1, PingsLost: 3, PingMin: ms, PingMax: ms, PingSum: ms, Uploads: 2, Up: 5}
	want := Traffic{Pings: 3, PingsLost: 3, PingMin: ms, PingMax: 4 * ms, PingSum: 7 * ms, Downloads: 1, Uploads: 2, Down: 10, Up: 5}
	if got := a.Add(b); got != want || b.Add(a) != want {
		t.Errorf("%+v", got)
	}
	if got := (Traffic{}).Add(a); got != a || a.Add(Traffic{}) != a {
		t.Errorf("nothing added: %+v", got)
	}
	if m := a.PingMean(); m != 3*ms || (Traffic{}).PingMean() != 0 {
		t.Errorf("mean %v", m)
	}
}
