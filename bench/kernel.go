//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tributary/test/guests/guest"
)

// The gateway next to the Linux kernel that does the same: both in one guest, one
// after the other, with the same users, the same lines and the same ISP around it.

const kernelName = "kernel"

// kernelSubjects, the one that is compared first.
var kernelSubjects = []string{tributarySubject, kernelName}

// kernelRow is one way to have users.
type kernelRow struct {
	kind  guest.Kind
	lines string // serial or tcp
	users int
}

// kernelSample is one measurement.
type kernelSample struct {
	took         time.Duration
	back         uint64 // packets that have gone up, and have come back down
	lost         uint64
	host         time.Duration // the guest's processor time, by the machine's account
	user, system time.Duration // and by the guest's own
}

func (s kernelSample) rate() float64 { return float64(s.back) / s.took.Seconds() }

func (s kernelSample) per(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(max(s.back, 1))
}

type kernelKey struct {
	row     kernelRow
	size    int
	subject string
}

type kernelResults struct {
	opts    *options
	began   time.Time
	rows    []kernelRow
	lives   int // of guests
	samples map[kernelKey][]kernelSample
}

// buildGuests makes the guests' images, while the network is still there, and
// returns the folder they are in.
func buildGuests(kinds []guest.Kind) (work string, err error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("where is the module: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "test", "guests")
	work = filepath.Join(source, ".work")
	for _, k := range kinds {
		if _, err := guest.Build(context.Background(), source, work, k); err != nil {
			return "", err
		}
	}
	return work, nil
}

func measureKernel(o *options) (string, error) {
	r := &kernelResults{opts: o, began: time.Now(), samples: make(map[kernelKey][]kernelSample)}
	for _, kind := range o.kernelGuests {
		for _, lines := range []string{"serial", "tcp"} {
			if kind == guest.QEMU && lines == "serial" {
				continue // of an emulated UART, the emulation is all that there is to measure
			}
			for _, n := range o.kernelUsers {
				r.rows = append(r.rows, kernelRow{kind, lines, n})
			}
		}
	}
	for _, kind := range o.kernelGuests {
		if err := r.in(kind); err != nil {
			return "", fmt.Errorf("%s: %w", kind, err)
		}
	}
	return r.markdown(), nil
}

// in measures all rows of one kind of guest.
func (r *kernelResults) in(kind guest.Kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	for _, row := range r.rows {
		if row.kind != kind {
			continue
		}
		for round := range r.opts.rounds {
			for i := range kernelSubjects {
				subject := kernelSubjects[(i+round)%len(kernelSubjects)]
				if err := r.measure(ctx, row, subject); err != nil {
					return fmt.Errorf("%s, %d users by %s: %w", subject, row.users, row.lines, err)
				}
			}
		}
	}
	return nil
}

// measure is one life of a subject, under every size of packets, in a guest that
// has just been started: nothing is left in it of the other.
func (r *kernelResults) measure(ctx context.Context, row kernelRow, subject string) error {
	w, err := newKernelWorld(ctx, r.opts, row, r.lives)
	r.lives++
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.start(ctx, subject, row); err != nil {
		return err
	}
	users, err := w.dial(ctx, subject, row)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, w.logs(ctx))
	}
	defer users.close()
	for _, size := range r.opts.sizes {
		s, err := w.run(ctx, users, size, r.opts)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, w.logs(ctx))
		}
		key := kernelKey{row, size, subject}
		r.samples[key] = append(r.samples[key], s)
		fmt.Fprintf(os.Stderr, "%s %s %d users %d octets %s: %.0f packets/s, %.1f us\n", row.kind, row.lines, row.users, size, subject, s.rate(), s.per(s.host))
	}
	return nil
}

// markdown is the section of RESULTS.md.
func (r *kernelResults) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s, %v, %s.

    %s

A guest (test/guests: Debian's kernel and pppd) is the gateway, started anew each time: either Tributary's static binary in mode shared, or
Linux itself: a pppd for each user, PPPoE in the kernel to the ISP, and the kernel's routing between. Users and ISP
are outside of the guest, the same for both, and send packets of IPv4 there and back: %d at most under way. Medians of
%d rounds of %v, lowest to highest in brackets; the two take turns, and ratios are taken within a round.
*us a packet* is the processor time of the machine that the guest has cost, for a packet to the ISP and back: all of the guest, its
devices included. *guest's own* is what the guest's kernel says of it, user and system, in ticks of 10 ms or less; user-mode
Linux cannot tell.

`, r.began.Format("2006-01-02"), time.Since(r.began).Round(time.Second), machine(), command(os.Args), kernelWindow, r.opts.rounds, r.opts.duration)
	b.WriteString("| guest | lines | users | octets | subject | packets/s | us a packet | guest's own | lost |\n|---|---|--:|--:|---|--:|--:|--:|--:|\n")
	host := func(s kernelSample) float64 { return s.per(s.host) }
	for _, row := range r.rows {
		for _, size := range r.opts.sizes {
			for _, subject := range kernelSubjects {
				ss := r.samples[kernelKey{row, size, subject}]
				var lost uint64
				for _, s := range ss {
					lost += s.lost
				}
				fmt.Fprintf(&b, "| %s | %s | %d | %d | %s | %s | %s | %s | %d |\n", row.kind, row.lines, row.users, size, subject,
					figures(spreadOf(each(ss, kernelSample.rate)), 0), figures(spreadOf(each(ss, host)), 1), own(row, ss), lost)
			}
		}
	}
	b.WriteString("\nTributary's packets a second and processor time a packet, as multiples of the kernel's: medians of the ratios in each round.\n\n")
	b.WriteString("| guest | lines | users | octets | packets/s | us a packet |\n|---|---|--:|--:|--:|--:|\n")
	for _, row := range r.rows {
		for _, size := range r.opts.sizes {
			mine, theirs := r.samples[kernelKey{row, size, tributarySubject}], r.samples[kernelKey{row, size, kernelName}]
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %s times | %s times |\n", row.kind, row.lines, row.users, size,
				figures(spreadOf(ratios(mine, theirs, kernelSample.rate)), 2), figures(spreadOf(ratios(mine, theirs, host)), 2))
		}
	}
	return b.String()
}

// own is the guest's own account, where it has one.
func own(row kernelRow, ss []kernelSample) string {
	if row.kind == guest.UML {
		return ""
	}
	user := spreadOf(each(ss, func(s kernelSample) float64 { return s.per(s.user) }))
	system := spreadOf(each(ss, func(s kernelSample) float64 { return s.per(s.system) }))
	return fmt.Sprintf("%.1f + %.1f", user.median, system.median)
}
