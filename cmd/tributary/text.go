package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// printable is s fit for a terminal: users and access concentrators choose some
// of what is shown, and what is no printable character is shown as an escape.
// That includes characters that reorder text.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch _, n := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// quoted is printable, in quotes if it is not one plain word.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " =\"\\") || printable(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// octets is a count in at most five characters.
func octets(n uint64) string {
	if n < 10_000 {
		return strconv.FormatUint(n, 10)
	}
	v := float64(n)
	for _, unit := range "kMGTPE" {
		v /= 1000
		switch {
		case v < 99.95:
			return fmt.Sprintf("%.1f%c", v, unit)
		case v < 9999.5:
			return fmt.Sprintf("%.0f%c", v, unit)
		}
	}
	return fmt.Sprintf("%.0fE", v)
}

// age is how long ago that was, in the two units that matter.
func age(now, then time.Time) string {
	if then.IsZero() {
		return ""
	}
	s := int64(max(now.Sub(then), 0) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
