//go:build linux

package main

import (
	"testing"
	"time"
)

func TestEachMeasurementHasItsOwnSection(t *testing.T) {
	doc := withSection("", scaleName, "many lines\n")
	doc = withSection(doc, throughputName, "| a | table |\n\nand text\n")
	doc = withSection(doc, latencyName, "delays\n")
	doc = withSection(doc, scaleName, "more lines\n")
	const want = "# Results\n\n## Throughput\n\n| a | table |\n\nand text\n\n## Latency\n\ndelays\n\n## Scale\n\nmore lines\n"
	if doc != want {
		t.Errorf("%q, want %q: the others are left alone, and all are in one order", doc, want)
	}
}

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i))
	}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{nil, 0.5, 0},
		{hundred[:1], 0.99, 0},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 99},
	} {
		if got := quantile(c.of, c.q); got != c.want {
			t.Errorf("%g of %d values: %v, want %v", c.q, len(c.of), got, c.want)
		}
	}
}
