//go:build linux

// Command bench measures Tributary's data path side by side with what a user
// would pick instead and with what the machine can do at most. README.md says
// how, and RESULTS.md has what came out last.
//
// It needs root, and runs in network, process and mount namespaces of its own.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"tributary/test/guests/guest"
)

// options is what is measured, and how long.
type options struct {
	rounds   int
	duration time.Duration // of one measurement
	warmUp   time.Duration
	lines    []int
	sizes    []int // octets of payload behind the PPP Protocol field
	window   int   // frames under way on one line
	totals   []int // frames under way on all lines together
	burst    int   // a line sends when so many may go at once
	// Lines of the latency measurement.
	latencyLines []int
	subjects     []string
	binary       string // tributary
	out          string // file to write, or none
	profile      string // folder for profiles, or none
	only         []string

	scaleLines int // of the scale measurement
	atOnce     int // of them between connect and LCP open
	roundLines int // of each round of growth
	growth     int // rounds
	echo       time.Duration

	kernelGuests []guest.Kind // of the kernel measurement
	kernelUsers  []int
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 {
		// The programs around the one under test, started by this one.
		switch args[0] {
		case "ac":
			return acMain(args[1:])
		case "floor":
			return floorMain(args[1:])
		case "echo":
			return echoMain(args[1:])
		}
	}
	opts, err := parseOptions(args)
	if err != nil {
		return err
	}
	if binary := os.Getenv(envInside); binary != "" {
		opts.binary = binary
		// It is the parent, the load and the one with the priority: the
		// programs it starts end with the thread that started them.
		runtime.LockOSThread()
		if err := makeWorld(); err != nil {
			return err
		}
		return measureOnly(&opts)
	}
	if opts.binary == "" {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		opts.binary = filepath.Join(dir, "tributary")
		if err := build(opts.binary); err != nil {
			return err
		}
	}
	if slices.Contains(opts.only, kernelName) {
		work, err := buildGuests(opts.kernelGuests)
		if err != nil {
			return err
		}
		if err := os.Setenv(envGuests, work); err != nil {
			return err
		}
	}
	return again(opts.binary)
}

// build makes the gateway with its symbols, unlike the released one: profiles
// need them.
func build(binary string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "tributary/cmd/tributary")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build tributary: %w\n%s", err, text)
	}
	return nil
}

func parseOptions(args []string) (options, error) {
	var o options
	var lines, latencyLines, sizes, totals, subjects, kinds, users string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", 5, "rounds; each measures every subject once, in a changing order")
	f.DurationVar(&o.duration, "for", 2*time.Second, "length of one measurement")
	f.DurationVar(&o.warmUp, "warm-up", 300*time.Millisecond, "time under load before a measurement")
	f.StringVar(&lines, "lines", "1,16,64", "numbers of lines")
	f.StringVar(&latencyLines, "latency-lines", "1,16", "numbers of lines of the latency measurement")
	f.StringVar(&sizes, "sizes", "64,1400", "octets of payload")
	f.IntVar(&o.window, "window", 512, "frames under way on one line, at most")
	f.StringVar(&totals, "total", "256,1024", "frames under way on all lines together, at most; latency, which asks for the capacity alone, takes the first")
	f.IntVar(&o.burst, "burst", 16, "a line sends again when so many frames may go at once, at most a quarter of its window")
	f.StringVar(&subjects, "subjects", strings.Join(allSubjects, ","), "what to measure")
	f.StringVar(&o.binary, "tributary", "", "the gateway's binary; built from this tree if not given")
	f.StringVar(&o.out, "o", "", "file to write the results to, as Markdown")
	f.StringVar(&o.profile, "profile", "", "folder for perf's view of the gateway, one text for each row")
	only := f.String("only", strings.Join(allMeasurements, ","), "what to measure; "+kernelName+" is not done unless it is named")
	f.StringVar(&kinds, "kernel-guests", string(guest.UML), "kinds of guest of the kernel measurement: uml, qemu")
	f.StringVar(&users, "kernel-users", "1,16", "numbers of users of the kernel measurement")
	f.IntVar(&o.scaleLines, "scale-lines", 50000, "lines of the scale measurement, or as many as there may be descriptors")
	f.IntVar(&o.atOnce, "scale-at-once", 1000, "of them being set up at the same time")
	f.IntVar(&o.roundLines, "scale-round-lines", 5000, "lines of each of its rounds of growth")
	f.IntVar(&o.growth, "scale-rounds", 10, "rounds of growth")
	f.DurationVar(&o.echo, "scale-echo", 30*time.Second, "how long the scale measurement watches Echo-Requests; the gateway's default interval is 30s")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.only = strings.Split(*only, ",")
	var err error
	if o.lines, err = numbers(lines); err != nil {
		return o, fmt.Errorf("-lines: %w", err)
	}
	if o.latencyLines, err = numbers(latencyLines); err != nil {
		return o, fmt.Errorf("-latency-lines: %w", err)
	}
	if o.totals, err = numbers(totals); err != nil {
		return o, fmt.Errorf("-total: %w", err)
	}
	if o.sizes, err = numbers(sizes); err != nil {
		return o, fmt.Errorf("-sizes: %w", err)
	}
	if o.kernelUsers, err = numbers(users); err != nil {
		return o, fmt.Errorf("-kernel-users: %w", err)
	}
	if o.kernelGuests, err = kernelKinds(kinds); err != nil {
		return o, fmt.Errorf("-kernel-guests: %w", err)
	}
	for _, n := range o.sizes {
		if n < minPayload || n > maxPayload {
			return o, fmt.Errorf("-sizes: %d is not between %d and %d", n, minPayload, maxPayload)
		}
	}
	o.subjects = strings.Split(subjects, ",")
	if o.rounds < 1 || o.window < 1 || o.burst < 1 || o.duration <= 0 {
		return o, fmt.Errorf("rounds, window, burst and duration are at least one")
	}
	if o.scaleLines < 1 || o.atOnce < 1 || o.roundLines < 1 || o.echo <= 0 {
		return o, fmt.Errorf("scale-lines, scale-at-once, scale-round-lines and scale-echo are at least one")
	}
	return o, nil
}

func numbers(list string) ([]int, error) {
	var ns []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number above zero", s)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// windowOf is how many frames each line of a row may have under way.
func (o *options) windowOf(c cell) int { return max(1, min(o.window, c.total/c.lines)) }

// burstOf is how many frames a line with window w sends at once, at least.
func (o *options) burstOf(w int) int { return max(1, min(o.burst, w/4)) }
