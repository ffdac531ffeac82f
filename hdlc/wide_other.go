//go:build !amd64 || purego

package hdlc

func fcs16(fcs uint16, b []byte) uint16 { return fcs16Slice(fcs, b) }

func escape(dst, b []byte, accm uint32) []byte { return escapeWords(dst, b, accm) }

func unescape(dst, src []byte, accm uint32) (n, taken int) { return unescapeWords(dst, src, accm) }
