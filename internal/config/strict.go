package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Strict reads a YAML file that stands beside the configuration, such as the
// users, by the configuration's rules: what is not known is an error, and all
// errors are collected, each with its line and column.
//
// Its methods decode one node of the syntax tree. What is wrong is noted, leaves
// the destination as it was, and does not stop the rest.
type Strict struct{ d decoder }

// ParseStrict hands the mapping that data must be to root, and returns what root
// and the parser complained of, as an Errors. name is what errors call the file;
// a file without content is told what it needs, such as "users: [...]".
func ParseStrict(name string, data []byte, needs string, root func(*Strict, ast.Node)) error {
	s := &Strict{decoder{file: name, needs: needs}}
	if n := s.d.tree(data); n != nil {
		root(s, n)
	}
	if len(s.d.errs) > 0 {
		return s.d.errs.inOrder()
	}
	return nil
}

// Errorf notes that something is wrong where n begins.
func (s *Strict) Errorf(n ast.Node, format string, args ...any) { s.d.errorf(n, format, args...) }

// Line is the line of the file in which n begins.
func (s *Strict) Line(n ast.Node) int { return start(n).Line }

// ErrorAt is an Error about n, for what turns out to be wrong when the file has
// been read.
func (s *Strict) ErrorAt(n ast.Node) Error {
	at := start(n)
	return Error{File: s.d.file, Line: at.Line, Column: at.Column}
}

// Mapping decodes a mapping that may have the keys of want, and must have those
// listed after it. what names it in complaints. It returns the values given.
func (s *Strict) Mapping(n ast.Node, what string, want map[string]func(ast.Node), required ...string) map[string]ast.Node {
	return s.d.mapping(n, what, want, required...)
}

// List decodes a sequence, item by item.
func (s *Strict) List(n ast.Node, key string, item func(i int, n ast.Node)) { s.d.list(n, key, item) }

// Text is a string of at most max octets, on one line.
func (s *Strict) Text(dst *string, key string, max int) func(ast.Node) {
	return s.d.text(dst, key, max)
}

// Name is a name as pools and groups have them.
func (s *Strict) Name(dst *string, key string) func(ast.Node) { return s.d.name(dst, key) }

// Integer is a whole number from min to max.
func (s *Strict) Integer(dst *int, key string, min, max int) func(ast.Node) {
	return s.d.integer(dst, key, min, max)
}

// Duration is a time from min to max, or 0 if zeroToo.
func (s *Strict) Duration(dst *time.Duration, key string, min, max time.Duration, zeroToo bool) func(ast.Node) {
	return s.d.duration(dst, key, min, max, zeroToo)
}

// Bool is true or false.
func (s *Strict) Bool(dst *bool, key string) func(ast.Node) { return s.d.boolean(dst, key) }

// Secret is a text of 1 to max octets whose content no complaint repeats: what
// is printed about a file must not carry its passwords into a log.
func (s *Strict) Secret(dst *string, key string, max int) func(ast.Node) {
	return func(n ast.Node) {
		text, err := secretText(n, max)
		if err != nil {
			s.d.errorf(n, "%s %v", key, err)
			return
		}
		*dst = text
	}
}

func secretText(n ast.Node, max int) (string, error) {
	v, ok := n.(*ast.StringNode)
	switch {
	case !ok:
		return "", errors.New("is text on one line: put it in quotes")
	case v.Value == "":
		return "", errors.New("is empty")
	case len(v.Value) > max:
		return "", fmt.Errorf("has %d octets, at most %d are allowed", len(v.Value), max)
	}
	return v.Value, nil
}
