package gateway

import (
	"net/netip"
	"time"

	"tributary/internal/nat"
)

// SessionInfo is one session that users share, up or not, as a copy for API and CLI.
type SessionInfo struct {
	Name     string          `json:"name"`
	Line     string          `json:"line" doc:"What it is called among the lines and in events"`
	Uplink   string          `json:"uplink"`
	User     string          `json:"user" doc:"The name that the ISP knows us by"`
	State    SessionState    `json:"state" doc:"discovering, negotiating, up; waiting to be dialled again; down: it has just ended; not-used"`
	Since    time.Time       `json:"since" doc:"Begin of this state"`
	NextDial time.Time       `json:"next_dial,omitzero" doc:"When it is dialled again, if it waits for that"`
	Dials    uint64          `json:"dials" doc:"Attempts since the start of the gateway"`
	InVain   int             `json:"in_vain" doc:"Attempts in a row, the present one included, that gave no address"`
	Failure  *SessionFailure `json:"failure,omitempty" doc:"Why it ended last or did not come up, also if it is up by now"`
	Message  string          `json:"message" doc:"The last words of the access concentrator or of the ISP in this attempt"`

	Address  string   `json:"address" doc:"IPv4 address the ISP gave"`
	Address6 string   `json:"address6,omitempty" doc:"Our IPv6 address towards the ISP, if it is a global one"`
	Peer     string   `json:"peer" doc:"The ISP's own IPv4 address"`
	Prefix   string   `json:"prefix,omitempty" doc:"IPv6 prefix the ISP delegates"`
	DNS      []string `json:"dns"`
	MTU      int      `json:"mtu" doc:"Of IP packets; 0 while it is not up"`

	SessionID uint16 `json:"session_id"`
	ACName    string `json:"ac_name"`
	ACMAC     string `json:"ac_mac"`

	Users    int `json:"users" doc:"Users whose packets travel on it"`
	MaxUsers int `json:"max_users" doc:"So many at most; 0 is as many as have an address"`

	Traffic SessionStats      `json:"traffic" doc:"Of the PPPoE session that it is now"`
	Dropped map[string]uint64 `json:"dropped" doc:"Packets from the ISP that were not forwarded since the start of the gateway, by reason"`
	NAT     *nat.Stats        `json:"nat,omitempty" doc:"With nat: true, once the ISP has given an address"`
	// NATLogLost is of what RFC 6888 calls for: who had which ports when.
	NATLogLost uint64 `json:"nat_log_lost,omitempty" doc:"Log lines about ports that were lost because the log was too slow"`
}

// Sessions are all sessions that users share, in the configuration's order,
// whether they are up or not.
func (g *Gateway) Sessions() []SessionInfo {
	infos := make([]SessionInfo, 0, len(g.cfg.Sessions))
	for i := range g.cfg.Sessions {
		if t := g.shared.trunks[g.cfg.Sessions[i].Name]; t != nil {
			infos = append(infos, t.information())
		}
	}
	return infos
}

func (t *trunk) information() SessionInfo {
	i := SessionInfo{
		Name: t.cfg.Name, Line: t.Addr(), Uplink: t.cfg.Uplink, User: t.cfg.User,
		DNS: []string{}, MaxUsers: t.mostUsers(), Dropped: t.drops.values(),
	}
	st := &t.status
	st.mu.Lock()
	i.State, i.Since, i.NextDial, i.Dials, i.InVain = st.state, st.since, st.next, st.dials, st.vain
	if f := st.failure; f.Reason != "" {
		i.Failure = &f
	}
	st.mu.Unlock()
	t.mu.Lock()
	i.Users = len(t.members)
	t.mu.Unlock()
	t.describeLine(&i)
	t.describeNetwork(&i)
	return i
}

// describeLine is what is known of the PPPoE session, if there is one.
func (t *trunk) describeLine(i *SessionInfo) {
	s := t.session.Load()
	if s == nil {
		return
	}
	v := s.view.Load()
	if v.state == stateEnding {
		return
	}
	i.Message, i.Traffic = v.message, s.statistics()
	if v.peer.IsValid() {
		i.Peer = v.peer.String()
	}
	if v.sid != 0 {
		i.SessionID, i.ACName, i.ACMAC = v.sid, v.acName, v.ac.String()
	}
}

// describeNetwork is what users have of it, if it is up.
func (t *trunk) describeNetwork(i *SessionInfo) {
	var servers []netip.Addr
	if st := t.state.Load(); st != nil {
		i.Address, i.MTU = st.local.String(), st.mtu
		servers = append(servers, st.dns[:]...)
	}
	if n, ok := t.natStats(); ok {
		i.NAT, i.NATLogLost = &n, t.natLost.Load()
	}
	if six := t.state6.Load(); six != nil {
		servers = append(servers, six.dns...)
		if a, ok := six.source(); ok {
			i.Address6 = netip.AddrFrom16(a).String()
		}
		if i.MTU == 0 { // the ISP gives no IPv4
			i.MTU = six.mtu
		}
	}
	for _, a := range servers {
		if a.IsValid() {
			i.DNS = append(i.DNS, a.String())
		}
	}
	if t.delegates != nil {
		if now := t.delegates.current.Load(); now != nil {
			i.Prefix = now.Prefix.Prefix.String()
		}
	}
}

// mostUsers is how many users it takes; 0 is as many as have an address.
func (t *trunk) mostUsers() int {
	if t.cfg.MaxUsers == 0 && t.cfg.NAT {
		return t.cfg.NATPorts.Users()
	}
	return t.cfg.MaxUsers
}
