package ether

import (
	"bytes"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"tributary/internal/frame"
	"tributary/test/netns"
)

// putControl writes control message kind at the start of aux and returns its space.
func putControl(aux unsafe.Pointer, level, kind int32, data []byte) int {
	c := (*unix.Cmsghdr)(aux)
	c.Level, c.Type = level, kind
	c.SetLen(unix.CmsgLen(len(data)))
	copy(unsafe.Slice((*byte)(unsafe.Add(aux, unix.CmsgLen(0))), len(data)), data)
	return unix.CmsgSpace(len(data))
}

func auxOctets(a unix.TpacketAuxdata) []byte {
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a)))
}

func TestTagFromControlMessages(t *testing.T) {
	tagged := auxOctets(unix.TpacketAuxdata{
		Status: unix.TP_STATUS_VLAN_VALID | unix.TP_STATUS_VLAN_TPID_VALID, Vlan_tci: 0x6064, Vlan_tpid: 0x88a8})
	old := auxOctets(unix.TpacketAuxdata{Status: unix.TP_STATUS_VLAN_VALID, Vlan_tci: 7})
	none := auxOctets(unix.TpacketAuxdata{Vlan_tci: 7})
	type message struct {
		level, kind int32
		data        []byte
	}
	tests := []struct {
		name     string
		messages []message
		cut      int // octets taken off the end
		want     movedTag
	}{
		{"no control message", nil, 0, movedTag{}},
		{"a tag", []message{{unix.SOL_PACKET, unix.PACKET_AUXDATA, tagged}}, 0, movedTag{0x88a8, 0x6064, true}},
		{"a kernel that does not tell the TPID", []message{{unix.SOL_PACKET, unix.PACKET_AUXDATA, old}}, 0, movedTag{0x8100, 7, true}},
		{"no tag: the TCI means nothing", []message{{unix.SOL_PACKET, unix.PACKET_AUXDATA, none}}, 0, movedTag{}},
		{"another message first", []message{
			{unix.SOL_SOCKET, unix.SO_MARK, []byte{1, 2, 3, 4}}, {unix.SOL_PACKET, unix.PACKET_AUXDATA, tagged}}, 0, movedTag{0x88a8, 0x6064, true}},
		{"another message only", []message{{unix.SOL_SOCKET, unix.SO_MARK, []byte{1, 2, 3, 4}}}, 0, movedTag{}},
		{"cut off", []message{{unix.SOL_PACKET, unix.PACKET_AUXDATA, tagged}}, 12, movedTag{}},
		{"shorter than it must be", []message{{unix.SOL_PACKET, unix.PACKET_AUXDATA, tagged[:8]}}, 0, movedTag{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newMessages()
			at := 0
			for _, m := range tt.messages {
				at += putControl(unsafe.Add(unsafe.Pointer(&r.aux[3]), at), m.level, m.kind, m.data)
			}
			r.headers[3].Hdr.SetControllen(at - tt.cut)
			if got := r.tag(3); got != tt.want {
				t.Errorf("tag = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRestoreTagLeavesAloneWhatItMust(t *testing.T) {
	pool := frame.NewPool(1)
	b := pool.Get()
	defer b.Put()
	tag := movedTag{0x8100, 100, true}

	b.SetBytes([]byte("eleven octe"))
	restoreTag(b, tag)
	if string(b.Bytes()) != "eleven octe" {
		t.Errorf("a frame shorter than its addresses became %q", b.Bytes())
	}
	b.Reset(3)
	b.SetBytes([]byte("a frame without room in front"))
	restoreTag(b, tag)
	if string(b.Bytes()) != "a frame without room in front" {
		t.Errorf("a frame without headroom became %q", b.Bytes())
	}
}

// The filter, run by the virtual machine of package bpf.
func TestFilter(t *testing.T) {
	raw, err := filter(false)
	if err != nil {
		t.Fatal(err)
	}
	prog, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("filter does not disassemble")
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		tail string // what follows the addresses
		pass bool
	}{
		{"discovery", "\x88\x63", true},
		{"session", "\x88\x64\x11\x00", true},
		{"behind one tag", "\x81\x00\x00\x64\x88\x64", true},
		{"behind a service tag and a customer tag", "\x88\xa8\x00\x64\x81\x00\x00\x07\x88\x63", true},
		{"behind an old tag", "\x91\x00\x00\x64\x88\x64", true},
		{"behind three tags", "\x88\xa8\x00\x64\x81\x00\x00\x07\x81\x00\x00\x07\x88\x63", false},
		{"IPv4", "\x08\x00", false},
		{"IPv4 behind a tag", "\x81\x00\x00\x64\x08\x00", false},
		{"a tag, and the end", "\x81\x00\x00\x64", false},
		{"one octet of a type", "\x88", false},
		{"802.3 length", "\x00\x40", false},
		{"nothing", "", false},
	}
	for _, tt := range tests {
		n, err := vm.Run(append(make([]byte, 12), tt.tail...))
		if err != nil || (n > 0) != tt.pass {
			t.Errorf("%s: %d octets pass, %v; want pass %v", tt.name, n, err, tt.pass)
		}
		if tt.pass && n < frame.Size {
			t.Errorf("%s: only %d octets would pass", tt.name, n)
		}
	}
}

// Before Linux 4.20 only the filter can tell our own frames from others'.
func TestFilterDropsOutgoing(t *testing.T) {
	a, b := netns.Pair(t)
	f := append(make([]byte, 12), "\x88\x64payload"...)
	f[0], f[6] = 2, 2
	var fd int
	a.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
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
	a.Inject("eth0", append(f, "out"...))
	b.Inject("eth0", append(f, "in"...))
	buf := make([]byte, 100)
	n, err := unix.Read(fd, buf)
	if err != nil || string(buf[14:n]) != "payloadin" {
		t.Errorf("first frame received is %q, %v; want the one from outside", buf[:max(n, 0)], err)
	}
}
