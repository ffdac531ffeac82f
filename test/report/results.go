package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Output     string
	Elapsed    float64
}

// result is one test, one package, one step, or what a compiler said.
type result struct {
	name   string // package and test
	kind   kind
	output []string
	action string // pass, fail, skip; "" while it runs
}

var weight = map[string]int{"skip": 1, "pass": 2, "fail": 3}

type kind int

const (
	isTest kind = iota
	isPackage
	isBuild
)

type results struct {
	tests  []*result
	byName map[string]*result
	noise  []string // lines that are not events: a compiler's, a crash's
	failed bool     // some package failed
}

func (r *results) get(name string, k kind) *result {
	if r.byName == nil {
		r.byName = make(map[string]*result)
	}
	t := r.byName[name]
	if t == nil {
		t = &result{name: name, kind: k}
		r.byName[name], r.tests = t, append(r.tests, t)
	}
	return t
}

func (r *results) read(in io.Reader) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Action == "" {
			r.noise = append(r.noise, s.Text())
			continue
		}
		name, k := strings.TrimPrefix(e.Package, "tributary/"), isPackage
		switch {
		case e.Package == "":
			name, k = "build of "+e.ImportPath, isBuild
		case e.Test != "":
			name, k = name+" "+e.Test, isTest
		}
		switch e.Action {
		case "output", "build-output":
			t := r.get(name, k)
			t.output = append(t.output, e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				r.failed = r.failed || e.Action == "fail"
				if e.Action != "fail" {
					continue // a package's pass is its tests' pass; its skip is having none
				}
			}
			// A test that one run left out (under the race detector, say) and another
			// ran has been run; one that failed in any has failed.
			if t := r.get(name, k); weight[e.Action] > weight[t.action] {
				t.action = e.Action
			}
		}
	}
	return s.Err()
}

// write prints the report and says whether all is well.
func (r *results) write(w io.Writer, skipsFail bool) bool {
	var passed, failed, skipped int
	for _, t := range r.tests {
		switch {
		case t.kind == isBuild:
			fmt.Fprintf(w, "%s\n%s", t.name, strings.Join(t.output, ""))
		case t.kind == isPackage && t.action == "fail":
			// Its tests, if they could run at all, are counted themselves.
			if !slices.ContainsFunc(r.tests, func(s *result) bool {
				return s.action != "pass" && s.action != "skip" && strings.HasPrefix(s.name, t.name+" ")
			}) {
				failed++
			}
			fmt.Fprintf(w, "FAIL %s\n%s", t.name, strings.Join(t.output, ""))
		case t.kind == isPackage:
		case t.action == "pass":
			passed++
		case t.action == "skip":
			skipped++
			fmt.Fprintf(w, "SKIP %s: %s\n", t.name, reason(t.output))
		case t.action == "fail":
			failed++
			fmt.Fprintf(w, "FAIL %s\n%s", t.name, strings.Join(t.output, ""))
		default: // began, and never ended: the process died
			failed++
			fmt.Fprintf(w, "FAIL %s did not end\n%s", t.name, strings.Join(t.output, ""))
		}
	}
	for _, line := range r.noise {
		fmt.Fprintln(w, line)
	}
	ok := failed == 0 && !r.failed && passed > 0
	if skipped > 0 && skipsFail {
		fmt.Fprintf(w, "with CI=true nothing may be skipped\n")
		ok = false
		failed, skipped = failed+skipped, 0
	}
	if r.failed && failed == 0 {
		failed = 1
	}
	fmt.Fprintf(w, "%d passed, %d failed", passed, failed)
	if skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", skipped)
	}
	fmt.Fprintln(w)
	return ok
}

// reason is what a skipped test gave as its reason.
func reason(output []string) string {
	for _, line := range output {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return "no reason given"
}
