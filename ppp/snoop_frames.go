package ppp

import "encoding/binary"

// The few frames that a relaying gateway sends in a user's name.

// AppendTerminateRequest appends an LCP Terminate-Request, as a whole PPP
// frame, to dst (RFC 1661 section 5.5). text is for the peer's eyes; what is
// beyond 253 octets is cut off.
func AppendTerminateRequest(dst []byte, id uint8, text string) []byte {
	text = text[:min(len(text), maxText)]
	dst = AppendProtocol(dst, ProtoLCP)
	dst = append(dst, byte(TerminateRequest), id)
	dst = binary.BigEndian.AppendUint16(dst, uint16(HeaderLen+len(text)))
	return append(dst, text...)
}

// snoopEchoData is the length of what AppendEchoRequest puts in the packet:
// magic number and cookie.
const snoopEchoData = 4 + 8

// AppendEchoRequest appends an LCP Echo-Request, as a whole PPP frame, to dst
// (RFC 1661 section 5.8). Sent to the AC in the user's name, it carries the
// user's magic number, SnoopState.UserMagic: "Until the Magic-Number
// Configuration Option has been successfully negotiated, the Magic-Number MUST
// be transmitted as zero." By its cookie the reply is told from replies to the
// user's own requests; see IsEchoReply.
func AppendEchoRequest(dst []byte, id uint8, magic uint32, cookie uint64) []byte {
	dst = AppendProtocol(dst, ProtoLCP)
	dst = append(dst, byte(EchoRequest), id)
	dst = binary.BigEndian.AppendUint16(dst, HeaderLen+snoopEchoData)
	dst = binary.BigEndian.AppendUint32(dst, magic)
	return binary.BigEndian.AppendUint64(dst, cookie)
}

// IsEchoReply reports whether frame is an LCP Echo-Reply to the Echo-Request
// that AppendEchoRequest made with id and cookie: such a reply is the gateway's
// own and is not passed to the user, who never asked. The sender's magic number in front of
// the cookie may be anything.
func IsEchoReply(frame []byte, id uint8, cookie uint64) bool {
	proto, info, ok := Split(frame)
	if !ok || proto != ProtoLCP {
		return false
	}
	p, err := ParsePacket(info)
	if err != nil || p.Code != EchoReply || p.ID != id || len(p.Data) != snoopEchoData {
		return false
	}
	return binary.BigEndian.Uint64(p.Data[4:]) == cookie
}
