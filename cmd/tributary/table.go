package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// tableWidth is what a table takes at most, in columns of the terminal.
const tableWidth = 100

// table is text in columns. Numbers, whose heading begins with ">", stand to the
// right and are never cut off; the widest of the others are, if need be.
type table struct {
	heads []string
	right []bool
	rows  [][]string
}

func newTable(heads ...string) *table {
	t := &table{}
	for _, h := range heads {
		name, right := strings.CutPrefix(h, ">")
		t.heads = append(t.heads, name)
		t.right = append(t.right, right)
	}
	return t
}

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = printable(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(w io.Writer) error {
	widths := t.widths()
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(t.rows), 0, t.heads) {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			if t.right[i] {
				line += pad + cell + "  "
			} else {
				line += cut(cell, widths[i]) + pad + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// widths gives each column what it needs, and then takes from the widest column
// of text until the table fits.
func (t *table) widths() []int {
	widths := make([]int, len(t.heads))
	total := 2 * (len(t.heads) - 1)
	for i, h := range t.heads {
		widths[i] = utf8.RuneCountInString(h)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i]
	}
	for total > tableWidth {
		widest := -1
		for i, n := range widths {
			if !t.right[i] && n > len(t.heads[i]) && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // nothing but headings and numbers
		}
		widths[widest]--
		total--
	}
	return widths
}

// cut is s in at most n columns, with a mark where it goes on.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// notes is what there is to say of rows of a table, below it: a column would take the
// room from all others. What is said of several rows is said once.
type notes struct {
	said  []string
	names map[string][]string // by what is said
}

func (n *notes) add(name, text string) {
	if text == "" {
		return
	}
	if n.names == nil {
		n.names = make(map[string][]string)
	}
	if n.names[text] == nil {
		n.said = append(n.said, text)
	}
	n.names[text] = append(n.names[text], name)
}

// notedNames is how many names a note begins with.
const notedNames = 3

func (n *notes) write(w io.Writer) error {
	if len(n.said) == 0 {
		return nil
	}
	var b strings.Builder
	for _, text := range n.said {
		names := n.names[text]
		more := ""
		if len(names) > notedNames {
			more = fmt.Sprintf(" and %d more", len(names)-notedNames)
			names = names[:notedNames]
		}
		fmt.Fprintf(&b, "\n%s%s: %s", printable(strings.Join(names, ", ")), more, printable(text))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// details is names and values in two columns, in sections.
type details struct {
	lines [][2]string // a line without a name begins a section
}

func (d *details) section(name string) { d.lines = append(d.lines, [2]string{"", name}) }

// add leaves out what is not known.
func (d *details) add(name, value string) {
	if value != "" {
		d.lines = append(d.lines, [2]string{name, printable(value)})
	}
}

// counters adds every counter of a struct that is not zero, by its name in JSON:
// a counter that is new needs no change here.
func (d *details) counters(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		return // a struct of numbers
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var name string
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		switch token := token.(type) {
		case string:
			name = token
		case json.Number:
			if token != "0" {
				d.add(strings.ReplaceAll(name, "_", " "), token.String())
			}
		}
	}
}

// reasons is a section of counters by reason, of those that are not zero.
func (d *details) reasons(section string, counts map[string]uint64) {
	begun := false
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[why]; n > 0 {
			if !begun {
				d.section(section)
				begun = true
			}
			d.add(strings.ReplaceAll(why, "_", " "), fmt.Sprint(n))
		}
	}
}

func (d *details) write(w io.Writer) error {
	width := 0
	for _, l := range d.lines {
		width = max(width, utf8.RuneCountInString(l[0]))
	}
	var b strings.Builder
	for i, l := range d.lines {
		switch {
		case l[0] != "":
			fmt.Fprintf(&b, "  %-*s  %s\n", width, l[0], l[1])
		case i > 0:
			fmt.Fprintf(&b, "\n%s\n", l[1])
		default:
			fmt.Fprintf(&b, "%s\n", l[1])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
