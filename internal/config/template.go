package config

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// MaxID is the most octets that an Agent-Circuit-ID or Agent-Remote-ID of TR-101
// has.
const MaxID = 63

// Line is what placeholders of circuit_id and remote_id stand for.
type Line struct {
	Hostname string // {hostname}: this machine's
	Group    string // {group}: the group's name
	Line     string // {line}: the line's name within the group: "17", "ttyUSB0"
	Remote   string // {remote}: the peer: "192.0.2.7:40112", "/dev/ttyUSB0"
	Kind     string // {kind}: "tcp", "serial", "pty"
}

// Expand puts the line's values in place of a template's placeholders, at most
// MaxID octets. Octets that are no printable ASCII become "?": a remote peer has
// a hand in some, and an ISP's logs are someone's terminal.
func (l Line) Expand(template string) string {
	var out []byte
	for _, p := range split(template) {
		s := p.text
		if p.placeholder {
			s, _ = l.value(p.text)
		}
		out = append(out, s...)
	}
	if len(out) > MaxID {
		out = out[:MaxID]
	}
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '?'
		}
	}
	return string(out)
}

// placeholders in the order in which complaints list them.
const placeholders = "{hostname}, {group}, {line}, {remote}, {kind}"

func (l Line) value(name string) (string, bool) {
	switch name {
	case "hostname":
		return l.Hostname, true
	case "group":
		return l.Group, true
	case "line":
		return l.Line, true
	case "remote":
		return l.Remote, true
	case "kind":
		return l.Kind, true
	}
	return "", false
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
			// In quotes, the text begins one column later. Where the file
			// has escapes, this is the column but for them.
			at.Column += utf8.RuneCountInString(s[:p.at])
			if strings.HasPrefix(strings.TrimSpace(n.GetToken().Origin), "\"") || strings.HasPrefix(strings.TrimSpace(n.GetToken().Origin), "'") {
				at.Column++
			}
			_, known := Line{}.value(p.text)
			switch {
			case p.open:
				d.errorAt(&at, "%s has a { without its }", key)
			case p.placeholder && !known:
				d.errorAt(&at, "%s: there is no {%.40s}: placeholders are %s", key, p.text, placeholders)
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
