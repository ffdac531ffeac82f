package ppp

// LineParams is how LCP says an async line is to be framed (RFC 1662), seen
// from this end of it: what the peer accepts from us, and what it sends.
// The zero value is not the default; see DefaultLineParams.
type LineParams struct {
	SendACCM uint32 // control characters to escape when sending to the peer
	RecvACCM uint32 // control characters to discard, unescaped, on receipt
	SendPFC  bool   // the peer accepts a Protocol field of one octet
	SendACFC bool   // the peer accepts frames without Address and Control
}

// defaultACCM: RFC 1662 section 7.1: the default ACCM is 0xffffffff.
const defaultACCM = 0xffffffff

// DefaultLineParams is a line on which nothing has been negotiated. It is for
// reading; nothing in this package depends on it.
var DefaultLineParams = defaultLineParams()

func defaultLineParams() LineParams {
	return LineParams{SendACCM: defaultACCM, RecvACCM: defaultACCM}
}
