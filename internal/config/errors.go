package config

import (
	"fmt"
	"slices"
	"strings"
)

// Error is one thing wrong with a configuration file, and where.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 if the whole file is meant
	Message      string // what is wrong and what is allowed, in one line
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors is everything wrong with one file, in the order of the file: whoever
// wrote it corrects it in one go.
type Errors []*Error

// Error is one line for each.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes each one visible to errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// maxErrors bounds the report on a file that is wrong everywhere, such as one
// that is not a configuration at all.
const maxErrors = 50

// inOrder sorts by position, keeps each complaint once and bounds their number.
func (es Errors) inOrder() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	es = slices.CompactFunc(es, func(a, b *Error) bool { return *a == *b })
	if len(es) > maxErrors {
		more := &Error{File: es[0].File, Message: fmt.Sprintf("%d more errors are not shown", len(es)-maxErrors)}
		es = append(es[:maxErrors:maxErrors], more)
	}
	return es
}
