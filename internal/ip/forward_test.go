package ip

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"tributary/internal/frame"
)

func option(octets ...byte) func(*layers.IPv4) {
	return func(h *layers.IPv4) {
		h.Options = []layers.IPv4Option{{OptionType: octets[0], OptionLength: uint8(len(octets)), OptionData: octets[2:]}}
	}
}

func TestForward4(t *testing.T) {
	// An option's length reaches behind the header.
	broken := udp4(t, 8, option(7, 7, 4, 0, 0, 0, 0))
	broken[21] = 9
	sum4(broken)
	// What is behind the end of the options is not looked at.
	ended := udp4(t, 8, option(7, 7, 4, 0, 0, 0, 0))
	copy(ended[20:], []byte{1, 1, 0, 131, 99})
	sum4(ended)
	// An option without a length.
	cut := udp4(t, 8, option(7, 7, 4, 0, 0, 0, 0))
	copy(cut[20:], []byte{7, 7, 4, 0, 0, 0, 0, 7})
	sum4(cut)
	for _, row := range []struct {
		why  string
		b    []byte
		want Verdict
	}{
		{"fits", udp4(t, 1472), Forward},
		{"one octet more may be split", udp4(t, 1473), Split},
		{"but not with DF", udp4(t, 1473, df), TooBig},
		{"last hop", udp4(t, 1472, ttl(2)), Forward},
		{"one too many", udp4(t, 8, ttl(1)), Expired},
		{"came with nothing left", udp4(t, 8, ttl(0)), Expired},
		{"time before size", udp4(t, 1473, ttl(1), df), Expired},
		{"to everyone here", udp4(t, 8, to("255.255.255.255")), Discard},
		{"to a group", udp4(t, 8, to("224.0.0.22")), Discard},
		{"to nowhere", udp4(t, 8, to("0.0.0.0")), Discard},
		{"to itself", udp4(t, 8, to("127.0.0.1")), Discard},
		{"to a neighbour", udp4(t, 8, to("169.254.1.2")), Discard},
		{"from a neighbour", udp4(t, 8, from("169.254.1.2")), Discard},
		{"record route passes", udp4(t, 8, option(7, 7, 4, 0, 0, 0, 0)), Forward},
		{"loose source route", udp4(t, 8, option(131, 7, 4, 1, 2, 3, 4)), SourceRoute},
		{"strict source route", udp4(t, 8, option(137, 7, 4, 1, 2, 3, 4)), SourceRoute},
		{"options not well formed", broken, Discard},
		{"an option cut off", cut, Discard},
		{"options that end", ended, Forward},
	} {
		was := bytes.Clone(row.b)
		h := parse4(t, row.b)
		if got := Forward4(row.b, h, 1500); got != row.want {
			t.Errorf("%s: verdict %d, want %d", row.why, got, row.want)
		}
		if row.want != Forward && row.want != Split {
			if !bytes.Equal(was, row.b) {
				t.Errorf("%s: the packet, which is not forwarded, was changed", row.why)
			}
			continue
		}
		if now := parse4(t, row.b); *now != *h || h.TTL != was[8]-1 {
			t.Errorf("%s: the header is %+v, of a packet with %+v", row.why, *h, *now)
		}
		was[8], was[10], was[11] = row.b[8], row.b[10], row.b[11]
		if !bytes.Equal(was, row.b) {
			t.Errorf("%s: more than TTL and checksum has changed", row.why)
		}
		check(t, row.b)
	}
}

// The checksum of every packet stays the one that would be computed, through all
// of its hops.
func TestForward4EveryHop(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := udp4(t, 8, ttl(255))
		b[4], b[5] = rapid.Byte().Draw(rt, "id"), rapid.Byte().Draw(rt, "id2")
		sum4(b)
		h := parse4(t, b)
		for hop := 0; ; hop++ {
			if v := Forward4(b, h, 1500); v == Expired {
				if hop != 254 {
					rt.Fatalf("expired after %d hops", hop)
				}
				return
			}
			was := [2]byte(b[10:12])
			if sum4(b); was != [2]byte(b[10:12]) {
				rt.Fatalf("hop %d: checksum % x, want % x", hop, was, b[10:12])
			}
		}
	})
}

func TestForward6(t *testing.T) {
	hops := func(n uint8) func(*layers.IPv6) { return func(h *layers.IPv6) { h.HopLimit = n } }
	for _, row := range []struct {
		why  string
		b    []byte
		want Verdict
	}{
		{"fits", udp6(t, 1452), Forward},
		{"one octet more", udp6(t, 1453), TooBig},
		{"last hop", udp6(t, 8, hops(2)), Forward},
		{"one too many", udp6(t, 8, hops(1)), Expired},
		{"came with nothing left", udp6(t, 8, hops(0)), Expired},
		{"to a group", udp6(t, 8, to6("ff02::2")), Discard},
		{"to a neighbour", udp6(t, 8, to6("fe80::1")), Discard},
		{"from a neighbour", udp6(t, 8, from6("fe80::1")), Discard},
		{"from nobody yet", udp6(t, 8, from6("::")), Discard},
		{"to nobody", udp6(t, 8, to6("::")), Discard},
		{"to itself", udp6(t, 8, to6("::1")), Discard},
	} {
		was := bytes.Clone(row.b)
		h := parse6(t, row.b)
		if got := Forward6(row.b, h, 1500); got != row.want {
			t.Errorf("%s: verdict %d, want %d", row.why, got, row.want)
		}
		if row.want == Forward {
			was[7]--
			check(t, row.b)
		}
		if !bytes.Equal(was, row.b) || h.HopLimit != row.b[7] {
			t.Errorf("%s: the packet is not what it should be", row.why)
		}
	}
}

// reassemble is RFC 791 section 3.2 on pieces in any order.
func reassemble(t *rapid.T, pieces [][]byte) (options, payload []byte) {
	var total int
	data := make([]byte, 1<<16)
	for _, b := range pieces {
		h, ok := Parse4(b)
		if !ok {
			t.Fatalf("a piece is not parsed: % x", b)
		}
		copy(data[h.Offset:], b[h.Len:h.Total])
		if h.Offset == 0 {
			options = b[20:h.Len]
		}
		if !h.MF {
			total = h.Offset + h.Total - h.Len
		}
	}
	return options, data[:total]
}

// Pieces of pieces are together what they were cut from, and none is too large.
func TestFragment4(t *testing.T) {
	pool := frame.NewPool(256)
	rapid.Check(t, func(rt *rapid.T) {
		var edits []func(*layers.IPv4)
		if rapid.Bool().Draw(rt, "options") {
			edits = append(edits, option(append([]byte{byte(rapid.SampledFrom([]int{7, 148}).Draw(rt, "option")), 4}, 0, 0)...))
		}
		b := udp4(t, rapid.IntRange(0, 1500).Draw(rt, "payload"), edits...)
		h := parse4(t, b)
		mtu := rapid.IntRange(MinMTU4, 1500).Draw(rt, "mtu")
		bufs, ok := Fragment4(nil, b, h, mtu, pool)
		if !ok {
			rt.Fatalf("not cut at %d", mtu)
		}
		small := rapid.IntRange(MinMTU4, mtu).Draw(rt, "small")
		var pieces [][]byte
		for _, buf := range bufs {
			if buf.Len() > mtu {
				rt.Fatalf("a piece of %d octets for an MTU of %d", buf.Len(), mtu)
			}
			again, ok := Fragment4(nil, buf.Bytes(), parse4(t, buf.Bytes()), small, pool)
			if !ok {
				rt.Fatalf("not cut again at %d", small)
			}
			for _, p := range again {
				pieces = append(pieces, bytes.Clone(p.Bytes()))
				p.Put()
			}
			buf.Put()
		}
		pieces = rapid.Permutation(pieces).Draw(rt, "order")
		options, payload := reassemble(rt, pieces)
		if !bytes.Equal(payload, b[h.Len:]) || !bytes.Equal(options, b[20:h.Len]) {
			rt.Fatal("not what it was")
		}
	})
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers are left", n)
	}
}

func TestFragment4Options(t *testing.T) {
	// Security (130, copied), Record Route (7, not copied), Router Alert (148, copied).
	b := udp4(t, 200, func(h *layers.IPv4) {
		h.Options = []layers.IPv4Option{
			{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}},
			{OptionType: 1},
			{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}},
		}
	})
	h := parse4(t, b)
	pool := frame.NewPool(16)
	bufs, ok := Fragment4(nil, b, h, 100, pool)
	if !ok || len(bufs) != 3 {
		t.Fatalf("%d pieces, %v", len(bufs), ok)
	}
	if first := parse4(t, bufs[0].Bytes()); first.Len != 32 {
		t.Errorf("the first has all options: %+v", first)
	}
	for _, p := range bufs[1:] {
		if h := parse4(t, p.Bytes()); h.Len != 24 || !slices.Equal(p.Bytes()[20:24], []byte{148, 4, 0, 0}) {
			t.Errorf("a later one has those that are copied: %+v", h)
		}
	}
}

func TestFragment4WithoutRoom(t *testing.T) {
	b := udp4(t, 1400)
	h := parse4(t, b)
	pool := frame.NewPool(2)
	kept := []*frame.Buf{nil}
	if dst, ok := Fragment4(kept, b, h, 500, pool); ok || len(dst) != 1 {
		t.Errorf("three pieces out of two buffers: %d, %v", len(dst), ok)
	}
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers are left", n)
	}
	if _, ok := Fragment4(nil, b, h, 27, pool); ok {
		t.Error("27 octets have no room for a header and eight")
	}
	whole := udp4(t, 1400, df)
	if _, ok := Fragment4(nil, whole, parse4(t, whole), 500, pool); ok {
		t.Error("DF is set")
	}
	large := udp4(t, 2400)
	if _, ok := Fragment4(nil, large, parse4(t, large), 2200, pool); ok || pool.InUse() != 0 {
		t.Error("a piece is larger than a buffer")
	}
}
