package gateway

import (
	"testing"
	"time"
)

func TestPolicer(t *testing.T) {
	for _, tt := range []struct {
		rate  uint64
		burst int // octets that pass at once
	}{{1000, 12000}, {64_000, 12000}, {10_000_000, 625_000}, {1_000_000_000, 62_500_000}} {
		var p policer
		p.set(tt.rate)
		const size = 500
		passed := 0
		now := time.Hour // any time
		for p.pass(now, size) {
			passed += size
		}
		if passed < tt.burst-size || passed > tt.burst+size {
			t.Errorf("%d bit/s: %d octets passed at once, want about %d", tt.rate, passed, tt.burst)
		}
		// Offered twice its rate for a while, it passes the rate.
		passed = 0
		step := time.Duration(size * 8 * uint64(time.Second) / tt.rate / 2)
		for range 4000 {
			now += step
			if p.pass(now, size) {
				passed += size
			}
		}
		want := float64(tt.rate) / 8 * (4000 * step).Seconds()
		if f := float64(passed); f < 0.97*want || f > 1.03*want {
			t.Errorf("%d bit/s: %d octets passed, want %.0f", tt.rate, passed, want)
		}
	}
	var none policer
	for range 1000 {
		if !none.pass(0, 1<<20) {
			t.Fatal("a policer without a rate holds something back")
		}
	}
	var p policer
	p.set(1000)
	for p.pass(0, 1000) {
	}
	if p.set(0); !p.pass(0, 1000) {
		t.Error("a rate that was taken back still holds")
	}
}
