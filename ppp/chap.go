package ppp

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"time"
)

// Codes of CHAP (RFC 1994 section 4).
const (
	chapChallenge Code = 1
	chapResponse  Code = 2
	chapSuccess   Code = 3
	chapFailure   Code = 4
)

// chapAuthenticator challenges the peer, once and then every Rechallenge.
type chapAuthenticator struct {
	l         *Link
	method    AuthMethod // AuthCHAPMD5 or AuthMSCHAPv2
	id        uint8
	challenge [md5.Size]byte
	tries     int
	next      time.Time // of the next Challenge, the same again or a new one; zero if there is none
	name      string    // who answered
	code      Code      // the answer to the Response to this challenge, once there is one
	message   string
}

func (a *chapAuthenticator) takes(p Protocol, c Code) bool {
	return p == ProtoCHAP && c == chapResponse
}
func (a *chapAuthenticator) deadline() time.Time { return a.next }

// start makes a new challenge. RFC 1994 section 2.3: "Each challenge value
// SHOULD be unique, since repetition of a challenge value in conjunction with
// the same secret would permit an attacker to reply with a previously
// intercepted response."
func (a *chapAuthenticator) start(now time.Time) {
	a.id = a.l.lcp.nextID()
	a.l.cfg.Random(a.challenge[:])
	a.tries, a.code, a.message = 0, 0, ""
	a.send(now)
}

func (a *chapAuthenticator) send(now time.Time) {
	data := append([]byte{byte(len(a.challenge))}, a.challenge[:]...)
	data = append(data, a.l.cfg.SystemName...)
	a.l.send(ProtoCHAP, Packet{chapChallenge, a.id, a.l.cut(data, HeaderLen)})
	a.tries++
	a.next = now.Add(a.l.cfg.Restart)
}

func (a *chapAuthenticator) tick(now time.Time) {
	switch {
	case a.next.IsZero() || now.Before(a.next):
	case a.code == chapSuccess:
		a.l.authLimit = now.Add(a.l.cfg.AuthTimeout)
		a.start(now)
	case a.tries < a.l.cfg.MaxConfigure:
		// The same challenge again, as a slow peer may answer the first
		// after the second was sent.
		a.send(now)
	default:
		a.l.fail(now, ReasonAuthTimedOut, "")
	}
}

// input takes a Response. RFC 1994 section 4.1: "any Response packets received
// having the current Challenge Identifier MUST return the same reply Code
// previously returned for that specific Challenge".
func (a *chapAuthenticator) input(now time.Time, in Packet) {
	value, name, ok := cutCounted(in.Data)
	switch {
	case !ok || len(value) == 0 || a.method == AuthMSCHAPv2 && len(value) != msResponseLen:
		a.l.counters.Malformed++
	case in.ID != a.id:
		a.l.counters.Stale++
	case a.code != 0:
		a.reply()
	case a.l.authPending != 0:
		a.l.counters.Unexpected++ // the owner is asked once
	case a.l.peerProved && string(name) != a.l.peerName:
		// What the peer was let in to have is bound to its name.
		a.result(now, false, "")
	default:
		a.next = time.Time{}
		a.name = string(name)
		a.l.askAuth(AuthRequest{
			Method: a.method, Name: a.name,
			CHAPID: a.id, Challenge: bytes.Clone(a.challenge[:]), Response: bytes.Clone(value),
		})
	}
}

func (a *chapAuthenticator) result(now time.Time, ok bool, message string) {
	if a.method == AuthMSCHAPv2 {
		_, _, proves := parseMSSuccess([]byte(message))
		if ok && !proves {
			ok, message = false, ""
		}
		if !ok {
			var again [msChallengeLen]byte
			a.l.cfg.Random(again[:])
			message = string(appendMSFailure(nil, again, message))
		}
	}
	a.message = message[:min(len(message), maxText)]
	if !ok {
		a.code, a.next = chapFailure, time.Time{}
		a.reply()
		a.l.fail(now, ReasonAuthFailed, "")
		return
	}
	a.code = chapSuccess
	a.reply()
	if a.l.cfg.Rechallenge > 0 {
		a.next = now.Add(a.l.cfg.Rechallenge)
	}
	a.l.peerIsProved(now, a.method, a.name)
}

func (a *chapAuthenticator) reply() {
	a.l.send(ProtoCHAP, Packet{a.code, a.id, a.l.cut([]byte(a.message), HeaderLen)})
}

// chapPeer answers challenges, at any time: RFC 1994 section 2: "At random
// intervals, the authenticator sends a new challenge to the peer".
type chapPeer struct {
	l         *Link
	method    AuthMethod // AuthCHAPMD5 or AuthMSCHAPv2
	id        uint8
	challenge []byte           // the last one
	response  []byte           // the Data that answers it, nil if there was none
	proof     [msProofLen]byte // MS-CHAPv2: what the authenticator has to know
	tries     int
	next      time.Time // when the Response is repeated; zero if none waits for an answer
}

func (p *chapPeer) start(time.Time) {} // the authenticator speaks first
func (p *chapPeer) takes(proto Protocol, c Code) bool {
	return proto == ProtoCHAP && (c == chapChallenge || c == chapSuccess || c == chapFailure)
}
func (p *chapPeer) deadline() time.Time { return p.next }

func (p *chapPeer) input(now time.Time, in Packet) {
	if in.Code == chapChallenge {
		p.challenged(now, in)
		return
	}
	if p.next.IsZero() || in.ID != p.id {
		p.l.counters.Stale++
		return
	}
	p.next = time.Time{}
	text := in.Data
	if p.method == AuthMSCHAPv2 {
		text = msText(text)
	}
	switch {
	case in.Code == chapFailure:
		p.l.fail(now, ReasonAuthDenied, Printable(text))
	case p.method == AuthMSCHAPv2 && !p.proved(in.Data):
		p.l.fail(now, ReasonAuthDenied, "the peer does not know our secret: its MS-CHAPv2 authenticator response is missing or wrong")
	default:
		p.l.weAreProved(now, p.method, text)
	}
}

// proved reports whether the Message of a Success shows that the authenticator
// knows our secret. RFC 2759 section 5: "If the authenticator response is either
// missing or incorrect, the peer MUST end the session."
func (p *chapPeer) proved(message []byte) bool {
	proof, _, ok := parseMSSuccess(message)
	return ok && subtle.ConstantTimeCompare(proof[:], p.proof[:]) == 1
}

func (p *chapPeer) challenged(now time.Time, in Packet) {
	value, _, ok := cutCounted(in.Data)
	if !ok || len(value) == 0 || p.method == AuthMSCHAPv2 && len(value) != msChallengeLen {
		p.l.counters.Malformed++
		return
	}
	// A peer that has our own challenge answered by ourselves would learn
	// what to send back (RFC 1994 warns of one secret for both directions).
	if a, ok := p.l.demand.(*chapAuthenticator); ok && bytes.Equal(value, a.challenge[:]) {
		p.l.counters.Unexpected++
		return
	}
	// A Challenge that comes again gets the same Response: with MS-CHAPv2 a new
	// one would not fit the Success that is under way to the first.
	if p.response == nil || in.ID != p.id || !bytes.Equal(value, p.challenge) {
		p.id, p.challenge = in.ID, append(p.challenge[:0], value...)
		p.respond()
	}
	p.tries = 0
	p.send(now)
}

// respond makes the Response to the challenge.
func (p *chapPeer) respond() {
	c := &p.l.cfg
	p.response = p.response[:0]
	switch p.method {
	case AuthMSCHAPv2:
		var peer [msChallengeLen]byte
		c.Random(peer[:])
		hash, challenge := NTHash(c.Secret), challengeHash(peer[:], p.challenge, c.Name)
		response := ntResponse(challenge, hash)
		p.proof = authenticatorResponse(hash, response[:], challenge)
		p.response = appendMSResponse(append(p.response, msResponseLen), peer, response)
	default:
		digest := CHAPMD5(p.id, c.Secret, p.challenge)
		p.response = append(append(p.response, byte(len(digest))), digest[:]...)
	}
	p.response = append(p.response, c.Name...)
}

func (p *chapPeer) send(now time.Time) {
	p.l.send(ProtoCHAP, Packet{chapResponse, p.id, p.l.cut(p.response, HeaderLen)})
	p.tries++
	p.next = now.Add(p.l.cfg.Restart)
}

// tick repeats the Response, since Success may have been lost: RFC 1994
// section 4.1 has the authenticator answer it again.
func (p *chapPeer) tick(now time.Time) {
	switch {
	case p.next.IsZero() || now.Before(p.next):
	case p.tries < p.l.cfg.MaxConfigure:
		p.send(now)
	case p.l.weProved:
		// Whether a later challenge is answered well enough is for the
		// authenticator to say: it would end the link. Some say nothing.
		p.next = time.Time{}
	default:
		p.l.fail(now, ReasonAuthTimedOut, "")
	}
}
