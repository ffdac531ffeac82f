package nat

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// An error about a packet of alice's quotes it as she sent it, whatever the
// protocol, however much is quoted (RFC 5508 REQ-4).
func TestErrorsFromOutside(t *testing.T) {
	const router = "192.0.2.1"
	for why, sent := range map[string][]byte{
		"UDP":  udpPacket(t, aliceAddr, 5000, server, 33434),
		"TCP":  tcpPacket(t, aliceAddr, 5000, server, 80, synFlag),
		"ping": icmpPacket(t, aliceAddr, server, 8, 77),
	} {
		for _, quoted := range []int{28, 29, 35, 38, 40, 1000} {
			for _, typ := range []uint8{3, 11, 12} {
				r := newRig(t, Config{})
				b := r.wantOut(why, alice, bytes.Clone(sent), Forward)
				message := r.wantIn(why+": the error", icmpErrorPacket(t, router, shared, typ, b, quoted), alice, Forward)
				got := check(t, message)
				if h := got.NetworkLayer().(*layers.IPv4); h.SrcIP.String() != router || h.DstIP.String() != aliceAddr {
					t.Errorf("%s: an error from %v to %v", why, h.SrcIP, h.DstIP)
				}
				if !sameButID(message[28:], sent[:min(quoted, len(sent))]) {
					t.Errorf("%s: quoted is\n% x, sent was\n% x", why, message[28:], sent)
				}
			}
		}
	}
}

func TestErrorsFromInside(t *testing.T) {
	for why, sent := range map[string][]byte{
		"UDP":  udpPacket(t, aliceAddr, 5000, server, 6000),
		"TCP":  tcpPacket(t, aliceAddr, 5000, server, 6000, synFlag),
		"ping": icmpPacket(t, aliceAddr, server, 8, 77),
	} {
		for _, quoted := range []int{28, 38, 1000} {
			r := newRig(t, Config{})
			port := sport(r.wantOut(why, alice, bytes.Clone(sent), Forward))
			var came []byte
			switch why {
			case "UDP":
				came = udpPacket(t, server, 6000, shared, port)
			case "TCP":
				came = tcpPacket(t, server, 6000, shared, port, synFlag|ackFlag)
			default:
				came = icmpPacket(t, server, shared, 0, port)
			}
			inside := r.wantIn(why+": the answer", bytes.Clone(came), alice, Forward)
			message := r.wantOut(why+": alice does not want it", alice, icmpErrorPacket(t, aliceAddr, server, 3, inside, quoted), Forward)
			got := check(t, message)
			if h := got.NetworkLayer().(*layers.IPv4); h.SrcIP.String() != shared || h.DstIP.String() != server {
				t.Errorf("%s: an error from %v to %v", why, h.SrcIP, h.DstIP)
			}
			if !bytes.Equal(message[28:], came[:min(quoted, len(came))]) {
				t.Errorf("%s: quoted is\n% x, sent was\n% x", why, message[28:], came)
			}
			// A router behind alice's line has no other address either.
			message = r.wantOut("from a router inside", alice, icmpErrorPacket(t, "10.9.9.9", server, 11, inside, quoted), Forward)
			if h := check(t, message).NetworkLayer().(*layers.IPv4); h.SrcIP.String() != shared {
				t.Errorf("%s: an error from %v", why, h.SrcIP)
			}
			r.wantOut("bob has no part in it", bob, icmpErrorPacket(t, bobAddr, server, 3, inside, quoted), NoMapping)
		}
	}
}

func TestErrorsThatAreDropped(t *testing.T) {
	r := newRig(t, Config{})
	b := r.wantOut("a datagram", alice, udpPacket(t, aliceAddr, 5000, server, 6000), Forward)
	edit := func(f func(b []byte)) []byte {
		b := bytes.Clone(b)
		f(b)
		return b
	}
	later := edit(func(b []byte) { b[7] = 1 })
	for _, row := range []struct {
		why    string
		quoted []byte
		want   Verdict
	}{
		{"cut in the header", b[:19], Malformed},
		{"cut in the ports", b[:27], Malformed},
		{"no IPv4", edit(func(b []byte) { b[0] = 0x65 }), Malformed},
		{"a short header", edit(func(b []byte) { b[0] = 0x44 }), Malformed},
		{"a header longer than the quotation", edit(func(b []byte) { b[0] = 0x4f }), Malformed},
		{"a later fragment", later, NoMapping},
		{"GRE", edit(func(b []byte) { b[9] = 47 }), Unsupported},
		{"an error about an error", edit(func(b []byte) { b[9], b[20] = 1, 3 }), Unsupported},
		{"an answer to a ping", edit(func(b []byte) { b[9], b[20] = 1, 0 }), NoMapping},
		{"a packet we have not sent", edit(func(b []byte) { b[12]++ }), NoMapping},
		{"a port nobody has", edit(func(b []byte) { b[20]++ }), NoMapping},
		{"a host that was not sent to", edit(func(b []byte) { b[19]++ }), Filtered},
	} {
		r.wantIn(row.why, icmpErrorPacket(t, server, shared, 3, row.quoted, 100), 0, row.want)
	}
	broken := icmpErrorPacket(t, server, shared, 3, b, 100)
	broken[30] ^= 1
	r.wantIn("RFC 5508 REQ-3: a wrong checksum", broken, 0, Malformed)
	part := icmpErrorPacket(t, server, shared, 3, b, 100)
	piece := build(t, func() *layers.IPv4 {
		h := header(server, shared, layers.IPProtocolICMPv4)
		h.Flags = layers.IPv4MoreFragments
		return h
	}(), gopacket.Payload(part[20:]))
	r.wantIn("a fragment of an error", piece, 0, Malformed)

	inside := r.wantIn("the answer", udpPacket(t, server, 6000, shared, sport(b)), alice, Forward)
	r.wantOut("bad from inside", alice, icmpErrorPacket(t, aliceAddr, server, 3, inside[:20], 100), Malformed)
	query := icmpPacket(t, server, aliceAddr, 8, 77)
	r.wantOut("a ping nobody let in", alice, icmpErrorPacket(t, aliceAddr, server, 3, query, 100), NoMapping)
	strange := udpPacket(t, other, 6000, aliceAddr, 5000)
	r.wantOut("a datagram nobody let in", alice, icmpErrorPacket(t, aliceAddr, other, 3, strange, 100), Filtered)
}
