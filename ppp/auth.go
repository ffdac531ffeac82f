package ppp

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"
)

// AuthMethod is one authentication protocol as LCP negotiates it: the protocol
// and, for CHAP, its algorithm (RFC 1661 section 6.2, RFC 1994 section 3).
type AuthMethod uint8

// The methods Link speaks. AuthNone is no authentication.
const (
	AuthNone AuthMethod = iota
	AuthPAP
	AuthCHAPMD5
	AuthMSCHAPv2
)

// CHAP's Algorithm field. RFC 1994 section 3: "5 CHAP with MD5"; RFC 2759
// section 2: "the Algorithm field has value 0x81, rather than the MD5 value 0x05."
const (
	chapMD5      = 0x05
	chapMSCHAPv2 = 0x81
)

// String is the method's name in configurations and logs.
func (m AuthMethod) String() string {
	switch m {
	case AuthNone:
		return "none"
	case AuthPAP:
		return "pap"
	case AuthCHAPMD5:
		return "chap-md5"
	case AuthMSCHAPv2:
		return "ms-chapv2"
	}
	return fmt.Sprintf("auth-%d", uint8(m))
}

// ParseAuthMethod is String's inverse; ok is false for a name it does not know.
func ParseAuthMethod(name string) (m AuthMethod, ok bool) {
	for m := AuthNone; m <= AuthMSCHAPv2; m++ {
		if m.String() == name {
			return m, true
		}
	}
	return AuthNone, false
}

// protocol is the method's Protocol field, 0 for AuthNone.
func (m AuthMethod) protocol() Protocol {
	switch m {
	case AuthPAP:
		return ProtoPAP
	case AuthCHAPMD5, AuthMSCHAPv2:
		return ProtoCHAP
	}
	return 0
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
	case AuthMSCHAPv2:
		dst = append(dst, LCPOptAuth, 5)
		return append(AppendProtocol(dst, ProtoCHAP), chapMSCHAPv2)
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
	case p == ProtoCHAP && len(data) == 3 && data[2] == chapMSCHAPv2:
		return AuthMSCHAPv2
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

// authRole is one end of one authentication protocol: the authenticator, or
// the peer that proves itself (RFC 1334 section 2, RFC 1994 section 2). A
// further protocol is one more pair of these and a line in startAuth.
type authRole interface {
	start(now time.Time)
	takes(p Protocol, c Code) bool // whether such a packet is for this role
	input(now time.Time, in Packet)
	tick(now time.Time)
	deadline() time.Time
}

// authenticator is the role that has the peer prove itself.
type authenticator interface {
	authRole
	result(now time.Time, ok bool, message string) // the owner's answer to its AuthRequest
}

// startAuth begins whatever authentication LCP settled on.
func (l *Link) startAuth(now time.Time) {
	switch m := l.lcp.want.auth; m {
	case AuthPAP:
		l.demand = &papAuthenticator{l: l}
	case AuthCHAPMD5, AuthMSCHAPv2:
		l.demand = &chapAuthenticator{l: l, method: m}
	}
	switch m := l.lcp.peer.auth; m {
	case AuthPAP:
		l.proof = &papPeer{l: l}
	case AuthCHAPMD5, AuthMSCHAPv2:
		l.proof = &chapPeer{l: l, method: m}
	}
	if l.demand != nil || l.proof != nil {
		l.authLimit = now.Add(l.cfg.AuthTimeout)
	}
	if l.demand != nil {
		l.demand.start(now)
	}
	if l.proof != nil {
		l.proof.start(now)
	}
}

func (l *Link) stopAuth() {
	l.demand, l.proof = nil, nil
	l.peerProved, l.weProved, l.peerName = false, false, ""
	l.authPending, l.authLimit = 0, time.Time{}
}

// authenticating reports whether p is in use to authenticate either end.
func (l *Link) authenticating(p Protocol) bool {
	return l.lcp.want.auth.protocol() == p || l.lcp.peer.auth.protocol() == p
}

func (l *Link) authInput(now time.Time, p Protocol, info []byte) {
	in, err := ParsePacket(info)
	switch {
	case err != nil:
		l.counters.Malformed++
	case l.demand != nil && l.demand.takes(p, in.Code):
		l.demand.input(now, in)
	case l.proof != nil && l.proof.takes(p, in.Code):
		l.proof.input(now, in)
	default:
		l.counters.Unexpected++
	}
}

func (l *Link) tickAuth(now time.Time) {
	if !l.authLimit.IsZero() && !now.Before(l.authLimit) {
		l.fail(now, ReasonAuthTimedOut, "")
		return
	}
	if l.demand != nil {
		l.demand.tick(now)
	}
	if l.proof != nil {
		l.proof.tick(now)
	}
}

// askAuth emits an AuthRequest.
func (l *Link) askAuth(r AuthRequest) {
	l.lastRequest++
	r.ID = l.lastRequest
	l.authPending = r.ID
	l.emit(r)
}

// AuthResult answers the AuthRequest id: whether the peer is who it says it
// is, and a text for it (at most 253 octets are sent). It reports whether the
// answer was still wanted; one that is late or given twice is ignored.
//
// With AuthMSCHAPv2 a good answer proves us to the peer as well, so its message
// has to be one that [AuthRequest.SuccessMessage] made: with any other the peer
// is refused. What RFC 2759 wants around the text of a refusal is put there.
func (l *Link) AuthResult(now time.Time, id uint32, ok bool, message string) bool {
	l.queue.begin()
	if id == 0 || id != l.authPending {
		return false
	}
	l.authPending = 0
	l.demand.result(now, ok, message[:min(len(message), maxText)])
	return true
}

// peerIsProved ends the peer's authentication well.
func (l *Link) peerIsProved(now time.Time, m AuthMethod, name string) {
	l.peerProved, l.peerName = true, name
	if l.network {
		l.authLimit = time.Time{}
	}
	l.emit(Authenticated{Method: m, Name: name})
	l.proceed(now)
}

// weAreProved ends ours well.
func (l *Link) weAreProved(now time.Time, m AuthMethod, message []byte) {
	l.weProved = true
	l.emit(Authenticated{Local: true, Method: m, Name: l.cfg.Name, Message: Printable(message)})
	l.proceed(now)
}
