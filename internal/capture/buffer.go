package capture

import "encoding/binary"

// record is one frame on its way to the file.
type record struct {
	iface    uint32
	outbound bool
	at       int64  // Unix time, ns
	lost     uint64 // frames of this interface before it that found no room
	length   int    // of the frame; data may be less
	data     []byte
	comment  string
}

// maxComment bounds a comment, in octets.
const maxComment = 1 << 10

// recordHeader is the length of what stands before a record's octets.
const recordHeader = 4 + 1 + 8 + 8 + 4 + 4 + 2

// buffer is one half of the double buffer: records one after the other in
// memory that was allocated once.
type buffer struct{ b []byte }

func newBuffer(octets int) *buffer { return &buffer{make([]byte, 0, octets)} }

func (b *buffer) empty() bool { return len(b.b) == 0 }
func (b *buffer) reset()      { b.b = b.b[:0] }

// add copies r in, if there is room.
func (b *buffer) add(r *record) bool {
	comment := r.comment[:min(len(r.comment), maxComment)]
	if len(b.b)+recordHeader+len(r.data)+len(comment) > cap(b.b) {
		return false
	}
	p := binary.NativeEndian.AppendUint32(b.b, r.iface)
	out := byte(0)
	if r.outbound {
		out = 1
	}
	p = append(p, out)
	p = binary.NativeEndian.AppendUint64(p, uint64(r.at))
	p = binary.NativeEndian.AppendUint64(p, r.lost)
	p = binary.NativeEndian.AppendUint32(p, uint32(r.length))
	p = binary.NativeEndian.AppendUint32(p, uint32(len(r.data)))
	p = binary.NativeEndian.AppendUint16(p, uint16(len(comment)))
	p = append(p, r.data...)
	b.b = append(p, comment...)
	return true
}

// next takes the first record off rest. Its octets are valid until reset.
func next(rest []byte) (r record, more []byte) {
	e := binary.NativeEndian
	r.iface = e.Uint32(rest)
	r.outbound = rest[4] == 1
	r.at = int64(e.Uint64(rest[5:]))
	r.lost = e.Uint64(rest[13:])
	r.length = int(e.Uint32(rest[21:]))
	data, comment := int(e.Uint32(rest[25:])), int(e.Uint16(rest[29:]))
	rest = rest[recordHeader:]
	r.data, rest = rest[:data], rest[data:]
	r.comment = string(rest[:comment])
	return r, rest[comment:]
}
