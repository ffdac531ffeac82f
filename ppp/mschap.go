package ppp

import (
	"bytes"
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Microsoft's CHAP, version 2 (RFC 2759): the algorithm, and the texts by which
// it answers. The exchange itself is CHAP's, in chap.go.

// Lengths of RFC 2759 sections 3 to 5, in octets.
const (
	msChallengeLen = 16
	msResponseLen  = msChallengeLen + 8 + ntResponseLen + 1 // Peer-Challenge, Reserved, NT-Response, Flags
	ntResponseLen  = 24
	msProofLen     = sha1.Size // the authenticator's response
)

// NTHash is the hash of a password that MS-CHAPv2 works with (RFC 2759 section
// 8.3, NtPasswordHash): MD4 over it in UTF-16, low octets first. Who has it can
// authenticate without the password, so it is as secret as that.
func NTHash(password string) [16]byte {
	b := make([]byte, 0, 2*len(password))
	for _, u := range utf16.Encode([]rune(password)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return md4(b)
}

// challengeHash is the challenge that is answered: that of both ends and the
// user's name. RFC 2759 section 8.2: "Only the user name (as presented by the
// peer and excluding any prepended domain name) is used as input".
func challengeHash(peer, authenticator []byte, name string) [8]byte {
	h := sha1.New()
	h.Write(peer)
	h.Write(authenticator)
	h.Write([]byte(name[strings.LastIndexByte(name, '\\')+1:]))
	return [8]byte(h.Sum(nil))
}

// ntResponse proves knowledge of the NT hash (RFC 2759 section 8.5,
// ChallengeResponse): the challenge, encrypted by each third of the hash, which
// zeros bring to 21 octets.
func ntResponse(challenge [8]byte, hash [16]byte) (response [ntResponseLen]byte) {
	var keys [21]byte
	copy(keys[:], hash[:])
	for i := range 3 {
		key := desKey([7]byte(keys[7*i:]))
		block, _ := des.NewCipher(key[:]) // never fails: the key has 8 octets
		block.Encrypt(response[8*i:], challenge[:])
	}
	return response
}

// desKey spreads 56 bits over the upper 7 of each octet. RFC 2759 section 8.6:
// DES ignores the lowest, the parity bit.
func desKey(k [7]byte) (key [8]byte) {
	var v uint64
	for _, b := range k {
		v = v<<8 | uint64(b)
	}
	for i := range key {
		key[i] = byte(v>>(49-7*i)) << 1
	}
	return key
}

// Constants of RFC 2759 section 8.7.
const (
	msMagic1 = "Magic server to client signing constant"
	msMagic2 = "Pad to make it do more than one iteration"
)

// authenticatorResponse proves to the peer that its authenticator knows the NT
// hash, too (RFC 2759 section 8.7, GenerateAuthenticatorResponse).
func authenticatorResponse(hash [16]byte, response []byte, challenge [8]byte) [msProofLen]byte {
	hashHash := md4(hash[:])
	h := sha1.New()
	h.Write(hashHash[:])
	h.Write(response)
	h.Write([]byte(msMagic1))
	digest := h.Sum(nil)
	h.Reset()
	h.Write(digest)
	h.Write(challenge[:])
	h.Write([]byte(msMagic2))
	return [msProofLen]byte(h.Sum(nil))
}

// appendMSResponse appends the Value of a Response. RFC 2759 section 4: "16
// octets: Peer-Challenge, 8 octets: Reserved, must be zero, 24 octets:
// NT-Response, 1 octet: Flags".
func appendMSResponse(dst []byte, peer [msChallengeLen]byte, response [ntResponseLen]byte) []byte {
	dst = append(dst, peer[:]...)
	dst = append(dst, make([]byte, 8)...)
	dst = append(dst, response[:]...)
	return append(dst, 0)
}

// parseMSResponse reads the Value of a Response. What has to be zero is not
// looked at: nothing depends on it.
func parseMSResponse(value []byte) (peer, response []byte, ok bool) {
	if len(value) != msResponseLen {
		return nil, nil, false
	}
	return value[:msChallengeLen], value[msChallengeLen+8 : msResponseLen-1], true
}

// msProve checks r, a Response to MS-CHAPv2, against the NT hash of the secret,
// in constant time, and makes the authenticator's own proof.
func (r AuthRequest) msProve(hash [16]byte) (proof [msProofLen]byte, ok bool) {
	peer, response, ok := parseMSResponse(r.Response)
	if !ok {
		return proof, false
	}
	challenge := challengeHash(peer, r.Challenge, r.Name)
	want := ntResponse(challenge, hash)
	return authenticatorResponse(hash, response, challenge), subtle.ConstantTimeCompare(want[:], response) == 1
}

// appendMSSuccess appends the Message of a Success. RFC 2759 section 5:
// "S=<auth_string> M=<message>", where the former is "a 20 octet number encoded
// in ASCII as 40 hexadecimal digits. The hexadecimal digits A-F (if present)
// MUST be uppercase."
func appendMSSuccess(dst []byte, proof [msProofLen]byte, text string) []byte {
	return fmt.Appendf(dst, "S=%X M=%s", proof, text)
}

// parseMSSuccess reads the Message of a Success; ok is false if the
// authenticator proves nothing. The text is what follows "M=": there are servers
// that send no space in front of that, and such as send no text.
func parseMSSuccess(message []byte) (proof [msProofLen]byte, text []byte, ok bool) {
	const end = len("S=") + 2*msProofLen
	if len(message) < end || string(message[:2]) != "S=" {
		return proof, nil, false
	}
	if _, err := hex.Decode(proof[:], message[2:end]); err != nil {
		return proof, nil, false
	}
	return proof, msText(message), true
}

// appendMSFailure appends the Message of a Failure. RFC 2759 section 6:
// "E=eeeeeeeeee R=r C=cccccccccccccccccccccccccccccccc V=vvvvvvvvvv M=<msg>".
// 691 is ERROR_AUTHENTICATION_FAILURE, R=0 allows no second try, and version 3
// of the password change protocol is what belongs to MS-CHAPv2. The challenge
// would be for a second try; it "MUST be present".
func appendMSFailure(dst []byte, challenge [msChallengeLen]byte, text string) []byte {
	return fmt.Appendf(dst, "E=691 R=0 C=%X V=3 M=%s", challenge, text)
}

// msText is what of a Success or Failure is for human eyes. MS-CHAP of either
// version puts fields for the machine in front: of those the error code stays;
// the authenticator's proof and challenge go.
func msText(message []byte) []byte {
	fields, text, hasText := bytes.Cut(message, []byte("M="))
	code, _, _ := bytes.Cut(fields, []byte(" "))
	switch {
	case bytes.HasPrefix(code, []byte("S=")):
		return text
	case !bytes.HasPrefix(code, []byte("E=")):
		return message
	case !hasText || len(text) == 0:
		return code
	}
	return append(append(bytes.Clone(code), ' '), text...)
}
