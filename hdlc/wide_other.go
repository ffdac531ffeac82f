//go:build !amd64 || purego

package hdlc

func fcs16(fcs uint16, b []byte) uint16 { return fcs16Slice(fcs, b) }
