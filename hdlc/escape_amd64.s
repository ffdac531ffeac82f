//go:build !purego

#include "textflag.h"

// An octet is special if it is a flag, an escape or a control character that the
// ACCM names. Each half of it is looked up: the low half says in which of three
// rows (0x, 1x and 7x) the octet would be special, a bit a row, the high half
// which row the octet is in.
DATA rows<>+0x00(SB)/8, $0x0400000000000201 // of high halves 0, 1 and 7
DATA rows<>+0x08(SB)/8, $0x0000000000000000
GLOBL rows<>(SB), RODATA|NOPTR, $16

DATA row7<>+0x00(SB)/8, $0x0000000000000000
DATA row7<>+0x08(SB)/8, $0x0004040000000000 // 7d and 7e
GLOBL row7<>(SB), RODATA|NOPTR, $16

// The ACCM's octets, each spread over eight, and the bit that each of them takes.
DATA spread0<>+0x00(SB)/8, $0x0000000000000000
DATA spread0<>+0x08(SB)/8, $0x0101010101010101
GLOBL spread0<>(SB), RODATA|NOPTR, $16

DATA spread1<>+0x00(SB)/8, $0x0202020202020202
DATA spread1<>+0x08(SB)/8, $0x0303030303030303
GLOBL spread1<>(SB), RODATA|NOPTR, $16

DATA bits<>+0x00(SB)/8, $0x8040201008040201
DATA bits<>+0x08(SB)/8, $0x8040201008040201
GLOBL bits<>(SB), RODATA|NOPTR, $16

#define SPLAT(NAME, OCTETS) \
	DATA NAME<>+0x00(SB)/8, OCTETS; \
	DATA NAME<>+0x08(SB)/8, OCTETS; \
	GLOBL NAME<>(SB), RODATA|NOPTR, $16

SPLAT(escapes, $0x7d7d7d7d7d7d7d7d)
SPLAT(flips, $0x2020202020202020)
SPLAT(halves, $0x0f0f0f0f0f0f0f0f)
SPLAT(row0, $0x0101010101010101)
SPLAT(row1, $0x0202020202020202)

// CONSTANTS loads what CLASSIFY needs: X15 what a low half says, for the ACCM in
// AX, X14 the rows, X13 halves, X12 zero, X11 escapes, X10 flips.
#define CONSTANTS \
	MOVQ    AX, X15; \
	MOVO    X15, X14; \
	MOVOU   spread0<>(SB), X0; \
	MOVOU   spread1<>(SB), X1; \
	MOVOU   bits<>(SB), X2; \
	PSHUFB  X0, X15; \
	PSHUFB  X1, X14; \
	PAND    X2, X15; \
	PAND    X2, X14; \
	PCMPEQB X2, X15; \
	PCMPEQB X2, X14; \
	MOVOU   row0<>(SB), X0; \
	MOVOU   row1<>(SB), X1; \
	PAND    X0, X15; \
	PAND    X1, X14; \
	POR     X14, X15; \
	MOVOU   row7<>(SB), X0; \
	POR     X0, X15; \
	MOVOU   rows<>(SB), X14; \
	MOVOU   halves<>(SB), X13; \
	PXOR    X12, X12; \
	MOVOU   escapes<>(SB), X11; \
	MOVOU   flips<>(SB), X10

// CLASSIFY sets each octet of OUT to ff where that of IN is ordinary and to 00
// where it is special. (PSHUFB gives zero for an octet from 80 on, which is
// right.) TMP is lost.
#define CLASSIFY(IN, OUT, TMP) \
	MOVO    IN, TMP; \
	PSRLW   $4, TMP; \
	PAND    X13, TMP; \
	MOVO    X14, OUT; \
	PSHUFB  TMP, OUT; \
	MOVO    X15, TMP; \
	PSHUFB  IN, TMP; \
	PAND    TMP, OUT; \
	PCMPEQB X12, OUT

// REST loads the CX octets at SI, under 16, which have more than 16 before and in
// them, with zeros behind.
#define REST(OUT, TMP) \
	LEAQ   ·slide(SB), DX; \
	SUBQ   CX, DX; \
	MOVOU  32(DX), TMP; \
	MOVOU  -16(SI)(CX*1), OUT; \
	PSHUFB TMP, OUT

// func escapeBlocks(dst, src []byte, accm uint32, shuffles *[256][16]byte) (n, taken int)
//
// SI and R11 are where to read and the last place from which 16 octets can be
// read; DI and R12 where to write and the last place for 32. R13 is how many
// octets of the block do not count.
TEXT ·escapeBlocks(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), R12
	MOVQ src_base+24(FP), SI
	MOVQ src_len+32(FP), R11
	MOVL accm+48(FP), AX
	MOVQ shuffles+56(FP), R8
	CMPQ R11, $16
	JB   done
	CMPQ R12, $32
	JB   done
	CONSTANTS
	LEAQ -16(SI)(R11*1), R11
	LEAQ -32(DI)(R12*1), R12
	XORL R13, R13

block:
	MOVOU    (SI), X0
	ADDQ     $16, SI
	CLASSIFY(X0, X1, X2)
	PMOVMSKB X1, AX
	XORL     $0xffff, AX      // a bit for each special octet
	JNZ      spread
	MOVOU    X0, (DI)
	ADDQ     $16, DI

next:
	CMPQ DI, R12
	JA   done
	CMPQ SI, R11
	JBE  block

	// The rest of src goes the same way, once.
	MOVQ     R11, CX
	ADDQ     $16, CX
	SUBQ     SI, CX
	JZ       done
	REST(X0, X1)
	ADDQ     CX, SI
	CLASSIFY(X0, X1, X2)
	PMOVMSKB X1, AX
	XORL     $0xffff, AX
	MOVL     $16, R13
	SUBQ     CX, R13
	MOVL     $1, BX
	SHLL     CX, BX
	DECL     BX
	ANDL     BX, AX

	// Every octet gets an Escape before it, and a shuffle drops those that are not
	// wanted: eight octets become eight to sixteen. What is written behind them is
	// overwritten by the next.
spread:
	PANDN     X10, X1
	PXOR      X0, X1
	MOVO      X11, X2
	MOVO      X11, X3
	PUNPCKLBW X1, X2
	PUNPCKHBW X1, X3
	MOVBLZX   AX, BX
	SHRL      $8, AX
	POPCNTL   BX, R9
	POPCNTL   AX, R10
	SHLL      $4, BX
	SHLL      $4, AX
	MOVOU     (R8)(BX*1), X4
	MOVOU     (R8)(AX*1), X5
	PSHUFB    X4, X2
	PSHUFB    X5, X3
	MOVOU     X2, (DI)
	MOVOU     X3, 8(DI)(R9*1)
	ADDQ      R9, R10
	LEAQ      16(DI)(R10*1), DI
	TESTL     R13, R13
	JZ        next
	SUBQ      R13, DI

done:
	SUBQ dst_base+0(FP), DI
	MOVQ DI, n+64(FP)
	SUBQ src_base+24(FP), SI
	MOVQ SI, taken+72(FP)
	RET

// func unescapeBlocks(dst, src []byte, accm uint32, shuffles *[256][8]byte) (n, taken int)
//
// SI and R11 are where to read and the last place from which 16 octets can be
// read; DI and R12 the same for writing. X9 is ff where the block before this
// one had an Escape. R13 has a bit for each octet of the block that is not there.
TEXT ·unescapeBlocks(SB), NOSPLIT, $0-80
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), R12
	MOVQ src_base+24(FP), SI
	MOVQ src_len+32(FP), R11
	MOVL accm+48(FP), AX
	MOVQ shuffles+56(FP), R8
	CMPQ R11, $16
	JB   done                 // nil too: below it there is no address
	CMPQ R12, $16
	JB   done
	CONSTANTS
	LEAQ -16(SI)(R11*1), R11
	LEAQ -16(DI)(R12*1), R12
	PXOR X9, X9
	XORL R13, R13

block:
	MOVOU   (SI), X0

classify:
	CLASSIFY(X0, X1, X2)
	MOVO    X0, X3
	PCMPEQB X11, X3            // X3: an Escape
	MOVO    X3, X4
	PALIGNR $15, X9, X4        // X4: behind an Escape
	MOVO    X3, X9

	// An Escape with none before it is no reason to stop; any other special octet is.
	MOVO     X4, X5
	PANDN    X3, X5
	POR      X1, X5
	PMOVMSKB X5, AX
	PMOVMSKB X3, BX
	XORL     $0xffff, AX
	ORL      R13, AX
	JNZ      stop
	ADDQ     $16, SI
	TESTL    BX, BX
	JNZ      gather
	PAND     X10, X4
	PXOR     X4, X0
	MOVOU    X0, (DI)
	ADDQ     $16, DI

next:
	CMPQ DI, R12
	JA   last
	CMPQ SI, R11
	JBE  block

	// The rest of src goes the same way, to a stop at its end.
	MOVQ R11, CX
	ADDQ $16, CX
	SUBQ SI, CX
	JZ   last
	REST(X0, X1)
	MOVL $-1, R13
	SHLL CX, R13
	JMP  classify

last:
	// An Escape that the last block ended with is left for the caller.
	PMOVMSKB X9, BX
	SHRL     $15, BX
	SUBQ     BX, SI
	JMP      done

	// A shuffle drops the Escapes, from eight octets at a time.
gather:
	PAND    X10, X4
	PXOR    X4, X0
	MOVO    X0, X1
	PSRLO   $8, X1
	MOVBLZX BX, AX
	SHRL    $8, BX
	POPCNTL AX, R9
	POPCNTL BX, R10
	MOVQ    (R8)(AX*8), X4
	MOVQ    (R8)(BX*8), X5
	PSHUFB  X4, X0
	PSHUFB  X5, X1
	MOVQ    X0, (DI)
	NEGQ    R9
	MOVQ    X1, 8(DI)(R9*1)
	SUBQ    R10, R9
	LEAQ    16(DI)(R9*1), DI
	JMP     next

	// CX octets come before the one to stop at. The last of them is left for the
	// caller too if it is an Escape.
stop:
	BSFL     AX, CX
	PMOVMSKB X4, DX
	SHRL     CX, DX
	ANDL     $1, DX           // left for the caller too
	ADDQ     CX, SI
	SUBQ     DX, SI
	MOVL     $1, AX
	SHLL     CX, AX
	DECL     AX
	ANDL     BX, AX
	POPCNTL  AX, R10          // Escapes among the CX octets
	PAND     X10, X4
	PXOR     X4, X0
	MOVO     X0, X1
	PSRLO    $8, X1
	MOVBLZX  BX, AX
	SHRL     $8, BX
	POPCNTL  AX, R9
	MOVQ     (R8)(AX*8), X4
	MOVQ     (R8)(BX*8), X5
	PSHUFB   X4, X0
	PSHUFB   X5, X1
	NEGQ     R9
	MOVQ     X0, (DI)
	MOVQ     X1, 8(DI)(R9*1)
	ADDQ     CX, DI
	SUBQ     R10, DI

done:
	SUBQ dst_base+0(FP), DI
	MOVQ DI, n+64(FP)
	SUBQ src_base+24(FP), SI
	MOVQ SI, taken+72(FP)
	RET
