package pppoe

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds in octets what PrintableText makes of one tag.
const maxText = 512

// PrintableText is the text in a tag from a stranger, made fit for terminals
// and logs: white space of any kind becomes one space, what is not printable
// or not UTF-8 becomes U+FFFD, a final NUL goes, and over 512 octets are cut.
func PrintableText(b []byte) string {
	var s strings.Builder
	for _, word := range strings.Fields(strings.TrimRight(string(b), "\x00")) {
		if s.Len() > 0 {
			s.WriteByte(' ')
		}
		for _, r := range word {
			if s.Len()+utf8.RuneLen(r) > maxText {
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

// errorTags in the order in which they explain a refusal best.
var errorTags = [...]TagType{TagServiceNameError, TagACSystemError, TagGenericError}

// ErrorText finds the first error tag of p (RFC 2516 appendix A) and returns
// its text, fit for terminals. RFC 2516: "If there is data, and the first
// octet of the data is nonzero, then it MUST be a printable UTF-8 string which
// explains why the request was denied." Where there is none, the text is the
// tag's name. ok is false if p has no error tag.
func (p Packet) ErrorText() (text string, ok bool) {
	for _, t := range errorTags {
		data, found := p.Find(t)
		if !found {
			continue
		}
		ok = true
		if len(data) > 0 && data[0] != 0 {
			if s := PrintableText(data); s != "" {
				return s, true
			}
		}
		if text == "" {
			text = t.String()
		}
	}
	return text, ok
}

// maxPayload is the value of the PPP-Max-Payload tag, 0 if there is none or it
// is ill-formed.
func (p Packet) maxPayload() int {
	data, _ := p.Find(TagMaxPayload)
	if len(data) != 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(data))
}

// maxPayloadTag says how large a PPP payload n we can take (RFC 4638).
func maxPayloadTag(n int) Tag {
	return Tag{Type: TagMaxPayload, Data: binary.BigEndian.AppendUint16(nil, uint16(n))}
}

// agreePayload is what two ends may use: RFC 4638 where both said more than
// 1492, else RFC 2516.
func agreePayload(ours, theirs int) int {
	if n := min(ours, theirs); n > DefaultMaxPayload {
		return n
	}
	return DefaultMaxPayload
}
