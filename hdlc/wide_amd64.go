//go:build !purego

package hdlc

// On amd64, octets are looked at sixteen at a time and the FCS is multiplied,
// not looked up, in assembler, where the processor can. With the build tag
// purego, and on other machines, all is done in Go.

// wide says that the processor has all instructions that the assembler uses.
// They need no more of the system than any program does: no wider registers.
var wide = cpuid1()&wideFeatures == wideFeatures

// wideFeatures are bits of ECX that CPUID gives for leaf 1: PCLMULQDQ, SSSE3
// (PSHUFB, PALIGNR) and POPCNT. Processors have them since about 2010.
const wideFeatures = 1<<1 | 1<<9 | 1<<23

// cpuid1 is ECX of CPUID, leaf 1.
func cpuid1() (ecx uint32)

// fcs16 is FCS16.
func fcs16(fcs uint16, b []byte) uint16 {
	if wide && len(b) >= 16 {
		return fcs16Fold(fcs, b)
	}
	return fcs16Slice(fcs, b)
}

// escape is escapeWords with wider words.
func escape(dst, b []byte, accm uint32) []byte {
	if wide {
		n, taken := escapeBlocks(dst[len(dst):cap(dst)], b, accm, &spreads)
		dst, b = dst[:len(dst)+n], b[taken:]
	}
	return escapeWords(dst, b, accm)
}

// unescape is unescapeWords with wider words.
func unescape(dst, src []byte, accm uint32) (n, taken int) {
	if wide {
		n, taken = unescapeBlocks(dst, src, accm, &gathers)
		if len(src) >= 16 && len(dst)-n >= 16 {
			// It stopped where it had to, not for want of room. At 7d 7d, the words go
			// on, and for a stretch, lest a line full of that comes here for each.
			if rest := src[taken:]; len(rest) < 2 || rest[0] != Escape || rest[1] != Escape {
				return n, taken
			}
			src = src[:min(len(src), taken+64)]
		}
	}
	m, t := unescapeWords(dst[n:], src[taken:], accm)
	return n + m, taken + t
}
