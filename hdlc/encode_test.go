package hdlc

import (
	"bytes"
	"testing"
)

func TestAppendFrame(t *testing.T) {
	all := Params{PFC: true, ACFC: true}
	// The FCS of each row came from another implementation of CRC-16/X-25.
	for _, tt := range []struct {
		why  string
		dst  string
		ppp  string
		p    Params
		want string
	}{
		{
			"a Configure-Request before anything is negotiated: control characters escaped, ff 03 there",
			"", "c021 01 01 0004", Default,
			"7e ff 7d23 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e",
		},
		{
			"an IP packet with everything negotiated: one octet of protocol, nothing escaped",
			"", "0021 45 00 11 13", all,
			"7e 21 45 00 11 13 11 72 7e",
		},
		{
			"the same on a line where only XON and XOFF must be escaped, in the FCS too",
			"", "0021 45 00 11 13", Params{ACCM: 0x000a0000, PFC: true, ACFC: true},
			"7e 21 45 00 7d31 7d33 7d31 72 7e",
		},
		{
			"flag and escape in the packet are escaped whatever the ACCM says",
			"", "0021 7e 7d", all,
			"7e 21 7d5e 7d5d 9d 5d 7e",
		},
		{
			"behind another frame the closing flag opens this one",
			"aa 7e", "0021 45 00 11 13", all,
			"aa 7e 21 45 00 11 13 11 72 7e",
		},
		{
			"behind anything else it needs its own",
			"aa", "0021 45 00 11 13", all,
			"aa 7e 21 45 00 11 13 11 72 7e",
		},
		{"nothing to send", "aa", "", all, "aa"},
	} {
		got := AppendFrame(unhex(t, tt.dst), unhex(t, tt.ppp), tt.p)
		if want := unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.why, got, want)
		}
	}
}

// TestAppendFrameHeader looks at what comes before the information only.
func TestAppendFrameHeader(t *testing.T) {
	all := Params{PFC: true, ACFC: true}
	for _, tt := range []struct {
		why  string
		ppp  string
		p    Params
		want string
	}{
		{"PFC shortens a protocol under 0100", "0021 55", Params{PFC: true}, "7e ff 03 21"},
		{"and no other", "8021 55", Params{PFC: true}, "7e ff 03 80 21"},
		{"ACFC leaves out ff 03", "8021 55", Params{ACFC: true}, "7e 80 21"},
		{"00ff is never shortened: it would read as an Address", "00ff 55", all, "7e 00 ff"},
		{"nor is an even one, which would read as the first of two", "0020 55", all, "7e 00 20"},
		{"a protocol that came to us short is made whole", "21 55", Params{}, "7e ff 03 00 21"},
		{"or stays short", "21 55", all, "7e 21"},
		{"without information the frame would be under four octets, so the protocol stays long", "0021", all, "7e 00 21"},
		{"with ff 03 it is long enough", "0021", Params{PFC: true}, "7e ff 03 21 dc"},
		{"LCP Echo-Request follows the ACCM, but its ff 03 stays", "c021 09 55", all, "7e ff 03 c0 21 09"},
		{"LCP Terminate-Ack is sent as by default", "c021 06 55", all, "7e ff 7d23 c0 21 7d26"},
		{"LCP Code-Reject too", "c021 07 55", all, "7e ff 7d23 c0 21 7d27"},
		{"LCP Protocol-Reject does not have to be", "c021 08 55", all, "7e ff 03 c0 21 08"},
		{"codes of other protocols do not count", "8021 01 55", all, "7e 80 21 01"},
		{"LCP without a code has none that counts", "c021", all, "7e ff 03 c0 21"},
	} {
		got := AppendFrame(nil, unhex(t, tt.ppp), tt.p)
		if want := unhex(t, tt.want); !bytes.HasPrefix(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.why, got, want)
		}
	}
}

func TestMaxEncodedIsReached(t *testing.T) {
	// A protocol that came short, control characters only, and an FCS that needs
	// escapes in both octets: then nothing is left over.
	most := 0
	for i := range 1 << 16 {
		ppp := []byte{0x01, byte(i>>8) & 0x1f, byte(i) & 0x1f}
		n := len(AppendFrame(nil, ppp, Default))
		if n > MaxEncoded(len(ppp)) {
			t.Fatalf("%x is %d octets on the line, MaxEncoded says %d", ppp, n, MaxEncoded(len(ppp)))
		}
		most = max(most, n)
	}
	// ff is the one octet that is never escaped.
	if want := MaxEncoded(3) - 1; most != want {
		t.Errorf("longest is %d, want %d", most, want)
	}
}

func TestAppendFrameDoesNotAllocate(t *testing.T) {
	ppp := append([]byte{0, 0x21}, bytes.Repeat([]byte{0x11, 0x7e, 0x40}, 500)...)
	dst := make([]byte, 0, MaxEncoded(len(ppp)))
	for _, p := range []Params{Default, {}, {PFC: true, ACFC: true}} {
		if n := testing.AllocsPerRun(100, func() { dst = AppendFrame(dst[:0], ppp, p) }); n != 0 {
			t.Errorf("%+v: %v allocations", p, n)
		}
	}
}
