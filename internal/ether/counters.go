package ether

import "sync/atomic"

// counters is Counters for many writers.
type counters struct {
	rxFrames, rxOctets, rxDropped, rxTruncated atomic.Uint64
	txFrames, txOctets, txDropped              atomic.Uint64
}

func (c *counters) received(frames, octets int) {
	c.rxFrames.Add(uint64(frames))
	c.rxOctets.Add(uint64(octets))
}

func (c *counters) sent(frames, octets int) {
	c.txFrames.Add(uint64(frames))
	c.txOctets.Add(uint64(octets))
}

func (c *counters) snapshot() Counters {
	return Counters{
		RxFrames: c.rxFrames.Load(), RxOctets: c.rxOctets.Load(),
		TxFrames: c.txFrames.Load(), TxOctets: c.txOctets.Load(),
		RxDropped: c.rxDropped.Load(), TxDropped: c.txDropped.Load(),
		RxTruncated: c.rxTruncated.Load(),
	}
}
