//go:build linux

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// shares says where processor time went, in parts of all of it.
type shares map[string]float64

// readStacks sorts samples of perf script -F ip,sym (a stack for each, innermost
// first, an empty line behind it) by what the program was doing.
func readStacks(r io.Reader) (shares, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	sum := make(shares)
	total := 0.0
	var stack []string
	end := func() {
		if len(stack) > 0 {
			sum[doing(stack)]++
			total++
		}
		stack = stack[:0]
	}
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		switch len(f) {
		case 0:
			end()
		case 1:
		default:
			stack = append(stack, strings.Join(f[1:], " "))
		}
	}
	end()
	for k := range sum {
		sum[k] /= total
	}
	return sum, sc.Err()
}

// doing names what a stack is part of: the system call if it is in one, else
// the package of ours that it is in or that called what it is in, else Go's own
// business.
func doing(stack []string) string {
	for _, f := range stack {
		// Some entry points leave by a tail call and are not on the stack.
		if f == "do_writev" || f == "do_readv" {
			return "kernel: " + strings.TrimPrefix(f, "do_")
		}
		for _, prefix := range []string{"__x64_sys_", "__arm64_sys_", "__sys_", "ksys_"} {
			if call, ok := strings.CutPrefix(f, prefix); ok {
				return "kernel: " + call
			}
		}
	}
	for _, f := range stack {
		switch {
		case f == "runtime.mallocgc" || strings.HasPrefix(f, "runtime.gc"):
			return "Go: memory"
		case f == "runtime.schedule" || f == "runtime.mcall" || f == "runtime.newproc":
			return "Go: scheduler"
		case strings.HasPrefix(f, "tributary/"):
			return function(f)
		case strings.HasPrefix(f, "main."):
			return "main" // all of the floor
		}
	}
	return "other"
}

// function is the package, and for the codec the direction too, of a Go symbol:
// "tributary/internal/line.(*async).Read" is in "line".
func function(symbol string) string {
	path, name, _ := strings.Cut(symbol[strings.LastIndexByte(symbol, '/')+1:], ".")
	if path != "hdlc" {
		return path
	}
	switch {
	case strings.HasPrefix(name, "(*Decoder)"), strings.HasPrefix(name, "unescape"):
		return "hdlc: decode"
	case strings.HasPrefix(name, "FCS16"), strings.HasPrefix(name, "fcs16"):
		return "hdlc: FCS"
	}
	return "hdlc: encode"
}

// sorted is the shares from large to small; what is under a hundredth together
// is "rest".
func (s shares) sorted() []string {
	names := slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		return cmp.Or(cmp.Compare(s[b], s[a]), cmp.Compare(a, b))
	})
	var out []string
	rest := 0.0
	for _, n := range names {
		if s[n] < 0.01 {
			rest += s[n]
			continue
		}
		out = append(out, fmt.Sprintf("%s %.0f %%", n, 100*s[n]))
	}
	if rest >= 0.005 {
		out = append(out, fmt.Sprintf("rest %.0f %%", 100*rest))
	}
	return out
}
