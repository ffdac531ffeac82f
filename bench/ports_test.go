//go:build linux

package main

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestStampTellsAFrameThatChangedOnItsWay(t *testing.T) {
	for payload := minPayload; payload <= 40; payload++ {
		f := make([]byte, ethOverhead+2+payload)
		stamp(f, 1<<40+7)
		if n, ok := stampOf(f); !ok || n != 1<<40+7 {
			t.Fatalf("%d octets: number %d, %v", payload, n, ok)
		}
		putNumber(f, 8) // the next frame's beginning and this one's end
		if _, ok := stampOf(f); ok && payload >= 2*numberLen {
			t.Errorf("%d octets: a frame that is two halves was taken for one", payload)
		}
	}
	for n := range ethOverhead + 2 + numberLen {
		if _, ok := stampOf(make([]byte, n)); ok {
			t.Errorf("a number in %d octets", n)
		}
	}
}

func TestGeneratorCountsWhatComesBack(t *testing.T) {
	g := generator{portCell: portCell{64, portLoad{window: 4}}}
	frame := func(n uint64) []byte {
		f := make([]byte, ethOverhead+2+64)
		stamp(f, n)
		return f
	}
	g.sent = 4
	g.take(frame(0))
	g.take(frame(4)) // not sent yet
	g.take(frame(1)[:60])
	torn := frame(2)
	putNumber(torn, 3)
	g.take(torn)
	if want := (tally{sent: 4, returned: 1, strange: 3}); g.tally != want || g.underWay() != 0 {
		t.Errorf("%+v with %d under way, want %+v", g.tally, g.underWay(), want)
	}
}

// ringOf is mapped memory without a kernel behind it.
func ringOf(size int) []byte {
	words := make([]uint64, size/8) // aligned as mapped memory is
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), size)
}

func TestReceiveRing2GoesRound(t *testing.T) {
	const slots = receiveRing / slotSize
	r := &receiveRing2{copies: newCopies(4), mem: ringOf(receiveRing), next: slots - 1}
	for i, text := range []string{"first", "second", "third"} {
		slot := r.mem[(slots-1+i)%slots*slotSize:][:slotSize]
		*(*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0])) = unix.Tpacket2Hdr{Status: unix.TP_STATUS_USER, Mac: 66, Snaplen: uint32(len(text))}
		copy(slot[66:], text)
	}
	n, err := r.receive()
	if err != nil || n != 3 || string(r.frame(0)) != "first" || string(r.frame(2)) != "third" {
		t.Fatalf("%d frames, %q ... %q, %v", n, r.frame(0), r.frame(2), err)
	}
	for i := range slots {
		if s := (*unix.Tpacket2Hdr)(unsafe.Pointer(&r.mem[i*slotSize])).Status; s != unix.TP_STATUS_KERNEL {
			t.Errorf("slot %d has status %d: it was read and is not the kernel's", i, s)
		}
	}
}

func TestReceiveRing3TakesBlocksInBatches(t *testing.T) {
	r := &receiveRing3{copies: newCopies(2), mem: ringOf(receiveRing), block: receiveRing/ringBlock - 1}
	fill := func(block int, texts ...string) *blockHeader {
		mem := r.mem[block*ringBlock:][:ringBlock]
		at := 48
		h := (*blockHeader)(unsafe.Pointer(&mem[0]))
		h.Block_status, h.Num_pkts, h.Offset_to_first_pkt = unix.TP_STATUS_USER, uint32(len(texts)), uint32(at)
		for _, text := range texts {
			*(*unix.Tpacket3Hdr)(unsafe.Pointer(&mem[at])) = unix.Tpacket3Hdr{Next_offset: 128, Mac: 82, Snaplen: uint32(len(text))}
			copy(mem[at+82:], text)
			at += 128
		}
		return h
	}
	last, first := fill(r.block, "1", "2", "3"), fill(0, "4")
	var got []string
	for len(got) < 4 {
		if len(got) == 2 && last.Block_status != unix.TP_STATUS_USER {
			t.Fatal("a block that is half read was given back")
		}
		n, err := r.receive()
		if err != nil || n != 2 {
			t.Fatalf("%d frames, %v: want two of them, over the end of a block", n, err)
		}
		got = append(got, string(r.frame(0)), string(r.frame(1)))
	}
	if text := strings.Join(got, ""); text != "1234" {
		t.Errorf("%q", text)
	}
	if last.Block_status != unix.TP_STATUS_KERNEL || first.Block_status != unix.TP_STATUS_KERNEL {
		t.Errorf("status %d and %d of blocks that were read", last.Block_status, first.Block_status)
	}
}

func TestSendRingFillsSlots(t *testing.T) {
	for name, s := range map[string]slotShape{"v2": shape2, "v3": shape3} {
		r := &sendRing{mem: ringOf(sendRingLen), shape: s, next: sendRingLen/slotSize - 1}
		r.add([]byte("a frame"))
		slot := r.mem[len(r.mem)-slotSize:]
		word := func(at int) uint32 { return *(*uint32)(unsafe.Pointer(&slot[at])) }
		if word(s.status) != unix.TP_STATUS_SEND_REQUEST || word(s.length) != 7 || string(slot[s.frame:s.frame+7]) != "a frame" || r.next != 0 {
			t.Errorf("%s: status %d, length %d, next %d", name, word(s.status), word(s.length), r.next)
		}
		(*(*uint32)(unsafe.Pointer(&r.mem[s.status]))) = unix.TP_STATUS_WRONG_FORMAT
		r.add([]byte("another"))
		if r.send() == nil {
			t.Errorf("%s: a frame that the kernel refused counted as sent", name)
		}
	}
}

func TestSharedMemoryIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "count")
	a, err := shared[echoCount](path)
	if err != nil {
		t.Fatal(err)
	}
	defer unshare(a)
	b, err := shared[echoCount](path)
	if err != nil {
		t.Fatal(err)
	}
	defer unshare(b)
	a.frames.Add(3)
	if n := b.frames.Load(); n != 3 {
		t.Errorf("%d, want 3", n)
	}
	runtime.KeepAlive(a)
}

func TestPortsReport(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(us int) portSample {
		return portSample{
			sample:   sample{tally: tally{sent: 1000, returned: 1000}, took: time.Second, ac: time.Duration(us) * time.Millisecond, generator: time.Millisecond},
			receives: 10, frames: 1000, p50: 20 * time.Microsecond, p99: 30 * time.Microsecond,
		}
	}
	busy, alone := portCell{64, portLoads[0]}, portCell{64, oneAtATime}
	r := portResults{
		opts: &o, cells: []portCell{busy, alone}, began: time.Unix(0, 0),
		samples: map[portCell]map[way][]portSample{busy: {ways[0]: {at(5)}, gatewayWay: {at(2)}}, alone: {gatewayWay: {at(2)}}},
	}
	text := r.markdown()
	for _, want := range []string{
		"| 64 | 512 | 0s | recvmmsg, sendmmsg, 32 | 1000 (1000..1000) | 5.00 | 1.00 | 6.00 (6.00..6.00) | 2.00 (2.00..2.00) | 100.0 | 0 |",
		"| 64 | 512 | 0s | **V2 ring, sendmmsg, 64** | 1000 (1000..1000) | 2.00 | 1.00 | 3.00 (3.00..3.00) | 1.00 (1.00..1.00) | 100.0 | 0 |",
		"| 64 | **V2 ring, sendmmsg, 64** | 20 (20..20) | 30 (30..30) | 3.00 | 0 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Error(text)
	}
}
