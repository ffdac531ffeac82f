package config

import (
	"fmt"
	"time"
)

// ladder is the sentence for auth: each is offered when the one before it is
// refused.
func ladder(auth []Auth) string { return list(auth, ", else ") }

func (s *Shared) sentences() []string {
	way := "session " + list(s.Sessions, "")
	if len(s.Sessions) > 1 {
		way = "the one of sessions " + list(s.Sessions, ", ") + " with the most room"
	}
	who := "nobody is asked who they are"
	if len(s.Auth) > 0 {
		who = fmt.Sprintf("users of %s prove who they are by %s", s.Users, ladder(s.Auth))
	}
	between := map[UserToUser]string{
		UserToUserISP:   "go to the ISP like all others",
		UserToUserLocal: "go straight across",
		UserToUserNone:  "are dropped",
	}[s.UserToUser]
	loss := "is hung up"
	if s.OnSessionLoss == LossMove {
		loss = "is moved to another one, or else hung up"
	}
	out := []string{
		who,
		fmt.Sprintf("each has an address of pool %s, and travels on %s", s.Pool, way),
		"whoever's session falls " + loss,
		"packets from user to user " + between,
		fmt.Sprintf("packets of at most %d octets, %s", s.MTU, s.servers()),
	}
	if s.WhenBusy == BusyReplace {
		out = append(out, "whoever has as many sessions as he may have loses the oldest by one more")
	}
	if s.IPv6 {
		out = append(out, "IPv6: each has a /64 of the pool")
	}
	return append(out, s.endings()...)
}

func (s *Shared) servers() string {
	if len(s.DNS) == 0 {
		return "the ISP's DNS servers"
	}
	return "DNS servers " + list(s.DNS, ", ")
}

// endings is what hangs up a user.
func (s *Shared) endings() (out []string) {
	for _, limit := range []struct {
		after time.Duration
		what  string
	}{
		{s.LoginTimeout, "a line whose user has no network after %s is hung up"},
		{s.IdleTimeout, "a user without traffic for %s is hung up"},
		{s.SessionTimeout, "every user is hung up after %s"},
	} {
		if limit.after > 0 {
			out = append(out, fmt.Sprintf(limit.what, short(limit.after)))
		}
	}
	if s.UserEcho.Interval > 0 {
		out = append(out, fmt.Sprintf("asks a silent user after %s, and hangs up after %d without an answer", short(s.UserEcho.Interval), s.UserEcho.Failures))
	}
	return out
}

func (s *Session) sentences() []string {
	out := []string{"one PPPoE session on uplink " + s.Uplink}
	if s.ServiceName != "" {
		out[0] += fmt.Sprintf(", with service %q", s.ServiceName)
	}
	if s.User == "" {
		out = append(out, "proves nothing to the ISP")
	} else {
		out = append(out, fmt.Sprintf("user %q with the password in %s, proved by %s, as the ISP asks", s.User, s.PasswordFile, list(s.Auth, " or ")))
	}
	out = append(out, fmt.Sprintf("dialled again %s after it fell, and up to %s apart while that fails", short(s.Redial.Min), short(s.Redial.Max)))
	room := "users: as many as have an address"
	if s.MaxUsers > 0 {
		room = fmt.Sprintf("users: at most %d", s.MaxUsers)
	}
	if s.NAT {
		out = append(out, room+fmt.Sprintf(", and at most %d behind its one address (NAT)", s.NATPorts.Users()),
			fmt.Sprintf("each user has a block of %d ports, and up to %d of them while there are some", s.NATPorts.Block, s.NATPorts.Blocks))
	} else {
		out = append(out, room)
	}
	if s.MTU > 0 {
		out = append(out, fmt.Sprintf("packets of at most %d octets", s.MTU))
	}
	if s.IPv6 {
		out = append(out, "IPv6 as well")
	}
	return out
}

func (p *Pool) sentences() []string {
	from := p.Prefix.String()
	if len(p.Exclude) > 0 {
		from += " without " + list(p.Exclude, ", ")
	}
	us := "the address of their session"
	if p.Gateway.IsValid() {
		us = p.Gateway.String()
	}
	out := []string{
		fmt.Sprintf("%s: room for %d users", from, p.Room()),
		"users know the gateway as " + us,
	}
	switch {
	case p.Prefix6.IsValid():
		out = append(out, fmt.Sprintf("IPv6: %s, room for %d users with a /64 each", p.Prefix6, 1<<(64-p.Prefix6.Bits())))
	case p.DelegatedBy != "":
		out = append(out, fmt.Sprintf("IPv6: a /64 each of the prefix that session %s is delegated", p.DelegatedBy))
	}
	return out
}
