package capture

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Create makes the file at path and begins a capture into it. Only its owner may
// read it: frames hold users' passwords. If keep is above 1 and opts.MaxOctets is
// set, a full file becomes path.1, path.1 becomes path.2, and so on, and keep
// files are kept in all; opts.Next must then be nil.
func Create(path string, keep int, opts Options) (*Capture, error) {
	create := func() (io.WriteCloser, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	}
	if keep > 1 && opts.MaxOctets > 0 {
		opts.Next = func() (io.WriteCloser, error) {
			for n := keep - 1; n > 0; n-- {
				if err := os.Rename(numbered(path, n-1), numbered(path, n)); err != nil && !os.IsNotExist(err) {
					return nil, err
				}
			}
			return create()
		}
	}
	w, err := create()
	if err != nil {
		return nil, err
	}
	return Start(w, opts), nil
}

func numbered(path string, n int) string {
	if n == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

// file writes pcapng, one section per file. It belongs to the writer goroutine.
type file struct {
	w       io.WriteCloser
	opts    Options
	ng      *pcapgo.NgWriter // nil until the section has its first interface
	ifaces  int              // of the section, written so far
	written int64            // octets of the section, as far as flushed
	wrote   []uint64         // frames of each interface, in all files
	withDir []byte           // scratch: a PPP frame behind its direction octet
}

func newFile(w io.WriteCloser, opts Options) *file { return &file{w: w, opts: opts} }

// Write counts on the way to the file.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.written += int64(n)
	return n, err
}

// writeAll writes the records of b.
func (f *file) writeAll(ifaces []*Interface, b *buffer) error {
	for rest := b.b; len(rest) > 0; {
		var r record
		r, rest = next(rest)
		if err := f.room(&r); err != nil {
			return err
		}
		if err := f.describe(ifaces[:r.iface+1]); err != nil {
			return err
		}
		if err := f.packet(ifaces[r.iface].link, &r); err != nil {
			return err
		}
		f.wrote[r.iface]++
	}
	if f.ng == nil {
		return nil
	}
	return f.ng.Flush()
}

// blockRoom is more than what pcapng adds to one packet, and than an interface's
// statistics at the end.
const blockRoom = 128

// room makes sure that r fits below the bound, in the next file if need be.
func (f *file) room(r *record) error {
	if f.opts.MaxOctets <= 0 || f.ng == nil {
		return nil
	}
	if err := f.ng.Flush(); err != nil {
		return err
	}
	need := int64(len(r.data)+len(r.comment)) + blockRoom*int64(1+f.ifaces)
	if f.written+need <= f.opts.MaxOctets {
		return nil
	}
	if f.opts.Next == nil {
		return ErrFull
	}
	if err := f.w.Close(); err != nil {
		return err
	}
	w, err := f.opts.Next()
	if err != nil {
		f.w = nil
		return fmt.Errorf("capture: next file: %w", err)
	}
	f.w, f.ng, f.ifaces, f.written = w, nil, 0, 0
	return nil
}

// describe writes the interfaces that the section does not know yet.
func (f *file) describe(ifaces []*Interface) error {
	f.wrote = append(f.wrote, make([]uint64, max(0, len(ifaces)-len(f.wrote)))...)
	for f.ifaces < len(ifaces) {
		i := ifaces[f.ifaces]
		d := pcapgo.NgInterface{
			Name: i.name, LinkType: layers.LinkType(i.link),
			SnapLength: uint32(f.opts.Snap), TimestampResolution: 9,
		}
		if i.link == PPP {
			d.SnapLength++ // the direction octet
		}
		if f.ng != nil {
			if _, err := f.ng.AddInterface(d); err != nil {
				return err
			}
		} else {
			section := pcapgo.NgSectionInfo{Application: f.opts.Application}
			ng, err := pcapgo.NewNgWriterInterface(f, d, pcapgo.NgWriterOptions{SectionInfo: section})
			if err != nil {
				return err
			}
			f.ng = ng
		}
		f.ifaces++
	}
	return nil
}

// packet writes one frame as an Enhanced Packet Block.
func (f *file) packet(link LinkType, r *record) error {
	data, length := r.data, r.length
	flags := pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	if r.outbound {
		flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	if link == PPP {
		// LINKTYPE_PPP_WITH_DIR: one octet in front, 0 for received frames.
		dir := byte(0)
		if r.outbound {
			dir = 1
		}
		f.withDir = append(append(f.withDir[:0], dir), data...)
		data, length = f.withDir, length+1
	}
	opts := pcapgo.NgPacketOptions{Flags: &flags}
	if r.comment != "" {
		opts.Comments = []string{r.comment}
	}
	if r.lost > 0 {
		opts.DropCount = &r.lost
	}
	return f.ng.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp: time.Unix(0, r.at), CaptureLength: len(data), Length: length, InterfaceIndex: int(r.iface),
	}, data, opts)
}

// close writes how many frames each interface has seen, and how many of them are
// in no file, and closes the file.
func (f *file) close(ifaces []*Interface, seen []uint64) error {
	if f.w == nil {
		return nil
	}
	err := f.describe(ifaces) // also those that saw nothing
	for n := 0; err == nil && n < len(ifaces); n++ {
		err = f.ng.WriteInterfaceStats(n, pcapgo.NgInterfaceStatistics{
			LastUpdate: f.opts.Now(), PacketsReceived: seen[n], PacketsDropped: seen[n] - f.wrote[n],
		})
	}
	if err == nil && f.ng != nil {
		err = f.ng.Flush()
	}
	if cerr := f.w.Close(); err == nil {
		err = cerr
	}
	return err
}
