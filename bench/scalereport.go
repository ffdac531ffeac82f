//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// markdown is the scale's section of RESULTS.md.
func (r *scaleReport) markdown(o *options) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s, %s. Other programs kept %.2f cores busy meanwhile.

    %s

%d TCP lines on loopback, each with a PPPoE session and LCP open, in one gateway.`,
		time.Now().Format("2006-01-02"), machine(), r.machine, command(os.Args), r.lines)
	if r.lines < r.asked {
		fmt.Fprintf(&b, ` %d were asked for; a process
may have only %d descriptors here.`, r.asked, r.limit)
	}
	b.WriteString(" One measurement, not a median.\n\n")
	b.WriteString("| what | goal | measured | |\n|---|--:|--:|---|\n")
	row := func(what, goal, measured, note string) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", what, goal, measured, note)
	}
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	per := func(m memory) string {
		return fmt.Sprintf("%.1f KiB", float64(m.rss-r.base.rss)/1024/float64(r.lines))
	}
	row("set-up", "5,000 lines/s", fmt.Sprintf("%.0f lines/s", r.setUp.rate(r.lines)),
		fmt.Sprintf("%d at once; a line takes %v (p50), %v (p99), of which offer_wait is 100ms; %d Configure-Requests were repeated; us a line: gateway %.0f, AC %.0f, users %.0f",
			r.setUp.atOnce, r.setUp.p50.Round(time.Millisecond), r.setUp.p99.Round(time.Millisecond), r.setUp.again,
			us(r.setUp.cpu, r.lines), us(r.setUp.ac, r.lines), us(r.setUp.me, r.lines)))
	row("resident memory a line, at once", "", per(r.up), "the buffers of the burst are in it")
	row("resident memory a line, idle", "12 KiB", per(r.idle), fmt.Sprintf("over the %d KiB of a gateway without lines; %d descriptors", r.base.rss>>10, r.idle.files))
	for _, s := range r.steady {
		note := fmt.Sprintf("%d Echo-Requests of the gateway's", s.asked)
		if s.sent > 0 {
			note = fmt.Sprintf("%d Echo-Requests of the AC's, %d answered", s.sent, s.back)
		}
		row("processor in "+s.took.Round(time.Second).String()+", "+s.name, "5 % of a core", fmt.Sprintf("%.2f %%", 100*s.cpu.Seconds()/s.took.Seconds()),
			fmt.Sprintf("%s; %d lines are up", note, s.stillUp))
	}
	end := func(what string, e endReport) {
		note := fmt.Sprintf("%d PADTs and %d Terminate-Requests came, %d PADTs are missing", e.padts, e.terms, e.missing)
		if e.lost > 0 {
			note += fmt.Sprintf("; the AC's socket had no room for %d frames", e.lost)
		}
		row(what, "5 s", ms(e.took), note)
	}
	end("all users hang up, to the last PADT", r.hangUp)
	end("the gateway is stopped, to the last PADT", r.stop)
	row("the same, to its end", "", ms(r.exit), "")

	fmt.Fprintf(&b, "\nGrowth: %d lines come up and hang up, again and again, after %d of them did once; memory and descriptors two seconds later.\n\n", r.roundLines, r.lines)
	b.WriteString("| round | lines/s | KiB with lines | to the last PADT | missing | KiB without | descriptors |\n|--:|--:|--:|--:|--:|--:|--:|\n")
	for i, g := range r.growth {
		fmt.Fprintf(&b, "| %d | %.0f | %d | %s | %d | %d | %d |\n", i+1, g.rate, g.up.rss>>10, ms(g.end), g.missing, g.down.rss>>10, g.down.files)
	}
	return b.String()
}

// us is d shared among n, in microseconds.
func us(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(n) }
