package gateway

import (
	"net/netip"
	"time"

	"tributary/ppp"
	"tributary/pppoe"
)

// view is what API and CLI see of a session beside its counters. It does not
// change: the owner replaces it. There is one for each line, so it is kept small,
// and made into text only for whoever asks.
type view struct {
	state   state
	uplink  string
	phase   ppp.Phase
	since   time.Time
	sid     uint16 // 0: no session yet
	acName  string
	ac, our pppoe.MAC
	setUp   time.Duration
	user    string
	auth    string
	address netip.Addr
	peer    netip.Addr
	dns     [2]netip.Addr
	message string
}

// publish makes the owner's state visible, if it has changed.
func (s *session) publish() {
	var st ppp.SnoopState
	if s.snoop != nil {
		st = s.snoop.State()
	}
	if s.sub != nil {
		st.Phase, st.User = s.sub.link.Phase(), s.sub.shownName()
	}
	if s.redial.held() && s.state != stateUp { // what was negotiated with the AC that is gone holds no longer
		st = ppp.SnoopState{Phase: ppp.PhaseEstablish, User: st.User}
	}
	if !s.changed && st.Phase == s.shownPhase && st.User == s.shownUser {
		return
	}
	s.changed, s.shownPhase, s.shownUser = false, st.Phase, st.User
	v := &view{
		state: s.state, uplink: s.uplinkName(), phase: st.Phase, since: s.since, message: s.message,
		user: st.User, auth: st.Auth, address: st.Address, peer: st.Peer, dns: st.DNS,
	}
	if s.sub != nil {
		s.sub.show(v)
	}
	if s.ended.message != "" {
		v.message = s.ended.message
	}
	if s.state >= stateUp && s.session.SessionID != 0 {
		v.sid, v.acName, v.ac = s.session.SessionID, s.session.ACName, s.session.AC
		v.our, v.setUp = s.disc.our, s.setUp
	}
	s.view.Store(v)
}

// lineInfo is the view in words, with the counters as they are now.
func (s *session) lineInfo() LineInfo {
	v := s.view.Load()
	text := func(a netip.Addr) string {
		if !a.IsValid() {
			return ""
		}
		return a.String()
	}
	i := LineInfo{
		Name: s.info.Name, Group: s.info.Group, Mode: string(s.group.Mode), Kind: s.info.Kind, Remote: s.info.Remote,
		State: v.state.String(), Phase: v.phase.String(), Since: v.since, Uplink: v.uplink, Message: v.message,
		SetUp: v.setUp, User: v.user, Auth: v.auth, Address: text(v.address), Peer: text(v.peer),
		DNS: []string{}, VLANs: []uint16{},
		Line: s.line.Counters(), Session: s.statistics(),
	}
	if v.sid != 0 {
		i.SessionID, i.ACName, i.ACMAC, i.OurMAC = v.sid, v.acName, v.ac.String(), v.our.String()
		i.VLANs = append(i.VLANs, s.up.vlans.Slice()...)
	}
	i.Prefix = s.prefix6()
	for _, a := range v.dns {
		if a.IsValid() {
			i.DNS = append(i.DNS, a.String())
		}
	}
	switch {
	case s.sub != nil:
		i.Dropped = s.sub.drops.values()
	case s.trunk != nil:
		i.Dropped = s.trunk.drops.values()
	}
	send, recv := s.line.Params()
	i.SendACCM, i.RecvACCM, i.PFC, i.ACFC = send.ACCM, recv, send.PFC, send.ACFC
	return i
}

// naturalLess orders names so that virtual/9 comes before virtual/10.
func naturalLess(a, b string) bool {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := trimZeros(a[:na]), trimZeros(b[:nb])
			if len(x) != len(y) {
				return len(x) < len(y)
			}
			if x != y {
				return x < y
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return a[0] < b[0]
		}
		a, b = a[1:], b[1:]
	}
	return len(a) < len(b)
}

func digits(s string) (n int) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}
