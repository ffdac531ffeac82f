package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"tributary/internal/capture"
	"tributary/internal/ether"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ ether.Recorder = (*capture.Interface)(nil)

// A PADI, and the LCP Configure-Request of a user.
var (
	padi = []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\x63\x11\x09\x00\x00\x00\x04\x01\x01\x00\x00")
	lcp  = []byte("\xc0\x21\x01\x01\x00\x0a\x05\x06\x12\x34\x56\x78")
)

// memory is a file in memory. It may be slow, or full.
type memory struct {
	bytes.Buffer
	gate   chan struct{} // if set, each Write waits for one
	err    error
	closed bool
}

func (m *memory) Write(p []byte) (int, error) {
	if m.gate != nil {
		<-m.gate
	}
	if m.err != nil {
		return 0, m.err
	}
	return m.Buffer.Write(p)
}

func (m *memory) Close() error { m.closed = true; return nil }

// entry is what a reader sees of one frame.
type entry struct {
	Iface, Text, Comment string
	At                   time.Time
	Out                  bool
	Length               int
	Lost                 uint64
}

// read gives a capture back as an independent reader sees it.
func read(t *testing.T, b []byte) (entries []entry, stats []pcapgo.NgInterfaceStatistics) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatalf("capture does not open: %v", err)
	}
	for {
		data, ci, o, err := r.ReadPacketDataWithOptions()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("frame %d: %v", len(entries), err)
		}
		i, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		e := entry{Iface: i.Name, Text: string(data), At: ci.Timestamp.UTC(), Length: ci.Length,
			Out: o.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound, Comment: strings.Join(o.Comments, "|")}
		if o.DropCount != nil {
			e.Lost = *o.DropCount
		}
		entries = append(entries, e)
	}
	for n := range r.NInterfaces() {
		i, err := r.Interface(n)
		if err != nil {
			t.Fatal(err)
		}
		stats = append(stats, i.Statistics)
	}
	return entries, stats
}

func TestCapture(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	m := new(memory)
	c := capture.Start(m, capture.Options{Now: func() time.Time { now = now.Add(time.Nanosecond); return now }})
	at := now
	eth := c.Interface("eth1", capture.Ethernet)
	line := c.Interface("virtual/1", capture.PPP)
	c.Interface("silent", capture.Ethernet)
	eth.Record(true, padi, "")
	line.Record(false, lcp, "")
	line.Record(true, lcp, "dropped: queue full")
	eth.Record(false, nil, "")
	if err := c.Close(); err != nil || !m.closed {
		t.Fatalf("Close = %v, file closed %v", err, m.closed)
	}
	eth.Record(true, padi, "too late")
	if err := c.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	got, stats := read(t, m.Bytes())
	want := []entry{
		{Iface: "eth1", Text: string(padi), At: at.Add(1), Out: true, Length: len(padi)},
		{Iface: "virtual/1", Text: "\x00" + string(lcp), At: at.Add(2), Length: len(lcp) + 1},
		{Iface: "virtual/1", Text: "\x01" + string(lcp), At: at.Add(3), Out: true, Length: len(lcp) + 1, Comment: "dropped: queue full"},
		{Iface: "eth1", At: at.Add(4)},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("capture (-want +got):\n%s", d)
	}
	if len(stats) != 3 || stats[0].PacketsReceived != 2 || stats[1].PacketsReceived != 2 || stats[2].PacketsReceived != 0 || stats[0].PacketsDropped != 0 {
		t.Errorf("statistics: %+v", stats)
	}
	if eth.Frames() != 2 || eth.Lost() != 1 {
		t.Errorf("eth1: %d frames, %d lost", eth.Frames(), eth.Lost())
	}
}

func TestSnap(t *testing.T) {
	m := new(memory)
	c := capture.Start(m, capture.Options{Snap: 20})
	c.Interface("eth1", capture.Ethernet).Record(true, padi, strings.Repeat("x", 5000))
	c.Interface("line", capture.PPP).Record(true, bytes.Repeat(lcp, 10), "")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, m.Bytes())
	if got[0].Text != string(padi[:20]) || got[0].Length != len(padi) || len(got[0].Comment) != 1024 {
		t.Errorf("eth1: %+v", got[0])
	}
	if len(got[1].Text) != 21 || got[1].Length != 121 {
		t.Errorf("line: %+v", got[1])
	}
}

// A file that does not take what comes costs frames, never time, and the
// capture says how many.
func TestSlowFileLosesAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{gate: make(chan struct{})}
		c := capture.Start(m, capture.Options{Buffer: 1})
		i := c.Interface("eth1", capture.Ethernet)
		const total = 300
		i.Record(true, make([]byte, 1500), "first")
		synctest.Wait() // the writer has it, and hangs in the file
		for range total - 2 {
			i.Record(true, make([]byte, 1500), "")
		}
		lost := i.Lost()
		if lost == 0 || lost+i.Frames() != total-1 {
			t.Fatalf("%d recorded and %d lost of %d", i.Frames(), lost, total-1)
		}
		close(m.gate)
		synctest.Wait()
		i.Record(true, make([]byte, 1500), "last")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		got, stats := read(t, m.Bytes())
		last := got[len(got)-1]
		if last.Comment != "last" || last.Lost != lost || len(got) != int(total-lost) {
			t.Errorf("%d frames, the last says %d lost before it; want %d", len(got), last.Lost, lost)
		}
		if stats[0].PacketsReceived != total || stats[0].PacketsDropped != lost {
			t.Errorf("statistics: %+v, want %d dropped", stats[0], lost)
		}
	})
}

func TestFileError(t *testing.T) {
	m := &memory{err: errors.New("disk full")}
	c := capture.Start(m, capture.Options{})
	c.Interface("eth1", capture.Ethernet).Record(true, padi, "")
	<-c.Done()
	if err := c.Close(); err == nil || err.Error() != "disk full" || !m.closed {
		t.Errorf("Close = %v, file closed %v", err, m.closed)
	}
	if err := capture.Start(new(memory), capture.Options{}).Close(); err != nil {
		t.Errorf("a capture of nothing: %v", err)
	}
}

func TestSizeBound(t *testing.T) {
	m := new(memory)
	c := capture.Start(m, capture.Options{MaxOctets: 10000})
	i := c.Interface("eth1", capture.Ethernet)
	for range 20 {
		i.Record(true, make([]byte, 1000), "")
	}
	<-c.Done()
	i.Record(true, padi, "after the end")
	if err := c.Close(); !errors.Is(err, capture.ErrFull) {
		t.Errorf("Close = %v", err)
	}
	got, stats := read(t, m.Bytes())
	// What comes after the end is not counted, and the end may come before the last.
	received, dropped := int(stats[0].PacketsReceived), int(stats[0].PacketsDropped)
	if m.Len() > 10000 || len(got) < 8 || received-dropped != len(got) || received > 20 || dropped == 0 {
		t.Errorf("%d octets, %d frames, %+v", m.Len(), len(got), stats[0])
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eth1.pcapng")
	c, err := capture.Create(path, 3, capture.Options{MaxOctets: 5000, Snap: 2000})
	if err != nil {
		t.Fatal(err)
	}
	eth, line := c.Interface("eth1", capture.Ethernet), c.Interface("line", capture.PPP)
	for n := range 20 {
		eth.Record(true, fmt.Append(make([]byte, 1000), n), "")
		line.Record(true, lcp, "")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, name := range []string{path + ".2", path + ".1", path} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 5000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d octets, %v; it may hold passwords", name, info.Size(), info.Mode())
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := read(t, b)
		for _, e := range entries {
			if e.Iface == "eth1" {
				texts = append(texts, e.Text[1000:])
			}
		}
	}
	if _, err := os.Stat(path + ".3"); !os.IsNotExist(err) {
		t.Errorf("a fourth file: %v", err)
	}
	if n := len(texts); n < 6 || texts[n-1] != "19" || texts[0] != fmt.Sprint(20-n) {
		t.Errorf("the last three files hold %q", texts)
	}
	if _, err := capture.Create(filepath.Join(path, "no", "directory"), 1, capture.Options{}); err == nil {
		t.Error("Create in a directory that is not there")
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	// The writer may allocate; so it is held up in the file meanwhile.
	m := &memory{gate: make(chan struct{})}
	c := capture.Start(m, capture.Options{})
	i := c.Interface("eth1", capture.Ethernet)
	for range 100 {
		i.Record(true, make([]byte, 1500), "") // more than what is written at once
	}
	m.gate <- struct{}{}
	if n := testing.AllocsPerRun(1000, func() { i.Record(true, padi, "why") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	close(m.gate)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestManyRecorders(t *testing.T) {
	m := new(memory)
	c := capture.Start(m, capture.Options{})
	var run sync.WaitGroup
	for n := range 4 {
		i := c.Interface(fmt.Sprint(n), capture.Ethernet)
		run.Go(func() {
			for range 500 {
				i.Record(true, padi, "")
			}
		})
	}
	run.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, m.Bytes()); len(got) != 2000 {
		t.Errorf("%d frames of 2000", len(got))
	}
}

// tshark is the reader that counts.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is needed here: ", err)
		}
		t.Skip("tshark is not installed")
	}
	path := filepath.Join(t.TempDir(), "c.pcapng")
	c, err := capture.Create(path, 1, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	eth, line := c.Interface("eth1", capture.Ethernet), c.Interface("virtual/1", capture.PPP)
	eth.Record(true, padi, "")
	eth.Record(false, padi, "")
	line.Record(false, lcp, "")
	line.Record(true, lcp, "why not")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", path, "-T", "fields", "-E", "separator=;",
		"-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.protocols",
		"-e", "frame.p2p_dir", "-e", "frame.comment", "-e", "lcp.opt.magic_number", "-e", "_ws.malformed")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, out)
	}
	want := `eth1;0x00000002;eth:ethertype:pppoed;0;;;
eth1;0x00000001;eth:ethertype:pppoed;1;;;
virtual/1;0x00000001;ppp:lcp;1;;0x12345678;
virtual/1;0x00000002;ppp:lcp;0;why not;0x12345678;
`
	if d := cmp.Diff(want, string(out)); d != "" {
		t.Errorf("tshark (-want +got):\n%s", d)
	}
}
