//go:build !purego

#include "textflag.h"

// slide moves the octets of a register: PSHUFB with 16 octets of it from offset
// 16-k on moves them k places up, from 16+k on k places down, and fills with zeros.
DATA ·slide+0x00(SB)/8, $0x8080808080808080
DATA ·slide+0x08(SB)/8, $0x8080808080808080
DATA ·slide+0x10(SB)/8, $0x0706050403020100
DATA ·slide+0x18(SB)/8, $0x0f0e0d0c0b0a0908
DATA ·slide+0x20(SB)/8, $0x8080808080808080
DATA ·slide+0x28(SB)/8, $0x8080808080808080
GLOBL ·slide(SB), RODATA|NOPTR, $48

// func cpuid1() (ecx uint32)
TEXT ·cpuid1(SB), NOSPLIT, $0-4
	MOVL $1, AX
	XORL CX, CX
	CPUID
	MOVL CX, ecx+0(FP)
	RET
