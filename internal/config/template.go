package config

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// MaxID is the most octets that an Agent-Circuit-ID or Agent-Remote-ID of TR-101
// has.
const MaxID = 63

// placeholders is what circuit_id and remote_id may say about a line: this
// machine's name, and what line.Info has.
func placeholders() []string {
	return []string{"hostname", "group", "line", "device", "remote", "caller", "kind"}
}

// part is a piece of a template: text as it is, or the name in a placeholder.
type part struct {
	text        string
	placeholder bool
	at          int // octets before it in the template
	open        bool
}

func split(template string) (parts []part) {
	for at := 0; at < len(template); {
		rest := template[at:]
		n := strings.IndexByte(rest, '{')
		switch {
		case n < 0:
			return append(parts, part{text: rest, at: at})
		case n > 0:
			parts = append(parts, part{text: rest[:n], at: at})
			at += n
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return append(parts, part{text: rest, at: at, open: true})
		}
		parts = append(parts, part{text: rest[1:end], placeholder: true, at: at})
		at += end + 1
	}
	return parts
}

// template is a circuit_id or remote_id; "" sends none.
func (d *decoder) template(dst *string, key string) value {
	return func(n ast.Node) {
		s, ok := d.scalar(n, key)
		if !ok {
			return
		}
		before, literal := len(d.errs), 0
		for _, p := range split(s) {
			at := *start(n)
			at.Column += quote(n) + utf8.RuneCountInString(s[:p.at])
			known := slices.Contains(placeholders(), p.text)
			switch {
			case p.open:
				d.errorAt(&at, "%s has a { without its }", key)
			case p.placeholder && !known:
				d.errorAt(&at, "%s: there is no placeholder %.40q%s", key, p.text, suggest(p.text, placeholders()))
			case !p.placeholder:
				literal += len(p.text)
				if i := strings.IndexFunc(p.text, notPrintable); i >= 0 {
					at.Column += utf8.RuneCountInString(p.text[:i])
					d.errorAt(&at, "%s is printable ASCII and placeholders", key)
				}
			}
		}
		if literal > MaxID {
			d.errorf(n, "%s has %d octets besides its placeholders; access concentrators take %d in all", key, literal, MaxID)
		}
		if len(d.errs) == before {
			*dst = s
		}
	}
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// quote is how many columns a value's text is behind the value: one for a quote.
// (Escapes inside it shift the columns further; nobody needs one here.)
func quote(n ast.Node) int {
	switch n.GetToken().Type {
	case token.DoubleQuoteType, token.SingleQuoteType:
		return 1
	}
	return 0
}
