package ppp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a text that we send, in octets. It is what one octet of length
// can carry in PAP, and what RADIUS carries in a Reply-Message.
const maxText = 253

// maxPrintable bounds in octets what Printable makes of a text.
const maxPrintable = 512

// Printable makes a text that came from a peer fit to be shown or logged, so
// that it cannot steer a terminal or forge a line of a log: white space of any
// kind becomes one space, what is not printable or not UTF-8 becomes U+FFFD, a
// final NUL goes, and over 512 octets are cut. RFC 1661 section 5.5 and RFC 1994
// section 4.2 leave such texts open: "It is intended to be human readable, and
// MUST NOT affect operation of the protocol."
func Printable(text []byte) string {
	var s strings.Builder
	for _, word := range strings.Fields(strings.TrimRight(string(text), "\x00")) {
		if s.Len() > 0 {
			s.WriteByte(' ')
		}
		for _, r := range word {
			if s.Len()+utf8.RuneLen(r) > maxPrintable {
				return strings.TrimRight(s.String(), " ")
			}
			if !unicode.IsPrint(r) {
				r = utf8.RuneError
			}
			s.WriteRune(r)
		}
	}
	return s.String()
}
