package ether

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"tributary/internal/frame"
	"tributary/test/netns"
)

// slot is what the kernel writes into one slot of a ring.
type slot struct {
	status    uint32
	mac       uint16 // where the frame begins
	snaplen   uint32 // how much of it is there
	len       uint32 // how long it was
	tpid, tci uint16
}

const (
	ours    = unix.TP_STATUS_USER
	tagged  = ours | unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID
	usualAt = 66 // tp_mac of an Ethernet frame
)

// memRing is a ring without a kernel: each slot's octets tell the slot and their
// place, and slots are as given, the kernel's behind those.
func memRing(count int, slots ...slot) *ring {
	words := make([]uint64, count*ringSlot/8) // aligned as mapped memory is
	r := &ring{mem: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), count*ringSlot), slots: count}
	for i := range count {
		r.fill(i, slot{})
	}
	for i, s := range slots {
		r.fill(i, s)
	}
	return r
}

// fill is the kernel's part: the status last.
func (r *ring) fill(i int, s slot) {
	mem := r.mem[i*ringSlot : (i+1)*ringSlot]
	copy(mem, slotOctets(i))
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&mem[0]))
	*h = unix.Tpacket2Hdr{Status: s.status, Mac: s.mac, Snaplen: s.snaplen, Len: s.len, Vlan_tpid: s.tpid, Vlan_tci: s.tci}
}

func slotOctets(i int) []byte {
	p := make([]byte, ringSlot)
	for k := range p {
		p[k] = byte(k*7 + i)
	}
	return p
}

// buffers are n of a pool that are put back with the test.
func buffers(t testing.TB, n int) []*frame.Buf {
	pool := frame.NewPool(n)
	bufs := make([]*frame.Buf, n)
	for i := range bufs {
		bufs[i] = pool.Get()
	}
	t.Cleanup(func() {
		for _, b := range bufs {
			b.Put()
		}
	})
	return bufs
}

// What the kernel says of one slot, true or not, costs that frame at most: the one
// behind it arrives.
func TestRingBelievesNothing(t *testing.T) {
	last := slot{status: ours, mac: usualAt, snaplen: 20, len: 20}
	for _, tt := range []struct {
		name string
		slot slot
		want int // octets; -1: dropped, and counted
	}{
		{"a header alone", slot{ours, usualAt, 14, 14, 0, 0}, 14},
		{"full size", slot{ours, usualAt, 1514, 1514, 0, 0}, 1514},
		{"full size, two tags, one of them moved", slot{tagged, usualAt, 1518, 1518, 0x88a8, 100}, 1522},
		{"as much as a slot holds", slot{ours, usualAt, ringSlot - usualAt, ringSlot - usualAt, 0, 0}, ringSlot - usualAt},
		{"nothing", slot{ours, usualAt, 0, 0, 0, 0}, 0},
		{"nothing, and its tag", slot{tagged, usualAt, 0, 0, 0x8100, 1}, 0},
		{"cut off by the kernel", slot{ours, usualAt, ringSlot - usualAt, 4014, 0, 0}, -1},
		{"longer than it was", slot{ours, usualAt, 100, 60, 0, 0}, -1},
		{"one octet beyond the slot", slot{ours, usualAt, ringSlot - usualAt + 1, ringSlot - usualAt + 1, 0, 0}, -1},
		{"more than a buffer holds, within the slot", slot{ours, 0, ringSlot, ringSlot, 0, 0}, -1},
		{"begins at the slot's end", slot{ours, ringSlot, 0, 0, 0, 0}, 0},
		{"begins beyond the slot", slot{ours, ringSlot + 1, 0, 0, 0, 0}, -1},
		{"begins as far away as can be", slot{ours, 0xffff, 14, 14, 0, 0}, -1},
		{"length that is negative in 32 bits", slot{ours, usualAt, 0x80000000, 0x80000000, 0, 0}, -1},
		{"length that wraps round in 32 bits", slot{ours, usualAt, 0xfffffff0, 0xfffffff0, 0, 0}, -1},
		{"the largest length", slot{ours, 0xffff, 0xffffffff, 0xffffffff, 0, 0}, -1},
		{"other bits of the status beside", slot{ours | unix.TP_STATUS_LOSING | unix.TP_STATUS_CSUMNOTREADY, usualAt, 60, 60, 0, 0}, 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := memRing(4, tt.slot, last)
			bufs := buffers(t, 4)
			got := r.take(bufs)
			want := received{frames: 2, octets: tt.want + 20}
			if tt.want < 0 {
				want = received{frames: 1, octets: 20, truncated: 1}
			}
			if got != want {
				t.Fatalf("take = %+v, want %+v", got, want)
			}
			if tt.want >= 0 && bufs[0].Len() != tt.want {
				t.Errorf("the frame has %d octets, want %d", bufs[0].Len(), tt.want)
			}
			if end := bufs[got.frames-1].Bytes(); !bytes.Equal(end, slotOctets(1)[usualAt:usualAt+20]) {
				t.Errorf("the frame behind it is %x", end)
			}
			if more := r.take(bufs); more != (received{}) {
				t.Errorf("the ring has been read, and gives %+v", more)
			}
		})
	}
}

// A slot is the kernel's again as soon as its frame has been copied, and not before
// the frame is asked for.
func TestRingGivesBackWhatWasRead(t *testing.T) {
	f := slot{status: ours, mac: usualAt, snaplen: 60, len: 60}
	r := memRing(4, f, f, f, f)
	bufs := buffers(t, 3)
	if got := r.take(bufs); got.frames != 3 {
		t.Fatalf("take = %+v, want as many as there are buffers", got)
	}
	for i, want := range []uint32{0, 0, 0, ours} {
		if status := binary.NativeEndian.Uint32(r.mem[i*ringSlot:]); status != want {
			t.Errorf("slot %d has status %d, want %d", i, status, want)
		}
	}
	r.fill(0, f) // the kernel comes round
	if got := r.take(bufs); got.frames != 2 || !bytes.Equal(bufs[1].Bytes(), slotOctets(0)[usualAt:usualAt+60]) {
		t.Errorf("over the ring's end: take = %+v", got)
	}
}

// A socket whose ring could not be mapped receives by recvmmsg after all.
func TestSocketWithoutItsRing(t *testing.T) {
	a, b := netns.Pair(t)
	var fd int
	a.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		r, err := newRing(fd, 64<<10)
		if err != nil {
			return err
		}
		r.close()
		dropRing(fd)
		if err := attachFilter(fd, true); err != nil {
			return err
		}
		index, err := interfaceIndex(fd, "eth0")
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index})
	})
	defer unix.Close(fd)
	b.Inject("eth0", append(append(make([]byte, 12), 0x88, 0x64), "payload"...))
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(p, -1); err == nil {
			break
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
	m, bufs := newMessages(), buffers(t, 2)
	if got, errno := m.receive(uintptr(fd), bufs); errno != 0 || got.frames != 1 || string(bufs[0].Bytes()[14:]) != "payload" {
		t.Errorf("receive = %+v, %v", got, errno)
	}
}

// However the kernel and we take turns, every frame comes, in order and once.
func TestRingTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 9).Draw(t, "slots")
		r := memRing(count)
		pool := frame.NewPool(10)
		head, filled, taken := 0, 0, 0
		for range rapid.IntRange(1, 60).Draw(t, "turns") {
			for range rapid.IntRange(0, count).Draw(t, "frames") {
				if filled-taken == count {
					break // full: the kernel would drop it, and count that itself
				}
				r.fill(head, slot{status: ours, mac: usualAt, snaplen: 14, len: 14})
				binary.BigEndian.PutUint32(r.mem[head*ringSlot+usualAt:], uint32(filled))
				head, filled = (head+1)%count, filled+1
			}
			bufs := make([]*frame.Buf, rapid.IntRange(1, 10).Draw(t, "room"))
			for i := range bufs {
				bufs[i] = pool.Get()
			}
			got := r.take(bufs)
			if got.frames != min(len(bufs), filled-taken) {
				t.Fatalf("%d frames wait, there is room for %d, and %d come", filled-taken, len(bufs), got.frames)
			}
			for i, b := range bufs {
				if i < got.frames {
					if n := binary.BigEndian.Uint32(b.Bytes()); n != uint32(taken) {
						t.Fatalf("frame %d comes in the place of %d", n, taken)
					}
					taken++
				}
				b.Put()
			}
		}
	})
}

// FuzzRing: whatever is in the memory, a ring that has been read once round has no
// more to give, every frame is what was in its slot, and nothing is out of bounds.
func FuzzRing(f *testing.F) {
	add := func(s ...slot) {
		var in []byte
		for _, s := range s {
			in = binary.NativeEndian.AppendUint32(in, s.status)
			in = binary.NativeEndian.AppendUint16(in, s.mac)
			in = binary.NativeEndian.AppendUint32(in, s.snaplen)
			in = binary.NativeEndian.AppendUint32(in, s.len)
			in = binary.NativeEndian.AppendUint16(in, s.tpid)
			in = binary.NativeEndian.AppendUint16(in, s.tci)
		}
		f.Add(in, uint8(0), uint8(3))
	}
	add(slot{ours, usualAt, 60, 60, 0, 0}, slot{tagged, usualAt, 1518, 1518, 0x88a8, 100})
	add(slot{ours, 0xffff, 0xffffffff, 0xffffffff, 0, 0}, slot{ours, usualAt, 0x80000000, 0x80000000, 0, 0})
	add(slot{ours, ringSlot, 0, 0, 0, 0}, slot{0, 0, 0, 0, 0, 0}, slot{tagged, 2040, 8, 8, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte, next, room uint8) {
		const count, size = 4, 18
		r := memRing(count)
		r.next = int(next) % count
		var slots [count]slot
		for i := range slots {
			if len(in) < size {
				break
			}
			slots[i] = slot{binary.NativeEndian.Uint32(in), binary.NativeEndian.Uint16(in[4:]), binary.NativeEndian.Uint32(in[6:]),
				binary.NativeEndian.Uint32(in[10:]), binary.NativeEndian.Uint16(in[14:]), binary.NativeEndian.Uint16(in[16:])}
			r.fill(i, slots[i])
			in = in[size:]
		}
		bufs := buffers(t, int(room)%6+1)
		before := bytes.Clone(r.mem)
		at, seen := r.next, 0
		for {
			got := r.take(bufs)
			if got == (received{}) {
				break
			}
			if seen += got.frames + got.truncated; seen > count {
				t.Fatalf("%d frames of %d slots", seen, count)
			}
			octets := 0
			for _, b := range bufs[:got.frames] {
				octets += b.Len()
				whole := func(s slot) bool {
					return s.snaplen == s.len && int64(s.mac)+int64(s.len) <= ringSlot && s.len <= frame.Size-frame.Headroom
				}
				for !whole(slots[at]) {
					at = (at + 1) % count
				}
				s := slots[at]
				want := before[at*ringSlot:][s.mac:][:s.len]
				got := b.Bytes()
				if vlanTag(s.status, s.tpid, s.tci).ok && len(want) >= 12 {
					if len(got) < 16 {
						t.Fatalf("a frame with its tag has %d octets", len(got))
					}
					got = append(bytes.Clone(got[:12]), got[16:]...)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("slot %d: frame %x, want %x", at, got, want)
				}
				at = (at + 1) % count
			}
			if octets != got.octets {
				t.Fatalf("%d octets are counted as %d", octets, got.octets)
			}
		}
	})
}
