//go:build linux

package main

import (
	"slices"
	"time"
)

// spread is the middle of some measurements, and how far they lie apart.
type spread struct{ median, min, max float64 }

func spreadOf(xs []float64) spread {
	if len(xs) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(xs))
	n := len(s)
	m := s[n/2]
	if n%2 == 0 {
		m = (s[n/2-1] + s[n/2]) / 2
	}
	return spread{median: m, min: s[0], max: s[n-1]}
}

// each is f of every sample.
func each[S any](ss []S, f func(S) float64) []float64 {
	xs := make([]float64, 0, len(ss))
	for _, s := range ss {
		xs = append(xs, f(s))
	}
	return xs
}

// ratios is f of a through f of b, round by round: what slowed the machine down
// for a whole round is in both, and cancels out.
func ratios[S any](a, b []S, f func(S) float64) []float64 {
	xs := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if d := f(b[i]); d > 0 {
			xs = append(xs, f(a[i])/d)
		}
	}
	return xs
}

// quantile is the value that a part q of sorted lies at or below.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
