package gateway

import "time"

// writeRate measures how fast a line takes what is written to it. Most lines do
// not say: behind a TCP connection may be a modem, and behind a serial port at
// 115,200 bit/s one that has connected at 33,600.
type writeRate struct {
	began  time.Duration
	octets int // of the write under way; 0: none

	// Of the last writes, each counting less than the one after it.
	sumOctets float64
	sumTook   float64 // in seconds
}

// begin is a write of so many octets; of 0, if nothing is left to write.
func (r *writeRate) begin(now time.Duration, octets int) {
	r.began, r.octets = now, octets
}

// end is the end of the write that began last. It reports whether there was one.
func (r *writeRate) end(now time.Duration) bool {
	if r.octets == 0 {
		return false
	}
	const keep = 7.0 / 8
	r.sumOctets = keep*r.sumOctets + float64(r.octets)
	r.sumTook = keep*r.sumTook + max(now-r.began, 0).Seconds()
	r.octets = 0
	return true
}

// speed is the measured bit/s, not above limit, nor below minSpeed. 0 is no limit.
func (r *writeRate) speed(limit int) int {
	const fast = 1 << 30 // and no limit to speak of
	measured := r.sumOctets * octetBits
	if measured >= fast*r.sumTook {
		return limit
	}
	speed := max(int(measured/r.sumTook), minSpeed)
	if limit > 0 {
		speed = min(speed, limit)
	}
	return speed
}
