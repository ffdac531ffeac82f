package gateway

import "time"

// setUpBounds are the buckets of set-up times: fixed, so that those of many gateways
// can be added up.
var setUpBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
	10 * time.Second, 20 * time.Second, 50 * time.Second,
}

// setUpTimes is a histogram of set-up times.
type setUpTimes struct {
	counts [len(setUpBounds) + 1]uint64 // the last of what is over all bounds
	sum    time.Duration
	most   time.Duration
}

func (h *setUpTimes) observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(setUpBounds) && d > setUpBounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += d
	h.most = max(h.most, d)
}

func (h *setUpTimes) count() (n uint64) {
	for _, c := range h.counts {
		n += c
	}
	return n
}

// quantile is the time that percent of all set-ups took at most, with the times of one
// bucket taken as spread evenly over it. 0 if there was none.
func (h *setUpTimes) quantile(percent uint64) time.Duration {
	n := h.count()
	if n == 0 {
		return 0
	}
	want := max((n*percent+99)/100, 1)
	var below uint64
	for i, c := range h.counts {
		if below+c < want {
			below += c
			continue
		}
		var from time.Duration
		if i > 0 {
			from = setUpBounds[i-1]
		}
		to := h.most
		if i < len(setUpBounds) {
			to = min(to, setUpBounds[i])
		}
		return from + time.Duration(float64(to-from)*float64(want-below)/float64(c))
	}
	return h.most
}

func (h *setUpTimes) info() SetUpInfo {
	s := SetUpInfo{
		Count: h.count(), Sum: h.sum, Max: h.most,
		P50: h.quantile(50), P90: h.quantile(90), P99: h.quantile(99),
		Buckets: make([]SetUpBucket, len(setUpBounds)),
	}
	var n uint64
	for i, bound := range setUpBounds {
		n += h.counts[i]
		s.Buckets[i] = SetUpBucket{LE: bound, Count: n}
	}
	return s
}
