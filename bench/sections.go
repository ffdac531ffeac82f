//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// The measurements, in the order in which RESULTS.md has them. Each has a section
// of its own there, and leaves those of the others alone.
const (
	throughputName = "throughput"
	portsName      = "ports"
	latencyName    = "latency"
	isolationName  = "isolation"
	scaleName      = "scale"
)

var allMeasurements = []string{throughputName, portsName, latencyName, isolationName, scaleName}

// allSections has kernelName as well, which is for machines that can have guests.
var allSections = append(slices.Clip(allMeasurements), kernelName)

func measureOnly(o *options) error {
	for _, name := range o.only {
		var text string
		var err error
		switch name {
		case throughputName:
			text, err = measureThroughput(o)
		case portsName:
			text, err = measurePorts(o)
		case latencyName:
			text, err = measureLatency(o)
		case isolationName:
			text, err = measureIsolation(o)
		case scaleName:
			text, err = measureScale(o)
		case kernelName:
			text, err = measureKernel(o)
		default:
			err = fmt.Errorf("no measurement of this name; there are %v", allSections)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Println(text)
		if o.out != "" {
			if err := writeSection(o.out, name, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeSection puts one measurement's text in its place in a file.
func writeSection(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(path, []byte(withSection(string(old), name, text)), 0o644)
}

// withSection is a document of results with the section of name replaced, or
// added where it belongs.
func withSection(doc, name, text string) string {
	sections := make(map[string]string)
	_, doc, _ = strings.Cut("\n"+doc, "\n## ")
	for doc != "" {
		var one string
		one, doc, _ = strings.Cut(doc, "\n## ")
		title, body, _ := strings.Cut(one, "\n")
		sections[strings.ToLower(title)] = body
	}
	sections[name] = text
	var b strings.Builder
	b.WriteString("# Results\n")
	for _, name := range allSections {
		if body, ok := sections[name]; ok {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", strings.ToUpper(name[:1])+name[1:], strings.Trim(body, "\n"))
		}
	}
	return b.String()
}
