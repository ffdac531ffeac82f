package ppp

import (
	"bytes"
	"time"
)

// Codes of PAP (RFC 1334 section 2.2).
const (
	papRequest Code = 1
	papAck     Code = 2
	papNak     Code = 3
)

// papAuthenticator has the peer send a name and a password.
type papAuthenticator struct {
	l       *Link
	id      uint8  // of the last request
	request []byte // what was asked of the owner
	code    Code   // the answer, once there is one
	message string
}

func (a *papAuthenticator) start(time.Time)               {} // RFC 1334 section 2: the peer speaks first
func (a *papAuthenticator) takes(p Protocol, c Code) bool { return p == ProtoPAP && c == papRequest }
func (a *papAuthenticator) tick(time.Time)                {}
func (a *papAuthenticator) deadline() time.Time           { return time.Time{} }

// input takes an Authenticate-Request. RFC 1334 section 2.2.1: "Because the
// Authenticate-Ack might be lost, the authenticator MUST allow repeated
// Authenticate-Request packets after completing the Authentication phase."
// They get the same answer, whatever is in them, so that nobody can go on guessing.
func (a *papAuthenticator) input(_ time.Time, in Packet) {
	name, password, ok := parsePAPRequest(in.Data)
	switch {
	case !ok:
		a.l.counters.Malformed++
	case a.code != 0:
		a.id = in.ID
		a.reply()
	case a.l.authPending == 0:
		a.id, a.request = in.ID, bytes.Clone(in.Data)
		a.l.askAuth(AuthRequest{Method: AuthPAP, Name: string(name), Password: string(password)})
	case bytes.Equal(in.Data, a.request):
		a.id = in.ID // the answer is for the latest
	default:
		a.l.counters.Unexpected++ // the owner is asked about one name at a time
	}
}

func (a *papAuthenticator) result(now time.Time, ok bool, message string) {
	a.message = message
	if !ok {
		a.code = papNak
		a.reply()
		a.l.fail(now, ReasonAuthFailed, "")
		return
	}
	a.code = papAck
	a.reply()
	name, _, _ := parsePAPRequest(a.request)
	a.l.peerIsProved(now, AuthPAP, string(name))
}

func (a *papAuthenticator) reply() {
	message := a.l.cut([]byte(a.message), HeaderLen+1)
	a.l.send(ProtoPAP, Packet{a.code, a.id, append([]byte{byte(len(message))}, message...)})
}

// parsePAPRequest reads the Data of an Authenticate-Request: two strings, each
// behind one octet with its length (RFC 1334 section 2.2.1).
func parsePAPRequest(b []byte) (name, password []byte, ok bool) {
	name, b, ok = cutCounted(b)
	if !ok {
		return nil, nil, false
	}
	password, _, ok = cutCounted(b)
	return name, password, ok
}

// cutCounted takes off the front of b a string and the octet that has its length.
func cutCounted(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, b, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// papPeer sends our name and password until there is an answer.
type papPeer struct {
	l       *Link
	firstID uint8
	tries   int
	next    time.Time // of the next request; zero once answered
}

func (p *papPeer) takes(proto Protocol, c Code) bool {
	return proto == ProtoPAP && (c == papAck || c == papNak)
}
func (p *papPeer) deadline() time.Time { return p.next }

func (p *papPeer) start(now time.Time) {
	p.firstID = p.l.lcp.nextID()
	p.request(now)
}

// request sends an Authenticate-Request. RFC 1334 section 2.2.1: "The
// Identifier field MUST be changed each time an Authenticate-Request packet is issued."
func (p *papPeer) request(now time.Time) {
	name, secret := p.l.cfg.Name, p.l.cfg.Secret
	name, secret = name[:min(len(name), 255)], secret[:min(len(secret), 255)]
	data := make([]byte, 0, 2+len(name)+len(secret))
	data = append(append(data, byte(len(name))), name...)
	data = append(append(data, byte(len(secret))), secret...)
	p.l.send(ProtoPAP, Packet{papRequest, p.firstID + uint8(p.tries), data})
	p.tries++
	p.next = now.Add(p.l.cfg.Restart)
}

func (p *papPeer) tick(now time.Time) {
	switch {
	case p.next.IsZero() || now.Before(p.next):
	case p.tries < p.l.cfg.MaxConfigure:
		p.request(now)
	default:
		p.l.fail(now, ReasonAuthTimedOut, "")
	}
}

// input takes the answer, to any of the requests: on a slow line the one to
// the first may come after the second was sent.
func (p *papPeer) input(now time.Time, in Packet) {
	if p.next.IsZero() || int(in.ID-p.firstID) >= p.tries {
		p.l.counters.Stale++
		return
	}
	p.next = time.Time{}
	message, _, ok := cutCounted(in.Data)
	if !ok && len(in.Data) > 0 {
		message = in.Data[1:] // a length that is wrong is no reason to lose the text
	}
	if in.Code == papNak {
		p.l.fail(now, ReasonAuthDenied, Printable(message))
		return
	}
	p.l.weAreProved(now, AuthPAP, message)
}
