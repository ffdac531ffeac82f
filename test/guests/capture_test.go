package guests

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

// capture records what passes an interface: all of it in a pcapng file, up to
// a bound, and PPPoE discovery and PPP control in memory.
type capture struct {
	t  *testing.T
	fd int

	mu     sync.Mutex
	file   *pcapgo.NgWriter
	size   int
	frames []ethFrame
}

// ethFrame is one PPPoE frame taken apart.
type ethFrame struct {
	up       bool // sent to the ISP
	dst, src [6]byte
	vlans    []uint16
	tpids    []uint16
	typ      uint16 // 0x8863 or 0x8864
	code     byte
	sid      uint16
	payload  []byte
}

const (
	codePADI = 0x09
	codePADO = 0x07
	codePADR = 0x19
	codePADS = 0x65
	codePADT = 0xa7

	captureBound = 16 << 20
)

func startCapture(t *testing.T, ifname, file string) *capture {
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
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapgo.NewNgWriter(out, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	c := &capture{t: t, fd: fd, file: w}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); c.read(stop) }()
	t.Cleanup(func() {
		close(stop)
		<-done
		unix.Close(fd)
		c.flush()
		out.Close()
	})
	return c
}

func (c *capture) read(stop chan struct{}) {
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
		up := from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING
		c.add(up, retag(buf[:n], oob[:oobn]))
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

func (c *capture) add(up bool, b []byte) {
	f, isPPPoE := parseEth(up, b)
	control := isPPPoE && (f.typ == 0x8863 || len(f.payload) > 0 && f.payload[0] >= 0x80)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size < captureBound || control {
		c.size += len(b)
		c.file.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(b), Length: len(b)}, b)
	}
	if control {
		c.frames = append(c.frames, f)
	}
}

func (c *capture) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.file.Flush()
}

func parseEth(up bool, b []byte) (f ethFrame, ok bool) {
	if len(b) < 14 {
		return f, false
	}
	f.up = up
	copy(f.dst[:], b)
	copy(f.src[:], b[6:])
	for b = b[12:]; len(b) >= 4; b = b[4:] {
		f.typ = binary.BigEndian.Uint16(b)
		if f.typ != 0x8100 && f.typ != 0x88a8 {
			break
		}
		f.tpids = append(f.tpids, f.typ)
		f.vlans = append(f.vlans, binary.BigEndian.Uint16(b[2:])&0xfff)
	}
	if (f.typ != 0x8863 && f.typ != 0x8864) || len(b) < 8 {
		return f, false
	}
	n := int(binary.BigEndian.Uint16(b[6:]))
	if n > len(b)-8 {
		return f, false
	}
	f.code, f.sid, f.payload = b[3], binary.BigEndian.Uint16(b[4:]), b[8:8+n]
	return f, true
}

// discovery is a condition: a discovery packet of that code in that direction;
// sid 0 is any.
func discovery(up bool, code byte, sid uint16) func(ethFrame) bool {
	return func(f ethFrame) bool {
		return f.typ == 0x8863 && f.up == up && f.code == code && (sid == 0 || f.sid == sid)
	}
}

// all returns the control frames so far that match.
func (c *capture) all(match func(ethFrame) bool) []ethFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []ethFrame
	for _, f := range c.frames {
		if match(f) {
			out = append(out, f)
		}
	}
	return out
}

// want waits for n control frames that match.
func (r *rig) want(why string, n int, match func(ethFrame) bool) []ethFrame {
	r.t.Helper()
	var got []ethFrame
	r.eventually(why, func() error {
		if got = r.wire.all(match); len(got) < n {
			return fmt.Errorf("%d of %d such frames in the capture", len(got), n)
		}
		return nil
	})
	return got
}

func (c *capture) summary(n int) string {
	all := c.all(func(ethFrame) bool { return true })
	var b strings.Builder
	for _, f := range all[max(0, len(all)-n):] {
		dir := map[bool]string{true: "->", false: "<-"}[f.up]
		name := map[byte]string{codePADI: "PADI", codePADO: "PADO", codePADR: "PADR", codePADS: "PADS", codePADT: "PADT", 0: "session"}[f.code]
		fmt.Fprintf(&b, "%s %x>%x vlan %v %s sid %d %x\n", dir, f.src, f.dst, f.vlans, name, f.sid, f.payload[:min(len(f.payload), 32)])
	}
	return b.String()
}
