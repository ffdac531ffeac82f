package gateway

import (
	"net/netip"
	"time"

	"tributary/internal/aaa"
	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/ppp"
)

// assign answers the AddressRequest, once there is a session for the user's
// packets to travel on.
func (u *subscriber) assign(now time.Time) {
	if !u.trunkOf4(now) {
		return
	}
	u.pool = u.group.poolOf(u.user)
	var fixed netip.Addr
	if u.user != nil {
		fixed = u.user.Address
	}
	addr, err := u.pool.pool.Take(u.askedName, u.wish, fixed)
	id := u.asked
	u.asked = 0
	var a ppp.Assignment
	if err != nil {
		u.s.message, u.s.changed = err.Error(), true
		u.s.g.log.Warn("no address for a user", "line", u.s.info.Name, "user", u.askedName, "pool", u.pool.cfg.Name, "err", err)
		u.s.g.emit(Event{Time: now, Kind: EventNoAddress, Line: u.s.info.Name, User: u.askedName, Message: err.Error()})
	} else {
		u.addr = addr
		u.dnsTold = u.dns()
		a = ppp.Assignment{Peer: addr, DNS: u.dnsTold}
	}
	if !u.link.Address(now, id, a) {
		// He would not have it any more: his IPCP was given up while he waited.
		u.releaseAddress()
	}
}

func (u *subscriber) releaseAddress() {
	if u.addr.IsValid() {
		u.pool.pool.Release(u.addr)
		u.addr, u.s.changed = netip.Addr{}, true
	}
}

// dns is the name servers a user is told of: the configuration's, else the ISP's.
func (u *subscriber) dns() (d [2]netip.Addr) {
	n := 0
	for _, a := range u.group.cfg.DNS {
		if a.Is4() && n < len(d) {
			d[n] = a
			n++
		}
	}
	if n > 0 {
		return d
	}
	if st := u.trunk.state.Load(); st != nil {
		return st.dns
	}
	return d
}

// strangeDNS reports whether the user would be told of other name servers if he came
// now. IPCP could begin anew to tell him, but takes his network down for it (RFC 1661
// section 4.1: in Opened, a Configure-Request is This-Layer-Down), and with it what the move
// is to save; access servers do not do that. IPv6 has it in the next Router
// Advertisement.
func (u *subscriber) strangeDNS() bool {
	now := u.dns()
	return u.path.Load() != nil && now != [2]netip.Addr{} && now != u.dnsTold
}

// trunkOf4 gives the user a trunk that carries IPv4, in place perhaps of one that
// has IPv6 only; or it has him told when there is one.
func (u *subscriber) trunkOf4(now time.Time) bool {
	old := u.trunk
	if !u.waitForTrunk(true) {
		return false
	}
	if old != nil && old != u.trunk {
		old.leave(u.s)
		u.refresh6(now)
	}
	return true
}

// waitForTrunk gives the user a trunk, of IPv4 or without v4 of either kind, or has
// him told when there is one.
func (u *subscriber) waitForTrunk(v4 bool) bool {
	found := u.chooseTrunk(v4)
	if !found {
		// One may have come up before anybody knew that it was waited for.
		u.group.waiting.add(u.s)
		found = u.chooseTrunk(v4)
	}
	switch {
	case !found || !v4 && u.asked != 0 && !u.trunk.carries(true): // he has IPv6, and waits for IPv4
		u.group.waiting.add(u.s)
		u.waits, u.s.message, u.s.changed = true, u.group.whyNoTrunk(), true
	default:
		u.waitNoMore()
	}
	return found
}

// waitNoMore has nobody told of a session that is up, or that he waits for one.
func (u *subscriber) waitNoMore() {
	u.group.waiting.remove(u.s)
	if u.waits {
		u.waits, u.s.message, u.s.changed = false, "", true
	}
}

// chooseTrunk takes the session with the most room of those that are up, but
// stays where he is if that is one of them.
func (u *subscriber) chooseTrunk(v4 bool) bool {
	if u.trunk != nil && u.trunk.join(u.s, v4) {
		return true
	}
	tried := make(map[*trunk]bool)
	for {
		var best *trunk
		room := 0
		for _, t := range u.group.trunks {
			if free := t.free(); !tried[t] && t.carries(v4) && free > room {
				best, room = t, free
			}
		}
		if best == nil {
			return false
		}
		if best.join(u.s, v4) {
			u.trunk = best
			return true
		}
		tried[best] = true // somebody was faster
	}
}

// networkUp opens the data path.
func (u *subscriber) networkUp(now time.Time) {
	if u.trunk == nil || !u.addr.IsValid() {
		return
	}
	if !u.s.g.shared.routes.set(ip.Addr4(u.addr), u.s) {
		u.s.teardown(now, ReasonLocalLimits, "the address "+u.addr.String()+" is another line's")
		return
	}
	u.enter(now)
	u.publishPath()
	u.s.changed, u.s.authFailed = true, false
	u.s.g.emit(Event{Time: now, Kind: EventNetworkUp, Line: u.s.info.Name, Uplink: u.trunk.cfg.Name, User: u.shownName(), Message: u.addr.String()})
}

// enter begins what holds for a user who has an address, of either kind.
func (u *subscriber) enter(now time.Time) {
	u.loginBy = time.Time{}
	limits := u.group.limits(u.user)
	if limits.Session > 0 && u.endAt.IsZero() {
		u.endAt = now.Add(limits.Session)
	}
	if u.idle = limits.Idle; u.idle > 0 {
		u.frames, u.idleAt = u.s.stats.upFrames.Load(), now.Add(u.idle)
	}
	var rate aaa.Rate
	if u.user != nil {
		rate = u.user.Rate
	}
	u.up.set(rate.Up)
	u.down.set(rate.Down)
}

// publishPath says how the user's packets travel. His trunk may be down again by
// now: then they are dropped until trunkDown decides.
func (u *subscriber) publishPath() {
	u.path.Store(&path{
		trunk: u.trunk, login: u.trunk.enter(u.s, u.behindNAT()),
		addr: ip.Addr4(u.addr), local: ip.Addr4(u.local), mtu: u.mtu(), among: u.group.cfg.UserToUser,
	})
}

// networkDown closes it.
func (u *subscriber) networkDown(now time.Time) {
	if u.path.Swap(nil) != nil {
		u.tellDown(now, u.addr.String())
	}
	u.s.changed = true
	if !u.open6() {
		u.idleAt = time.Time{}
	}
	if u.addr.IsValid() {
		u.s.g.shared.routes.clear(ip.Addr4(u.addr), u.s)
	}
}

// tellDown is the other half of EventNetworkUp: from both it can be told who had
// which address at any time.
func (u *subscriber) tellDown(now time.Time, address string) {
	u.s.g.emit(Event{Time: now, Kind: EventNetworkDown, Line: u.s.info.Name, Uplink: u.s.uplinkName(), User: u.shownName(), Message: address})
}

// letGo gives back what an open link had.
func (u *subscriber) letGo(now time.Time) {
	u.ipv6Down(now)
	u.networkDown(now)
	u.authID, u.asked, u.next, u.endAt = 0, 0, nil, time.Time{}
	u.waitNoMore()
	if u.trunk != nil {
		u.trunk.leave(u.s)
		u.trunk = nil
	}
	u.releaseAddress()
	if u.counted {
		u.group.users.tally.End(u.user, u.s)
		u.counted, u.user = false, nil
	}
}

// trunkUp may be what an AddressRequest has waited for.
func (u *subscriber) trunkUp(now time.Time) {
	if u.asked == 0 && !u.waits6() {
		u.group.waiting.wakeOne(event{kind: evTrunkUp})
		return
	}
	if u.asked != 0 {
		u.assign(now)
		u.drain(now)
	}
	u.refresh6(now)
}

// trunkDown moves the user to another session, or hangs him up when his does not
// come up again. Until then his packets are dropped.
func (u *subscriber) trunkDown(now time.Time, l trunkLoss) {
	old := u.trunk
	if old != l.trunk {
		return
	}
	if u.group.cfg.OnSessionLoss == config.LossMove && u.chooseTrunk(u.addr.IsValid()) {
		if u.trunk == old {
			return // it has come up meanwhile
		}
		old.leave(u.s)
		if u.path.Load() != nil {
			u.publishPath()
		}
		u.refresh6(now)
		u.s.changed = true
		message := "from " + old.cfg.Name
		if u.strangeDNS() {
			message += "; the DNS servers that he knows are of another session"
		}
		u.s.g.emit(Event{Time: now, Kind: EventMoved, Line: u.s.info.Name, Uplink: u.trunk.cfg.Name, User: u.shownName(), Message: message})
		return
	}
	if l.forGood {
		u.s.teardown(now, ReasonTrunkDown, old.cfg.Name)
	}
}
