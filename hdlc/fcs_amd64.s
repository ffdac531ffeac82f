//go:build !purego

#include "textflag.h"

// FOLD moves the polynomial in X on by the distance that the constants in K
// stand for. TMP is lost.
#define FOLD(K, X, TMP) \
	MOVO X, TMP; \
	PCLMULQDQ $0x00, K, TMP; \
	PCLMULQDQ $0x11, K, X; \
	PXOR TMP, X

// FOLDIN folds X and adds the 16 octets at OFF from SI.
#define FOLDIN(K, X, TMP, OFF) \
	MOVOU OFF(SI), X8; \
	FOLD(K, X, TMP); \
	PXOR X8, X

// func fcs16Fold(fcs uint16, b []byte) uint16
//
// X0 is all of the message so far, as far as its FCS goes. With X1 to X3 it is
// so in four interleaved parts, for a multiplication takes longer than it takes
// to begin the next.
TEXT ·fcs16Fold(SB), NOSPLIT, $0-34
	MOVWLZX fcs+0(FP), AX
	MOVQ    b_base+8(FP), SI
	MOVQ    b_len+16(FP), CX
	MOVQ    AX, X1
	MOVOU   (SI), X0
	PXOR    X1, X0
	CMPQ    CX, $128
	JB      one

	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	MOVOU ·fcsFold64(SB), X7
	ADDQ  $64, SI
	SUBQ  $64, CX

four:
	FOLDIN(X7, X0, X4, 0)
	FOLDIN(X7, X1, X5, 16)
	FOLDIN(X7, X2, X6, 32)
	FOLDIN(X7, X3, X4, 48)
	ADDQ $64, SI
	SUBQ $64, CX
	CMPQ CX, $64
	JAE  four

	MOVOU ·fcsFold16(SB), X7
	FOLD(X7, X0, X4)
	PXOR  X1, X0
	FOLD(X7, X0, X4)
	PXOR  X2, X0
	FOLD(X7, X0, X4)
	PXOR  X3, X0
	CMPQ  CX, $16
	JB    rest
	JMP   blocks

one:
	MOVOU ·fcsFold16(SB), X7
	ADDQ  $16, SI
	SUBQ  $16, CX
	CMPQ  CX, $16
	JB    rest

blocks:
	FOLDIN(X7, X0, X4, 0)
	ADDQ $16, SI
	SUBQ $16, CX
	CMPQ CX, $16
	JAE  blocks

	// CX octets are left, under 16. X0 and they are cut at the other end: its
	// first CX octets become a block of their own (X1), its others and the rest of
	// the message (X2) the block behind that.
rest:
	TESTQ   CX, CX
	JZ      reduce
	LEAQ    ·slide(SB), DX
	MOVOU   (DX)(CX*1), X4
	MOVOU   16(DX)(CX*1), X5
	MOVOU   -16(SI)(CX*1), X2
	MOVO    X0, X1
	PSHUFB  X4, X1
	PSHUFB  X5, X0
	PCMPEQB X6, X6
	PCMPGTB X6, X4            // ff where the slide has an octet, 00 where it has 80
	PAND    X4, X2
	POR     X2, X0
	FOLD(X7, X1, X6)
	PXOR    X1, X0

	// 128 bits and the 16 zeros that a remainder is taken with: to 80 bits, then
	// to 64.
reduce:
	MOVOU     ·fcsFoldLast(SB), X7
	MOVO      X0, X1
	PCLMULQDQ $0x00, X7, X1
	PSRLO     $8, X0
	PSLLO     $6, X0
	PXOR      X1, X0
	MOVO      X0, X1
	PCLMULQDQ $0x10, X7, X1
	PXOR      X1, X0
	PSRLO     $8, X0

	// Barrett: the quotient by multiplication with the inverse, 48 bits of it; what
	// the quotient times the polynomial leaves of X0 is the remainder, on top.
	MOVOU     ·fcsBarrett(SB), X7
	MOVO      X0, X1
	PCLMULQDQ $0x00, X7, X1
	PSLLQ     $16, X1
	PSRLQ     $16, X1
	PCLMULQDQ $0x10, X7, X1
	PXOR      X1, X0
	PEXTRW    $3, X0, AX
	MOVW      AX, ret+32(FP)
	RET
