package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds nesting. The deepest key there is has a depth of 5; without
// a bound, a file of "[" would have the parser recurse as deep as it is long.
const maxDepth = 32

// tree parses data into the YAML mapping it must be. It returns nil if it
// complained.
func (d *decoder) tree(data []byte) *ast.MappingNode {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors begin UTF-8 with it
	if !d.isText(data) {
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if !d.isPlain(tokens) {
		return nil
	}
	file, err := parse(tokens)
	if err != nil {
		d.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.errorf(doc.Body, "a second YAML document: a file has one")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		d.errs = append(d.errs, &Error{File: d.file, Line: 1, Column: 1, Message: "empty: " + d.needs})
		return nil
	}
	switch body := body.(type) {
	case *ast.MappingNode:
		return body
	case *ast.MappingValueNode:
		return ast.Mapping(body.Start, false, body)
	}
	d.errorf(body, "want keys and values, not %s", describeNode(body))
	return nil
}

// maxBlank is how many line ends may follow each other. A longer run of them in
// a block of text takes the lexer a time that grows with its cube.
const maxBlank = 100

// isText refuses what is no text before a YAML lexer makes something of it:
// broken UTF-8, and the control characters that YAML 1.2 excludes, section 5.1.
func (d *decoder) isText(data []byte) bool {
	line, column, blank := 1, 1, 0
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch r {
		case '\n', '\r':
			blank++
		case ' ', '\t':
		default:
			blank = 0
		}
		var what string
		switch {
		case blank > maxBlank:
			what = fmt.Sprintf("more than %d empty lines", maxBlank)
		case r == utf8.RuneError && n == 1:
			what = "not UTF-8"
		case r < ' ' && r != '\n' && r != '\t' && r != '\r', r == 0x7f:
			what = fmt.Sprintf("control character 0x%02x", r)
		}
		if what != "" {
			d.errs = append(d.errs, &Error{File: d.file, Line: line, Column: column, Message: what})
			return false
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		data = data[n:]
	}
	return true
}

// isPlain refuses what a configuration has no use for and what makes YAML
// dangerous or surprising: anchors and aliases (which can say a gigabyte in a
// hundred octets), tags, merge keys, directives, and nesting without end.
func (d *decoder) isPlain(tokens token.Tokens) bool {
	flow, entries, line := 0, 0, 0
	refuse := func(t *token.Token, what string) bool {
		d.errorAt(t.Position, "%s not supported in a configuration", what)
		return false
	}
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.AnchorType, token.AliasType:
			return refuse(t, "anchors and aliases are")
		case token.TagType:
			return refuse(t, "tags are")
		case token.MergeKeyType:
			return refuse(t, "merge keys are")
		case token.DirectiveType:
			return refuse(t, "directives are")
		case token.MappingKeyType:
			return refuse(t, "complex keys are")
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType:
			entries++
		}
		// In block style, depth is bought with columns, except for "- - -".
		if flow > maxDepth || entries > maxDepth || t.Position.IndentLevel > maxDepth {
			d.errorAt(t.Position, "nested more than %d deep", maxDepth)
			return false
		}
	}
	return true
}

// parse is the library's parser, with a panic of its as one more syntax error:
// the input may be hostile and the parser is not ours.
func parse(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the YAML parser does not understand this file")
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// syntax reports a parser's error at its position.
func (d *decoder) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		d.errorAt(at.GetToken().Position, "%s", firstLine(at.GetMessage()))
		return
	}
	d.errs = append(d.errs, &Error{File: d.file, Line: 1, Column: 1, Message: firstLine(err.Error())})
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// describeNode says what a value is, for complaints about its type.
func describeNode(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	case *ast.StringNode:
		return fmt.Sprintf("%.40q", n.Value)
	case *ast.LiteralNode:
		return "a block of text"
	}
	return "this"
}

// start is where a node begins in the file: a mapping begins at its first key,
// though its own token is the colon behind it.
func start(n ast.Node) *token.Position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position
	}
	return n.GetToken().Position
}
