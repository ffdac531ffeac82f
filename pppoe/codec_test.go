package pppoe

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseHeader(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      []byte
		want    Header
		payload []byte
		err     error
	}{
		{"a session frame", []byte{0x11, 0, 0x12, 0x34, 0, 2, 0xc0, 0x21}, Header{SessionStage, 0x1234, 2}, []byte{0xc0, 0x21}, nil},
		{"Ethernet padding is no payload", []byte{0x11, 9, 0, 0, 0, 1, 7, 0, 0, 0}, Header{PADI, 0, 1}, []byte{7}, nil},
		{"an empty payload", []byte{0x11, 0xa7, 0, 1, 0, 0}, Header{PADT, 1, 0}, []byte{}, nil},
		{"nothing at all", nil, Header{}, nil, ErrShort},
		{"one octet short of a header", []byte{0x11, 9, 0, 0, 0}, Header{}, nil, ErrShort},
		{"version 2", []byte{0x21, 9, 0, 0, 0, 0}, Header{}, nil, ErrVersion},
		{"type 2", []byte{0x12, 9, 0, 0, 0, 0}, Header{}, nil, ErrVersion},
		{"LENGTH one beyond the frame", []byte{0x11, 9, 0, 0, 0, 2, 7}, Header{}, nil, ErrLength},
	} {
		got, payload, err := ParseHeader(tt.in)
		if got != tt.want || !bytes.Equal(payload, tt.payload) || !errors.Is(err, tt.err) {
			t.Errorf("%s: %+v %x %v, want %+v %x %v", tt.name, got, payload, err, tt.want, tt.payload, tt.err)
		}
		if err == nil && cap(payload) != len(payload) {
			t.Errorf("%s: an append to the payload would write into what follows it", tt.name)
		}
	}
}

func TestParsePacket(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		want Packet
		err  error
	}{
		{
			"known and unknown tags keep their order",
			[]byte{0x11, 9, 0, 0, 0, 14, 0x7f, 1, 0, 1, 9, 1, 1, 0, 0, 0x7f, 1, 0, 1, 8},
			Packet{PADI, 0, []Tag{{0x7f01, []byte{9}}, {TagServiceName, nil}, {0x7f01, []byte{8}}}}, nil,
		},
		{"End-Of-List ends it, whatever follows", []byte{0x11, 9, 0, 0, 0, 12, 1, 1, 0, 0, 0, 0, 0, 0, 0xff, 1, 2, 3}, Packet{PADI, 0, []Tag{{TagServiceName, nil}}}, nil},
		{"no tags", []byte{0x11, 0xa7, 0, 7, 0, 0}, Packet{PADT, 7, nil}, nil},
		{"a code of RFC 5578", []byte{0x11, 0x0a, 0, 7, 0, 0}, Packet{0x0a, 7, nil}, nil},
		{"the Session stage", []byte{0x11, 0, 0, 7, 0, 0}, Packet{}, ErrCode},
		{"a tag cut in its header", []byte{0x11, 9, 0, 0, 0, 3, 1, 1, 0}, Packet{}, ErrTag},
		{"a tag cut in its value", []byte{0x11, 9, 0, 0, 0, 5, 1, 1, 0, 2, 65}, Packet{}, ErrTag},
		{"a tag that reaches into the padding", []byte{0x11, 9, 0, 0, 0, 4, 1, 1, 0, 2, 0, 0}, Packet{}, ErrTag},
		{"a header that lies", []byte{0x11, 9, 0, 0, 0xff, 0xff}, Packet{}, ErrLength},
	} {
		got, err := ParsePacket(tt.in)
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestFindTellsEmptyFromAbsent(t *testing.T) {
	p := Packet{Tags: []Tag{{Type: TagServiceName}}}
	if data, ok := p.Find(TagServiceName); !ok || len(data) != 0 {
		t.Error("an empty tag was not found")
	}
	if _, ok := p.Find(TagACName); ok {
		t.Error("an absent tag was found")
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		PADI.String(): "PADI", PADO.String(): "PADO", PADR.String(): "PADR", PADS.String(): "PADS", PADT.String(): "PADT",
		SessionStage.String(): "session", Code(0x42).String(): "0x42",
		TagEndOfList.String(): "End-Of-List", TagCredits.String(): "Credits", TagMetrics.String(): "Metrics",
		TagSequenceNumber.String(): "Sequence-Number", TagCreditScale.String(): "Credit-Scale-Factor",
		TagHURL.String(): "HURL", TagMOTM.String(): "MOTM", TagHostUniq.String(): "Host-Uniq", TagACCookie.String(): "AC-Cookie",
		TagVendorSpecific.String(): "Vendor-Specific", TagRelaySessionID.String(): "Relay-Session-Id",
		TagMaxPayload.String(): "PPP-Max-Payload", TagType(0x999).String(): "0x0999",
		Broadcast.String(): "ff:ff:ff:ff:ff:ff", ClientLingering.String(): "lingering", ClientState(99).String(): "unknown",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDataPathDoesNotAllocate(t *testing.T) {
	pkt := Packet{Code: PADO, Tags: []Tag{StringTag(TagACName, "ac"), StringTag(TagServiceName, "")}}.Append(nil)
	hdr := make([]byte, HeaderLen)
	if n := testing.AllocsPerRun(100, func() {
		_, payload, err := ParseHeader(pkt)
		for ok := true; ok && err == nil; {
			_, payload, ok, err = NextTag(payload)
		}
		PutHeader(hdr, SessionStage, 7, 1400)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPrintableText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"session limit reached", "session limit reached"},
		{"RP-PPPoE: System error\n\x00", "RP-PPPoE: System error"},
		{"a\tb\r\n c", "a b c"},
		{"\x1b[2Jcleared", "\ufffd[2Jcleared"},
		{"\u202egnirts", "\ufffdgnirts"},
		{"caf\xe9", "caf\ufffd"},
		{"café", "café"},
		{"", ""},
		{"\x00\x00", ""},
		{strings.Repeat("é", 256) + " x", strings.Repeat("é", 256)},
	} {
		if got := PrintableText([]byte(tt.in)); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := PrintableText(bytes.Repeat([]byte{0xff}, 5000)); len(got) > maxText {
		t.Errorf("%d octets of text", len(got))
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct {
		name string
		tags []Tag
		want string
		ok   bool
	}{
		{"none", []Tag{StringTag(TagServiceName, "x")}, "", false},
		{"the name, for want of text", []Tag{{Type: TagServiceNameError}}, "Service-Name-Error", true},
		{"data that starts with a NUL is no text", []Tag{{TagACSystemError, []byte{0, 'x'}}}, "AC-System-Error", true},
		{"text of a second error tag is better than none", []Tag{{Type: TagServiceNameError}, StringTag(TagGenericError, "why")}, "why", true},
	} {
		if got, ok := (Packet{Tags: tt.tags}).ErrorText(); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %q %v, want %q %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestAccessLine(t *testing.T) {
	full := AccessLine{
		CircuitID: "gw1 bank 17", RemoteID: "192.0.2.7:40112", UpRate: 1024, DownRate: 8192, IWF: true,
		Other: []SubOption{{0x90, []byte{0, 0, 0}}},
	}
	tag, err := full.Tag()
	if err != nil {
		t.Fatal(err)
	}
	want := "\x00\x00\x0d\xe9" + "\x01\x0bgw1 bank 17" + "\x02\x0f192.0.2.7:40112" +
		"\x81\x04\x00\x00\x04\x00" + "\x82\x04\x00\x00\x20\x00" + "\x90\x03\x00\x00\x00" + "\xfe\x00"
	if tag.Type != TagVendorSpecific || string(tag.Data) != want {
		t.Errorf("%x\nwant %x", tag.Data, want)
	}
	got, err := ParseAccessLine(tag)
	if diff := cmp.Diff(full, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if full.IsZero() || !(AccessLine{}).IsZero() {
		t.Error("IsZero")
	}
}

func TestAccessLineIsNeverCut(t *testing.T) {
	long := string(bytes.Repeat([]byte{'x'}, MaxLineID+1))
	for _, a := range []AccessLine{{CircuitID: long}, {RemoteID: long}, {Other: []SubOption{{9, make([]byte, 256)}}}, {Other: manySubs(300)}} {
		if _, err := a.Tag(); !errors.Is(err, ErrLineID) {
			t.Errorf("error %v, want ErrLineID", err)
		}
	}
	if _, err := (AccessLine{CircuitID: long[1:]}).Tag(); err != nil {
		t.Error("63 octets are allowed:", err)
	}
}

func manySubs(n int) []SubOption {
	subs := make([]SubOption, n)
	for i := range subs {
		subs[i] = SubOption{9, make([]byte, 255)}
	}
	return subs
}

func TestParseAccessLineFromStrangers(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Tag
		want AccessLine
		err  error
	}{
		{"another vendor", Tag{TagVendorSpecific, []byte{0, 0, 0, 9, 1, 1, 'x'}}, AccessLine{}, ErrVendor},
		{"another tag", Tag{TagHostUniq, []byte{0, 0, 0x0d, 0xe9, 1, 1, 'x'}}, AccessLine{}, ErrVendor},
		{"too short for a vendor", Tag{TagVendorSpecific, []byte{0, 0, 0x0d}}, AccessLine{}, ErrVendor},
		{"what came before the cut is kept", Tag{TagVendorSpecific, []byte{0, 0, 0x0d, 0xe9, 1, 1, 'x', 2, 9, 'y'}}, AccessLine{CircuitID: "x"}, ErrTag},
		{"cut in a header", Tag{TagVendorSpecific, []byte{0, 0, 0x0d, 0xe9, 1}}, AccessLine{}, ErrTag},
		{
			"a second one and ill-formed ones are kept apart",
			Tag{TagVendorSpecific, []byte{0, 0, 0x0d, 0xe9, 1, 1, 'x', 1, 1, 'y', 0x81, 2, 0, 1, 0xfe, 1, 0}},
			AccessLine{CircuitID: "x", Other: []SubOption{{1, []byte{'y'}}, {0x81, []byte{0, 1}}, {0xfe, []byte{0}}}}, nil,
		},
	} {
		got, err := ParseAccessLine(tt.in)
		if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v\n%s", tt.name, err, tt.err, diff)
		}
	}
}

func TestSetAccessLineReplaces(t *testing.T) {
	forged, _ := AccessLine{CircuitID: "someone else"}.Tag()
	ours, _ := AccessLine{CircuitID: "port 3"}.Tag()
	other := Tag{TagVendorSpecific, []byte{0, 0, 0, 9}}
	in := []Tag{StringTag(TagServiceName, ""), forged, other, forged}
	if diff := cmp.Diff([]Tag{in[0], other, ours}, SetAccessLine(in, &ours)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Tag{in[0], other}, SetAccessLine(in, nil)); diff != "" {
		t.Error(diff)
	}
}
