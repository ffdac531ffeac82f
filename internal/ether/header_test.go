package ether

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/frame"
	"tributary/pppoe"
)

var (
	mac1 = pppoe.MAC{2, 0, 0, 0, 0, 1}
	mac2 = pppoe.MAC{2, 0, 0, 0, 0, 2}
)

func vlans(ids ...uint16) VLANs {
	v, err := MakeVLANs(ids...)
	if err != nil {
		panic(err)
	}
	return v
}

const addresses = "\x02\x00\x00\x00\x00\x01" + "\x02\x00\x00\x00\x00\x02"

func TestHeader(t *testing.T) {
	tests := []struct {
		name string
		h    Header
		wire string
	}{
		{"untagged", Header{Type: TypeSession}, "\x88\x64"},
		{"one tag is 802.1Q", Header{VLANs: vlans(100), Type: TypeDiscovery}, "\x81\x00\x00\x64\x88\x63"},
		{"of two tags the outer is 802.1ad", Header{VLANs: vlans(100, 7), Type: TypeSession},
			"\x88\xa8\x00\x64\x81\x00\x00\x07\x88\x64"},
		{"TPIDs as asked for", Header{VLANs: vlans(100, 7), TPIDs: [2]uint16{TypeQinQOld, TypeVLAN}, Type: TypeSession},
			"\x91\x00\x00\x64\x81\x00\x00\x07\x88\x64"},
		{"priorities", Header{VLANs: vlans(4094, 1), Priority: [2]uint8{0xf, 0xa}, Type: TypeSession},
			"\x88\xa8\xff\xfe\x81\x00\xa0\x01\x88\x64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.h.Dst, tt.h.Src = mac1, mac2
			want := addresses + tt.wire
			if got := tt.h.Append(nil); string(got) != want {
				t.Errorf("Append = %x, want %x", got, want)
			}
			b := frame.NewPool(1).Get()
			defer b.Put()
			b.SetBytes([]byte("payload"))
			if !Prepend(b, &tt.h) || string(b.Bytes()) != want+"payload" {
				t.Errorf("Prepend made %x", b.Bytes())
			}
			h, payload, ok := Parse(b.Bytes())
			for i := range tt.h.VLANs.Len() { // what was sent by default is told on receipt
				tt.h.TPIDs[i] = tt.h.tpid(i)
			}
			if diff := cmp.Diff(tt.h, h, cmp.AllowUnexported(VLANs{})); diff != "" || !ok || string(payload) != "payload" {
				t.Errorf("Parse: ok %v, payload %q, header (-want +got)\n%s", ok, payload, diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":                   "",
		"addresses only":            addresses,
		"half a type":               addresses + "\x88",
		"a tag and nothing":         addresses + "\x81\x00\x00\x64",
		"half a TCI":                addresses + "\x81\x00\x00",
		"two tags and nothing":      addresses + "\x88\xa8\x00\x64\x81\x00\x00\x07",
		"three tags":                addresses + "\x88\xa8\x00\x64\x81\x00\x00\x07\x81\x00\x00\x07\x88\x64",
		"three priority tags":       addresses + "\x81\x00\x00\x00\x81\x00\x00\x00\x81\x00\x00\x00\x88\x64",
		"a tag cut in its own type": addresses + "\x81",
	}
	for name, b := range tests {
		if h, _, ok := Parse([]byte(b)); ok {
			t.Errorf("%s: Parse = %+v", name, h)
		}
	}
}

// 802.1Q: a tag with identifier 0 carries a priority and names no VLAN. A frame
// with it must find the session of the same untagged frame.
func TestParsePriorityTag(t *testing.T) {
	h, payload, ok := Parse([]byte(addresses + "\x81\x00\xe0\x00\x88\x64x"))
	if !ok || h.VLANs != (VLANs{}) || h.Type != TypeSession || string(payload) != "x" {
		t.Errorf("Parse = %+v, %q, %v", h, payload, ok)
	}
	h, _, ok = Parse([]byte(addresses + "\x81\x00\xe0\x00\x81\x00\x00\x07\x88\x64"))
	if !ok || h.VLANs != vlans(7) {
		t.Errorf("Parse = %+v, %v", h, ok)
	}
}

func TestPrependWithoutHeadroom(t *testing.T) {
	var b frame.Buf
	b.Reset(HeaderLen + VLANTagLen)
	b.SetBytes([]byte("payload"))
	if Prepend(&b, &Header{VLANs: vlans(1, 2)}) || string(b.Bytes()) != "payload" {
		t.Errorf("22 octets in 18 of headroom made %q", b.Bytes())
	}
	if !Prepend(&b, &Header{VLANs: vlans(1)}) {
		t.Error("18 octets do not fit in 18")
	}
}

func TestVLANs(t *testing.T) {
	for _, bad := range [][]uint16{{0}, {4095}, {1, 0}, {1, 2, 3}} {
		if v, err := MakeVLANs(bad...); err == nil || v != (VLANs{}) {
			t.Errorf("MakeVLANs(%v) = %v, %v", bad, v, err)
		}
	}
	for want, v := range map[string]VLANs{"": vlans(), "100": vlans(100), "100.7": vlans(100, 7)} {
		if v.String() != want {
			t.Errorf("String = %q, want %q", v.String(), want)
		}
	}
	if v := vlans(100, 7); v.ID(0) != 100 || v.ID(1) != 7 || !cmp.Equal(v.Slice(), []uint16{100, 7}) || vlans().Slice() != nil {
		t.Errorf("%v: Slice = %v", v, v.Slice())
	}
	if one := vlans(1); one == vlans(2) || one == vlans(1, 1) || one != vlans([]uint16{1}...) {
		t.Error("VLANs do not compare as their identifiers do")
	}
}

func TestReply(t *testing.T) {
	h := Header{Dst: mac1, Src: mac2, VLANs: vlans(5), Priority: [2]uint8{3}, Type: TypeDiscovery}
	if r := h.Reply(); r.Dst != mac2 || r.Src != mac1 || r.VLANs != h.VLANs || r.Reply() != h {
		t.Errorf("Reply = %+v", r)
	}
}

func TestHeaderAllocatesNothing(t *testing.T) {
	b := frame.NewPool(1).Get()
	defer b.Put()
	h := Header{Dst: mac1, Src: mac2, VLANs: vlans(100, 7), Type: TypeSession}
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(frame.Headroom)
		Prepend(b, &h)
		if _, _, ok := Parse(b.Bytes()); !ok {
			t.Fatal("own header does not parse")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever parses is written back octet for octet, priority tags apart.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "\x88\x64", "\x81\x00\x00\x64\x88\x63", "\x88\xa8\xf0\x64\x81\x00\x00\x07\x88\x64pay",
		"\x91\x00\x00\x00\x88\x64", "\x81\x00\x0f\xff\x08\x00"} {
		f.Add([]byte(addresses + s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, payload, ok := Parse(b)
		if !ok {
			return
		}
		if len(payload) > len(b) || !bytes.HasSuffix(b, payload) {
			t.Fatalf("payload %x is not the end of %x", payload, b)
		}
		out := append(h.Append(nil), payload...)
		if len(out) == len(b) && !bytes.Equal(out, b) {
			t.Fatalf("%x became %x", b, out)
		}
		again, _, ok := Parse(out)
		if !ok || again != h {
			t.Fatalf("%+v became %+v", h, again)
		}
	})
}
