package ppp

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// AuthMethod is one authentication protocol as LCP negotiates it: the protocol
// and, for CHAP, its algorithm (RFC 1661 section 6.2, RFC 1994 section 3).
type AuthMethod uint8

// The methods Link speaks. AuthNone is no authentication.
const (
	AuthNone AuthMethod = iota
	AuthPAP
	AuthCHAPMD5
)

// chapMD5 is CHAP's Algorithm field. RFC 1994 section 3: "5 CHAP with MD5".
const chapMD5 = 5

// String is the method's name in configurations and logs.
func (m AuthMethod) String() string {
	switch m {
	case AuthNone:
		return "none"
	case AuthPAP:
		return "pap"
	case AuthCHAPMD5:
		return "chap-md5"
	}
	return fmt.Sprintf("auth-%d", uint8(m))
}

// ParseAuthMethod is String's inverse; ok is false for a name it does not know.
func ParseAuthMethod(name string) (m AuthMethod, ok bool) {
	for m := AuthNone; m <= AuthCHAPMD5; m++ {
		if m.String() == name {
			return m, true
		}
	}
	return AuthNone, false
}

// appendOption appends the Authentication-Protocol option that asks for m.
func (m AuthMethod) appendOption(dst []byte) []byte {
	switch m {
	case AuthPAP:
		dst = append(dst, LCPOptAuth, 4)
		return AppendProtocol(dst, ProtoPAP)
	case AuthCHAPMD5:
		dst = append(dst, LCPOptAuth, 5)
		return append(AppendProtocol(dst, ProtoCHAP), chapMD5)
	}
	return dst
}

// parseAuthOption reads the Data of an Authentication-Protocol option.
// A protocol or an algorithm it does not know is AuthNone.
func parseAuthOption(data []byte) AuthMethod {
	if len(data) < 2 {
		return AuthNone
	}
	switch p := Protocol(binary.BigEndian.Uint16(data)); {
	case p == ProtoPAP && len(data) == 2:
		return AuthPAP
	case p == ProtoCHAP && len(data) == 3 && data[2] == chapMD5:
		return AuthCHAPMD5
	}
	return AuthNone
}

// CHAPMD5 is the Response Value of CHAP with MD5. RFC 1994 section 4.1: "the
// one-way hash calculated over a stream of octets consisting of the
// Identifier, followed by (concatenated with) the "secret", followed by
// (concatenated with) the Challenge Value."
func CHAPMD5(id uint8, secret string, challenge []byte) [md5.Size]byte {
	b := make([]byte, 0, 1+len(secret)+len(challenge))
	b = append(b, id)
	b = append(b, secret...)
	return md5.Sum(append(b, challenge...))
}

// VerifyCHAPMD5 reports, in constant time, whether response answers challenge
// under the identifier id as one who knows secret would (RFC 1994 section 4.1).
func VerifyCHAPMD5(id uint8, secret string, challenge, response []byte) bool {
	want := CHAPMD5(id, secret, challenge)
	return subtle.ConstantTimeCompare(want[:], response) == 1
}
