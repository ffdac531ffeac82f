// Package capture records what passes a network interface during a test, and
// takes PPPoE frames apart. It is the tests' own reading of RFC 2516, so that
// it can contradict the gateway's.
package capture

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Capture records what passes one interface: all of it in a pcapng file, up to
// a bound, and PPPoE discovery and PPP control in memory.
type Capture struct {
	fd int

	mu     sync.Mutex
	file   *pcapgo.NgWriter
	size   int
	frames []Frame
}

// Frame is one PPPoE frame taken apart.
type Frame struct {
	Out       bool // the host sent it on the interface; a frame it received is not Out
	Dst, Src  [6]byte
	VLANs     []uint16 // outer first
	TPIDs     []uint16
	EtherType uint16 // Discovery or Session
	Code      byte
	SessionID uint16
	Payload   []byte
}

// EtherTypes and codes of PPPoE (RFC 2516).
const (
	Discovery = 0x8863
	Session   = 0x8864

	PADI = 0x09
	PADO = 0x07
	PADR = 0x19
	PADS = 0x65
	PADT = 0xa7
)

// bound is where the file stops taking data frames. Control frames go on.
const bound = 16 << 20

// Start records the interface in file until the test ends.

func Start(t testing.TB, ifname, file string) *Capture {
	t.Helper()
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal("capture: ", err)
	}
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
	for _, err := range []error{
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Attrs().Index}),
	} {
		if err != nil {
			t.Fatal("capture: ", err)
		}
	}
	w, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	ng, err := pcapgo.NewNgWriter(w, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	c := &Capture{fd: fd, file: ng}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); c.read(stop) }()
	t.Cleanup(func() {
		close(stop)
		<-done
		unix.Close(fd)
		c.Flush()
		w.Close()
	})
	return c
}

func (c *Capture) read(stop chan struct{}) {
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, oobn, _, from, err := unix.Recvmsg(c.fd, buf, oob, 0)
		if err != nil {
			continue // the receive time-out, or the interface is down
		}
		out := from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING
		c.add(out, retag(buf[:n], oob[:oobn]))
	}
}

// retag puts back the VLAN tag that the kernel took out of the frame, in a copy.
func retag(b, oob []byte) []byte {
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range msgs {
		// struct tpacket_auxdata: status, len, snaplen u32; mac, net, vlan_tci, vlan_tpid u16
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 || len(b) < 12 {
			continue
		}
		if binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID == 0 {
			continue
		}
		tag := binary.BigEndian.AppendUint16(nil, binary.NativeEndian.Uint16(m.Data[18:]))
		tag = binary.BigEndian.AppendUint16(tag, binary.NativeEndian.Uint16(m.Data[16:]))
		return append(append(append([]byte(nil), b[:12]...), tag...), b[12:]...)
	}
	return append([]byte(nil), b...)
}

func (c *Capture) add(out bool, b []byte) {
	f, isPPPoE := parse(out, b)
	control := isPPPoE && (f.EtherType == Discovery || len(f.Payload) > 0 && f.Payload[0] >= 0x80)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size < bound || control {
		c.size += len(b)
		c.file.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(b), Length: len(b)}, b)
	}
	if control {
		c.frames = append(c.frames, f)
	}
}

// Flush writes out what is recorded so far, for a reader of the file.
func (c *Capture) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.file.Flush()
}

func parse(out bool, b []byte) (f Frame, ok bool) {
	if len(b) < 14 {
		return f, false
	}
	f.Out = out
	copy(f.Dst[:], b)
	copy(f.Src[:], b[6:])
	for b = b[12:]; len(b) >= 4; b = b[4:] {
		f.EtherType = binary.BigEndian.Uint16(b)
		if f.EtherType != 0x8100 && f.EtherType != 0x88a8 {
			break
		}
		f.TPIDs = append(f.TPIDs, f.EtherType)
		f.VLANs = append(f.VLANs, binary.BigEndian.Uint16(b[2:])&0xfff)
	}
	if (f.EtherType != Discovery && f.EtherType != Session) || len(b) < 8 {
		return f, false
	}
	n := int(binary.BigEndian.Uint16(b[6:]))
	if n > len(b)-8 {
		return f, false
	}
	f.Code, f.SessionID, f.Payload = b[3], binary.BigEndian.Uint16(b[4:]), b[8:8+n]
	return f, true
}

// discovery is a condition: a discovery packet of that code in that direction;
// sid 0 is any.
func IsDiscovery(out bool, code byte, sid uint16) func(Frame) bool {
	return func(f Frame) bool {
		return f.EtherType == Discovery && f.Out == out && f.Code == code && (sid == 0 || f.SessionID == sid)
	}
}

// All returns the control frames so far that match.
func (c *Capture) All(match func(Frame) bool) []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Frame
	for _, f := range c.frames {
		if match(f) {
			out = append(out, f)
		}
	}
	return out
}

// Summary has the last n control frames, a line each.
func (c *Capture) Summary(n int) string {
	all := c.All(func(Frame) bool { return true })
	var b strings.Builder
	for _, f := range all[max(0, len(all)-n):] {
		dir := map[bool]string{true: "->", false: "<-"}[f.Out]
		name := map[byte]string{PADI: "PADI", PADO: "PADO", PADR: "PADR", PADS: "PADS", PADT: "PADT", 0: "session"}[f.Code]
		fmt.Fprintf(&b, "%s %x>%x vlan %v %s sid %d %x\n", dir, f.Src, f.Dst, f.VLANs, name, f.SessionID, f.Payload[:min(len(f.Payload), 32)])
	}
	return b.String()
}
