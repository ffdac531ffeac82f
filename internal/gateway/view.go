package gateway

import "tributary/ppp"

// publish makes the owner's state visible to API and CLI, as a copy, if it has
// changed.
func (s *session) publish() {
	var st ppp.SnoopState
	if s.snoop != nil {
		st = s.snoop.State()
	}
	if !s.changed && st.Phase == s.shownPhase && st.User == s.shownUser {
		return
	}
	s.changed, s.shownPhase, s.shownUser = false, st.Phase, st.User
	v := LineInfo{
		Name: s.info.Name, Group: s.info.Group, Kind: s.info.Kind, Remote: s.info.Remote,
		State: s.state.String(), Phase: "dead", Since: s.since, Uplink: s.up.cfg.Name, Message: s.message,
		DNS: []string{}, VLANs: []uint16{},
	}
	if s.ended.message != "" {
		v.Message = s.ended.message
	}
	if s.state >= stateUp && s.session.SessionID != 0 {
		v.SessionID, v.ACName, v.ACMAC = s.session.SessionID, s.session.ACName, s.session.AC.String()
		v.OurMAC, v.SetUp = s.disc.our.String(), s.setUp
		v.VLANs = append(v.VLANs, s.up.vlans.Slice()...)
	}
	if s.snoop != nil {
		v.Phase, v.User, v.Auth = st.Phase.String(), st.User, st.Auth
		if st.Address.IsValid() {
			v.Address = st.Address.String()
		}
		if st.Peer.IsValid() {
			v.Peer = st.Peer.String()
		}
		for _, a := range st.DNS {
			if a.IsValid() {
				v.DNS = append(v.DNS, a.String())
			}
		}
	}
	s.view.Store(&v)
}

// lineInfo is the view with the counters as they are now.
func (s *session) lineInfo() LineInfo {
	v := *s.view.Load()
	send, recv := s.line.Params()
	v.SendACCM, v.RecvACCM, v.PFC, v.ACFC = send.ACCM, recv, send.PFC, send.ACFC
	v.Line, v.Session = s.line.Counters(), s.statistics()
	return v
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
