package ip

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucket(t *testing.T) {
	r := Rate{Every: 100 * time.Millisecond, Burst: 3}
	var b Bucket
	now := time.Hour // of a clock that began long ago
	take := func(why string, want bool) {
		t.Helper()
		if got := b.Take(now, r); got != want {
			t.Errorf("%v: %s: %v", now-time.Hour, why, got)
		}
	}
	take("a full bucket", true)
	take("has three", true)
	take("tokens", true)
	take("and no fourth", false)
	now += 99 * time.Millisecond
	take("not yet", false)
	now += time.Millisecond
	take("one has come", true)
	take("and is gone", false)
	now += time.Hour
	for range 3 {
		take("no more than a burst gathers", true)
	}
	take("in an hour", false)
	if !b.Take(now, Rate{}) {
		t.Error("no rate is no limit")
	}
	var one Bucket
	if r := (Rate{Every: time.Second}); !one.Take(0, r) || one.Take(0, r) {
		t.Error("a burst of none is one at a time")
	}
}

// In no stretch of time are more taken than burst and rate allow.
func TestBucketNeverGivesMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{Every: time.Duration(rapid.IntRange(1, 1000).Draw(t, "every")), Burst: rapid.IntRange(1, 10).Draw(t, "burst")}
		var b Bucket
		var taken []time.Duration
		now := time.Duration(0)
		for _, step := range rapid.SliceOf(rapid.IntRange(0, 2000)).Draw(t, "steps") {
			now += time.Duration(step)
			if b.Take(now, r) {
				taken = append(taken, now)
			}
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				if n := j - i + 1; n > r.Burst+int((taken[j]-taken[i])/r.Every) {
					t.Fatalf("%d from %v to %v", n, taken[i], taken[j])
				}
			}
		}
	})
}

// One user who provokes errors does not take those of another.
func TestErrorLimit(t *testing.T) {
	l := ErrorLimit{All: Rate{time.Millisecond, 100}, Share: Rate{100 * time.Millisecond, 10}}
	var loud, quiet Bucket
	sent := 0
	for range 1000 {
		if l.Allow(0, &loud) {
			sent++
		}
	}
	if sent != 10 {
		t.Errorf("the loud one was sent %d, of a share of 10", sent)
	}
	if !l.Allow(0, &quiet) {
		t.Error("the quiet one gets nothing")
	}
	var many [200]Bucket
	for i := range many {
		if l.Allow(0, &many[i]) {
			sent++
		}
	}
	if sent != 99 {
		t.Errorf("%d and one were sent, of 100", sent)
	}
}
