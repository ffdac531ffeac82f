//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
)

// markdown is the ports' section of RESULTS.md.
func (r *portResults) markdown() string {
	var b strings.Builder
	o := r.opts
	var others []float64
	for _, ways := range r.samples {
		for _, ss := range ways {
			others = append(others, each(ss, portSample.others)...)
		}
	}
	fmt.Fprintf(&b, `%s, %v, %s. Other programs kept
%s cores busy meanwhile.

    %s

An echo on one end of the veth sends every session frame back, in one of the ways that the kernel has: how it
receives, how it sends, and how many frames it takes at once. It is driven from the other end, always by recvmmsg and
sendmmsg, %d at once, with frames of %d sessions. A frame counts when it is back, both ends of it still of the same frame.
Medians of %d rounds of %v, lowest to highest in brackets. *window* is how many frames are under way at most, *work* what
the echo makes up to be busy with each of them; it is not in *us echo*. What one end is spared, the other may have to do,
since on a veth the sender delivers: so *us both* is what counts. *times* is that against the gateway's way within a
round. The gateway's way is in bold.

internal/ether receives from a V2 ring and sends by sendmmsg, %d frames in a call, through the queueing discipline:

- **A V2 ring, not recvmmsg**: as long as frames are there they are received without a system call. That pays for a
  reader who has something to do with them, as a gateway has. One who has not is done before there are many: the ring
  shows him each frame as it comes, so that he sleeps, wakes up and sends more often, and for fewer. Every echo with a ring
  copies the frames out of it, as the gateway has to, so that this is in the figures.
- **Not V3**: it hands over blocks, when they are full or by a timer of a millisecond at least. With few frames under
  way everybody waits for that timer; the second table has one at a time.
- **No transmit ring**: each frame has to be copied into its slot, and a slot's pages are not the kernel's own, which the
  other end of a veth must not be given. Since Linux 4.20 the kernel copies them once more for that; before, it gave the slot back
  to the sender while the frame was still being read, so that it could change on its way.
- **Larger reads**: out of a ring more frames at once cost nothing, and what is read together is written to lines together; the
  gateway takes up to 128. Of a call's own price 64 frames have a small share each already, so it sends so many.
- **No fanout**: two sockets, with a thread each, share what comes by the session id. That divides the work without making it less,
  and each thread wakes up for half as many frames; here the second core is the load's. It is for machines with cores to spare.
- **Through the queueing discipline**: past it is an option of the uplink, and not the default, since traffic control
  and tcpdump do not see such frames.

`, r.began.Format("2006-01-02"), r.took.Round(1e9), machine(), figures(spreadOf(others), 2), command(os.Args),
		maxBatch, portSessions, o.rounds, o.duration/portShare, gatewayWay.batch)

	b.WriteString("| payload | window | work | receive, send, batch | frames/s | us echo | us load | us both | times | frames a receive | lost |\n")
	b.WriteString("|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.cells {
		if c.portLoad == oneAtATime {
			continue
		}
		for _, w := range ways {
			ss := r.samples[c][w]
			fmt.Fprintf(&b, "| %d | %d | %v | %s | %s | %.2f | %.2f | %s | %s | %.1f | %s |\n", c.payload, c.window, c.work, wayName(w),
				figures(spreadOf(each(ss, portSample.rate)), 0),
				spreadOf(each(ss, portSample.echo)).median, spreadOf(each(ss, portSample.load)).median,
				figures(spreadOf(each(ss, portSample.both)), 2),
				figures(spreadOf(ratios(ss, r.samples[c][gatewayWay], portSample.both)), 2),
				spreadOf(each(ss, portSample.perReceive)).median, wayLoss(ss))
		}
	}

	b.WriteString("\nOne frame at a time: from its send to its receive, there and back.\n\n")
	b.WriteString("| payload | receive, send, batch | p50 us | p99 us | us both | lost |\n|--:|---|--:|--:|--:|--:|\n")
	for _, c := range r.cells {
		if c.portLoad != oneAtATime {
			continue
		}
		for _, w := range ways {
			ss := r.samples[c][w]
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %.2f | %s |\n", c.payload, wayName(w),
				figures(spreadOf(each(ss, portSample.us50)), 0), figures(spreadOf(each(ss, portSample.us99)), 0),
				spreadOf(each(ss, portSample.both)).median, wayLoss(ss))
		}
	}
	return b.String()
}

// wayName has the gateway's way stand out.
func wayName(w way) string {
	if w == gatewayWay {
		return "**" + w.String() + "**"
	}
	return w.String()
}

func wayLoss(ss []portSample) string {
	var samples []sample
	for _, s := range ss {
		samples = append(samples, s.sample)
	}
	return loss(samples)
}
