package ppp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds a text from the peer, in octets. It is what one octet of
// length can carry in PAP, and what RADIUS carries in a Reply-Message.
const maxText = 253

// Printable makes a text that came from a peer fit to be shown or logged: at
// most 253 octets, valid UTF-8, and no control characters, so that it cannot
// steer a terminal or forge a line of a log. What is not printable becomes '?'.
// RFC 1661 section 5.5 and RFC 1994 section 4.2 leave such texts open: "It is
// intended to be human readable, and MUST NOT affect operation of the protocol."
func Printable(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			break
		}
		b.WriteRune(r)
		text = text[n:]
	}
	return strings.TrimSpace(b.String())
}
