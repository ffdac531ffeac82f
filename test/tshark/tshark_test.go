package tshark

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tributary/test/sandbox"
)

// TestDissect makes sure that tshark's silence means something.
func TestDissect(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		sandbox.Skip(t, "tshark is not installed")
	}
	const eth = "ffffffffffff 02005e000001 "
	tests := []struct {
		name, frame string
		fault       bool
	}{
		{"PADI", eth + "8863 1109 0000 0004 01010000", false},
		{"a tag that goes beyond the packet", eth + "8863 1109 0000 0004 010100ff", true},
		{"LCP Configure-Request", eth + "8864 1100 0001 000a c021 01010008 010405d4", false},
		{"LCP length beyond the packet", eth + "8864 1100 0001 0008 c021 010100ff 0104", true},
		{"LCP option of length 0", eth + "8864 1100 0001 000a c021 01010008 010005d4", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(tt.frame, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "one.pcap")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			w := pcapgo.NewWriter(f)
			w.WriteFileHeader(65535, layers.LinkTypeEthernet)
			w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(b), Length: len(b)}, b)
			f.Close()
			frames, faults, err := dissect(file)
			if err != nil || frames != 1 || len(faults) > 0 != tt.fault {
				t.Errorf("%d frames, faults %q, %v; want one frame, fault: %v", frames, faults, err, tt.fault)
			}
		})
	}
}
