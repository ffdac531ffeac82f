package ppp

import (
	"encoding/binary"
)

// CHAP's Algorithm field (RFC 1994 section 3, RFC 2433 section 3, RFC 2759 section 3).
const (
	snoopMD5      = 5
	snoopMSCHAP   = 0x80
	snoopMSCHAPv2 = 0x81
)

// authAskedByAC is how the AC wants the user to prove himself: the last it
// names. A protocol it has no name for goes by its number.
func (s *Snoop) authAskedByAC() (name string, proto Protocol) {
	name = "none"
	for b := s.lcp.ask[snoopAC].options; ; {
		opt, rest, ok, err := NextOption(b)
		if err != nil || !ok {
			return name, proto
		}
		if opt.Type == LCPOptAuth && len(opt.Data) >= 2 {
			proto = Protocol(binary.BigEndian.Uint16(opt.Data))
			name = snoopAuthName(proto, opt.Data[2:])
		}
		b = rest
	}
}

func snoopAuthName(proto Protocol, data []byte) string {
	switch {
	case proto == ProtoPAP:
		return "pap"
	case proto == ProtoEAP:
		return "eap"
	case proto == ProtoCHAP && len(data) > 0:
		switch data[0] {
		case snoopMD5:
			return "chap-md5"
		case snoopMSCHAP:
			return "ms-chap"
		case snoopMSCHAPv2:
			return "ms-chapv2"
		}
		return "chap"
	}
	return proto.String()
}

// Codes of PAP (RFC 1334 section 2.2), CHAP (RFC 1994 section 4), EAP (RFC 3748 section 4).
const (
	snoopPAPRequest   Code = 1
	snoopPAPAck       Code = 2
	snoopPAPNak       Code = 3
	snoopCHAPAsk      Code = 1 // Challenge
	snoopCHAPResponse Code = 2
	snoopCHAPSuccess  Code = 3
	snoopCHAPFailure  Code = 4
	snoopEAPRequest   Code = 1
	snoopEAPResponse  Code = 2
	snoopEAPSuccess   Code = 3
	snoopEAPFailure   Code = 4
	snoopEAPIdentity       = 1 // Type, RFC 3748 section 5.1
)

// inputAuth takes the user's name from what he sends, and the verdict from
// what the AC sends; the AC proving itself to the user is nothing to us.
func (s *Snoop) inputAuth(from snoopSide, proto Protocol, p Packet) SnoopEvents {
	if from == snoopUser {
		if name, ok := snoopName(proto, p); ok && s.auth.takes(p.ID, s.state.AuthOK) {
			text := Printable(name)
			s.auth.give(text, p.ID)
			if !s.state.AuthOK {
				s.state.User = text // who tries
			}
		}
		return 0
	}
	switch proto {
	case ProtoPAP:
		switch p.Code {
		case snoopPAPAck:
			return s.authenticated(p.ID, snoopPrefixed(p.Data))
		case snoopPAPNak:
			return s.authFailed(p.ID, snoopPrefixed(p.Data))
		}
	case ProtoCHAP:
		switch p.Code {
		case snoopCHAPAsk:
			s.auth.ask(p.ID)
		case snoopCHAPSuccess:
			return s.authenticated(p.ID, s.chapMessage(p.Data))
		case snoopCHAPFailure:
			return s.authFailed(p.ID, s.chapMessage(p.Data))
		}
	case ProtoEAP:
		switch p.Code {
		case snoopEAPRequest:
			if len(p.Data) > 0 && p.Data[0] == snoopEAPIdentity {
				s.auth.ask(p.ID)
			} else {
				s.auth.asked = false // the Identity it had will do
			}
		case snoopEAPSuccess:
			return s.authenticated(p.ID, nil)
		case snoopEAPFailure:
			return s.authFailed(p.ID, nil)
		}
	}
	return 0
}

// snoopName is the name in a packet by which the user presents himself.
func snoopName(proto Protocol, p Packet) (name []byte, ok bool) {
	switch {
	case proto == ProtoPAP && p.Code == snoopPAPRequest && len(p.Data) > 0:
		// RFC 1334 section 2.2.1: Peer-ID Length, Peer-ID, Passwd-Length, Password.
		return snoopPrefixed(p.Data), true
	case proto == ProtoCHAP && p.Code == snoopCHAPResponse && len(p.Data) > 0:
		// RFC 1994 section 4.1: Value-Size, Value, Name.
		if n := 1 + int(p.Data[0]); n <= len(p.Data) {
			return p.Data[n:], true
		}
	case proto == ProtoEAP && p.Code == snoopEAPResponse && len(p.Data) > 0 && p.Data[0] == snoopEAPIdentity:
		return p.Data[1:], true
	}
	return nil, false
}

// snoopPrefixed is the text behind an octet of length, or as much of it as is there.
func snoopPrefixed(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b[1:min(1+int(b[0]), len(b))]
}

// chapMessage is what of a CHAP Success or Failure is for human eyes.
func (s *Snoop) chapMessage(b []byte) []byte {
	if s.state.Auth == "ms-chap" || s.state.Auth == "ms-chapv2" {
		return msText(b)
	}
	return b
}

func (s *Snoop) authenticated(id uint8, message []byte) SnoopEvents {
	name, ok := s.auth.name(id)
	if ok || !s.state.AuthOK {
		s.state.User = name // "" if the AC believes whom it was never told of
		s.auth.forget()
	}
	if s.state.AuthOK {
		return 0 // a repeated answer, or a CHAP challenge in between
	}
	s.state.AuthOK = true
	s.state.Message = Printable(message)
	if s.state.Phase == PhaseAuthenticate {
		s.state.Phase = PhaseNetwork
	}
	return SnoopAuthenticated
}

func (s *Snoop) authFailed(id uint8, message []byte) SnoopEvents {
	if name, ok := s.auth.name(id); ok {
		s.state.User = name
	}
	s.auth.forget()
	s.state.AuthOK = false
	s.state.Message = Printable(message)
	return SnoopAuthFailed
}
