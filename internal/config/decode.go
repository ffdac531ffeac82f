package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder reads one file and collects everything that is wrong with it. A value
// that is wrong leaves the default in its place, so that decoding goes on.
//
// It walks the syntax tree instead of unmarshalling into tagged structs: that
// stops at the first mistake, and forgets where in the file a value stood, which
// the checks between groups need to know.
type decoder struct {
	file  string
	needs string // what a file without content is told
	errs  Errors
	warns Errors
}

func (d *decoder) errorAt(at *token.Position, format string, args ...any) {
	d.errs = append(d.errs, &Error{File: d.file, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) errorf(n ast.Node, format string, args ...any) {
	d.errorAt(start(n), format, args...)
}

// warnf notes what is allowed and probably not meant.
func (d *decoder) warnf(n ast.Node, format string, args ...any) {
	at := start(n)
	d.warns = append(d.warns, &Error{File: d.file, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...)})
}

// value decodes one value to where it belongs.
type value = func(n ast.Node)

// given is the keys that a mapping has, with their values.
type given map[string]ast.Node

// mapping decodes a mapping whose keys are those of want. what names it in
// complaints. Keys that are required are listed after that.
func (d *decoder) mapping(n ast.Node, what string, want map[string]value, required ...string) given {
	values, ok := d.pairs(n, what)
	if !ok {
		return nil
	}
	got := make(given, len(values))
	first := map[string]*token.Position{}
	for _, kv := range values {
		key := keyOf(kv)
		at := start(kv)
		if was, twice := first[key]; twice {
			d.errorAt(at, "%q is given twice, first in line %d", key, was.Line)
			continue
		}
		first[key] = at
		decode, known := want[key]
		if !known {
			d.errorAt(at, "%s has no key %q%s", what, key, suggest(key, slices.Sorted(maps.Keys(want))))
			continue
		}
		got[key] = kv.Value
		if _, null := kv.Value.(*ast.NullNode); null {
			d.errorAt(at, "%q has no value: give it one, or leave the key out", key)
			continue
		}
		decode(kv.Value)
	}
	for _, key := range required {
		if _, ok := first[key]; !ok {
			d.errorf(n, "%s needs %q", what, key)
		}
	}
	return got
}

// pairs are the keys and values of a mapping; ok is false if it is none.
func (d *decoder) pairs(n ast.Node, what string) (values []*ast.MappingValueNode, ok bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	d.errorf(n, "%s needs keys and values, not %s", what, describeNode(n))
	return nil, false
}

// entries decodes a mapping whose keys are the user's to choose, each once.
func (d *decoder) entries(n ast.Node, what string, use func(key string, at, value ast.Node)) {
	values, _ := d.pairs(n, what)
	first := map[string]*token.Position{}
	for _, kv := range values {
		key := keyOf(kv)
		switch was := first[key]; {
		case was != nil:
			d.errorAt(start(kv), "%q is given twice, first in line %d", key, was.Line)
			continue
		case kv.Value.Type() == ast.NullType:
			d.errorAt(start(kv), "%q has no value: give it one, or leave the key out", key)
			continue
		}
		first[key] = start(kv)
		use(key, kv.Key, kv.Value)
	}
}

func keyOf(kv *ast.MappingValueNode) string {
	if s, ok := kv.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return kv.Key.GetToken().Value
}

// list decodes a sequence, and reports whether it is empty, which only some may be.
func (d *decoder) list(n ast.Node, key string, item func(i int, n ast.Node)) (empty bool) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.errorf(n, "%s is a list, not %s", key, describeNode(n))
		return false
	}
	for i, v := range seq.Values {
		item(i, v)
	}
	return len(seq.Values) == 0
}

// scalar is the text of a string value. Whoever means the string "7" writes the
// quotes: what YAML takes for a number or a truth value is one.
func (d *decoder) scalar(n ast.Node, key string) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.errorf(n, "%s is text: put %s in quotes", key, n.GetToken().Value)
	default:
		d.errorf(n, "%s is text, not %s", key, describeNode(n))
	}
	return "", false
}

// text is a string of at most max octets, on one line.
func (d *decoder) text(dst *string, key string, max int) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, key)
		switch {
		case !ok:
		case len(s) > max:
			d.errorf(n, "%s has %d octets, at most %d are allowed", key, len(s), max)
		case strings.ContainsFunc(s, isControl):
			d.errorf(n, "%s must be one line without control characters", key)
		default:
			*dst = s
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// word is one of a few.
func word[T ~string](d *decoder, dst *T, key string, allowed ...T) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, key)
		if !ok {
			return
		}
		if slices.Contains(allowed, T(s)) {
			*dst = T(s)
			return
		}
		words := make([]string, len(allowed))
		for i, a := range allowed {
			words[i] = string(a)
		}
		d.errorf(n, "%s is %s, not %.40q%s", key, strings.Join(words, " or "), s, suggest(s, words))
	}
}

// boolean is true or false; YAML 1.2 has no yes and no.
func (d *decoder) boolean(dst *bool, key string) value {
	return func(n ast.Node) {
		v, ok := n.(*ast.BoolNode)
		if !ok {
			d.errorf(n, "%s is true or false, not %s", key, describeNode(n))
			return
		}
		*dst = v.Value
	}
}

// integer is a whole number from min to max.
func (d *decoder) integer(dst *int, key string, min, max int) value {
	return func(n ast.Node) {
		if v, ok := d.number(n, key, min, max); ok {
			*dst = v
		}
	}
}

func (d *decoder) number(n ast.Node, key string, min, max int) (int, bool) {
	if _, ok := n.(*ast.IntegerNode); !ok {
		d.errorf(n, "%s is a whole number from %d to %d, not %s", key, min, max, describeNode(n))
		return 0, false
	}
	// The text, and not the library's value of it: to YAML, 0100 is 64.
	text := n.GetToken().Value
	v, err := strconv.Atoi(text)
	if err != nil || len(text) > 1 && text[0] == '0' {
		d.errorf(n, "%s is a decimal number from %d to %d, not %.40s", key, min, max, text)
		return 0, false
	}
	if v < min || v > max {
		d.errorf(n, "%s is from %d to %d, not %d", key, min, max, v)
		return 0, false
	}
	return v, true
}

// duration is a time with its unit, from min to max; 0 needs no unit, and is
// allowed beside the range if zeroToo.
func (d *decoder) duration(dst *time.Duration, key string, min, max time.Duration, zeroToo bool) value {
	zero := ""
	if zeroToo && min > 0 {
		zero = ", or 0"
	}
	return func(n ast.Node) {
		if _, ok := n.(*ast.SequenceNode); ok {
			d.errorf(n, "%s is a time such as 100ms, 30s or 5m, not a list", key)
			return
		}
		text := n.GetToken().Value
		v, err := time.ParseDuration(text)
		switch _, isNumber := n.(*ast.IntegerNode); {
		case isNumber && err != nil:
			d.errorf(n, "%s needs a unit: 100ms, 30s or 5m, not %.40s", key, text)
		case err != nil:
			d.errorf(n, "%s is a time such as 100ms, 30s or 5m, not %s", key, describeNode(n))
		case v == 0 && zeroToo:
			*dst = 0
		case v < min || v > max:
			d.errorf(n, "%s is from %s to %s%s, not %.40s", key, short(min), short(max), zero, text)
		default:
			*dst = v
		}
	}
}

// short is a duration without the units that are zero: 1h, not 1h0m0s.
func short(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// suggest is the part of a complaint that helps: the allowed word that was
// probably meant, or else all of them if there are not too many to read.
func suggest(got string, allowed []string) string {
	best, distance := "", 3
	for _, a := range allowed {
		if n := editDistance(got, a); n < distance && n < max(2, len(a)) {
			best, distance = a, n
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(allowed) == 0:
		return ""
	case len(allowed) <= 16:
		return "; there are: " + strings.Join(allowed, ", ")
	}
	return ""
}

// editDistance is how many letters must be put in, taken out, changed or
// swapped with their neighbour to make b of a; long words count as far apart.
func editDistance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 0
			if a[i-1] != b[j-1] {
				cost = 1
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
