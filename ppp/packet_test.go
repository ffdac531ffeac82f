package ppp

import (
	"bytes"
	"errors"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		name, frame string
		proto       Protocol
		info        string
		ok          bool
	}{
		{"two octets", "c021 01", ProtoLCP, "01", true},
		{"compressed to one", "21 45", ProtoIPv4, "45", true},
		{"not compressed", "0021 45", ProtoIPv4, "45", true},
		{"nothing behind it", "c021", ProtoLCP, "", true},
		{"empty", "", 0, "", false},
		{"half a field", "c0", 0, "", false},
		{"an even last octet", "c020 01", 0, "", false},
	}
	for _, tt := range tests {
		p, info, ok := Split(unhex(tt.frame))
		if p != tt.proto || ok != tt.ok || !bytes.Equal(info, unhex(tt.info)) {
			t.Errorf("%s: %v %x %v", tt.name, p, info, ok)
		}
	}
}

func TestParsePacket(t *testing.T) {
	tests := []struct {
		name, packet string
		err          error
	}{
		{"good", "01020006aabb", nil},
		{"padding behind it", "01020004ffff", nil},
		{"no room for a header", "010200", ErrShort},
		{"Length below the header", "01020003", ErrLength},
		{"Length beyond the packet", "01020005", ErrLength},
	}
	for _, tt := range tests {
		if _, err := ParsePacket(unhex(tt.packet)); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		ProtoIPCP.String(): "IPCP", Protocol(0x0fff).String(): "0x0fff",
		ConfigureNak.String(): "Configure-Nak", Code(0).String(): "Code-0", Code(99).String(): "Code-99",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if !ProtoIPv6.IsData() || ProtoIPCP.IsData() {
		t.Error("IsData")
	}
}

// FuzzPacket: what is parsed and appended again is the same packet, down to
// its options, and shares no octet beyond it.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{"c021 0101000e 010405dc 0506aaaaaaaa ffff", "21 45", "c021 01010005 05", "c021 01010006 0500"} {
		f.Add(unhex(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p, info, ok := Split(frame)
		if !ok {
			return
		}
		in, err := ParsePacket(info)
		if err != nil {
			return
		}
		again := in.AppendFrame(nil, p)
		p2, info2, ok := Split(again)
		in2, err := ParsePacket(info2)
		// 0xNN with NN odd is a protocol of one octet, whether it was sent as one or as two.
		if !ok || err != nil || p2 != p || in2.Code != in.Code || in2.ID != in.ID || !bytes.Equal(in2.Data, in.Data) {
			t.Fatalf("%x is read as %v %+v, again as %v %+v, %v", frame, p, in, p2, in2, err)
		}
		opts, err := ParseOptions(nil, in.Data)
		if (err == nil) != wellFormed(in.Data) {
			t.Fatalf("%x: %v", in.Data, err)
		}
		if err != nil {
			return
		}
		var b []byte
		for _, o := range opts {
			b = o.Append(b)
		}
		if !bytes.Equal(b, in.Data) {
			t.Fatalf("%x is %x again", in.Data, b)
		}
	})
}
