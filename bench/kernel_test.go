//go:build linux

package main

import (
	"strings"
	"testing"

	"tributary/internal/ip"
)

// What users send has to be a packet that a router takes, at every size.
func TestDatagram(t *testing.T) {
	for _, tt := range []struct {
		size, share, octets, window int
	}{
		{size: 64, share: 64, window: 64},
		{size: 1400, share: 4, window: 4},
		{size: 64, share: 64, octets: serialOctets, window: 37},
		{size: 1400, share: 4, octets: serialOctets, window: 2},
	} {
		u := kernelUser{packet: datagram([4]byte{10, 99, 0, 2}, [4]byte{198, 51, 100, 1}), share: tt.share, octets: tt.octets}
		p := u.sized(tt.size)
		// Parse4 checks the checksum too.
		h, ok := ip.Parse4(p)
		if !ok || len(p) != tt.size || h.Total != tt.size {
			t.Errorf("%d octets: %d, of which the header says %d, good %v", tt.size, len(p), h.Total, ok)
		}
		if u.window != tt.window {
			t.Errorf("%d octets, %d of the window, at most %d on the line: window %d, want %d", tt.size, tt.share, tt.octets, u.window, tt.window)
		}
	}
}

// The comparison has its place in RESULTS.md though make bench does not do it.
func TestKernelKeepsItsSection(t *testing.T) {
	doc := withSection("", kernelName, "first")
	doc = withSection(doc, scaleName, "second")
	if !strings.Contains(doc, "## Kernel\n\nfirst") || strings.Index(doc, "first") < strings.Index(doc, "second") {
		t.Errorf("the document is\n%s", doc)
	}
}
