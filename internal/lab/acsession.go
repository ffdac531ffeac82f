package lab

import (
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// acSession is one session. Its link belongs to the AC's loop; what readers use
// beside it is atomic or set before open is.
type acSession struct {
	key     acKey
	link    *ppp.Link
	line    pppoe.AccessLine
	service string
	since   time.Time
	user    string
	peerMRU int
	options [256]bool // LCP options asked for

	open      atomic.Bool    // IPv4 may flow
	maxPacket atomic.Int64   // octets
	address   netip.Addr     // written by the loop, under the AC's lock
	routes    []netip.Prefix // the same
	up, down  atomic.Uint64
	heard     bool
	begun     bool // PPP has

	at    time.Time // what the AC's clock sorts by
	place int
}

func (s *acSession) info() ACSession {
	var options []uint8
	for t, asked := range s.options {
		if asked {
			options = append(options, uint8(t))
		}
	}
	return ACSession{
		Options: options, ID: s.key.sid, Peer: s.key.peer, User: s.user, Address: s.address, Routes: slices.Clone(s.routes), Line: s.line, Service: s.service,
		Since: s.since, PeerMRU: s.peerMRU, Up: s.up.Load(), Down: s.down.Load(),
	}
}

// loop owns the discovery server and every link.
func (a *AC) loop() {
	tick := time.NewTicker(acTick)
	defer tick.Stop()
	for {
		select {
		case f := <-a.inbox:
			now := time.Now()
			if a.away.Load() {
				// It came before the reboot.
			} else if f.s == nil {
				a.discovery(now, f.hdr.Src, f.buf.Bytes())
			} else if a.byID[f.s.key] == f.s {
				a.control(now, f.s, f.buf.Bytes())
			}
			f.buf.Put()
		case f := <-a.calls:
			f()
		case <-tick.C:
			a.tick(time.Now())
		case <-a.quit:
			return
		}
	}
}

// discovery is one packet of the Discovery stage.
func (a *AC) discovery(now time.Time, src pppoe.MAC, packet []byte) {
	if p, err := pppoe.ParsePacket(packet); err == nil { // else the server counts it
		if a.ignores(now, src, p) {
			return
		}
		if why := a.refusal(now, src, p); why != nil {
			a.refuse(src, p, *why)
			return
		}
		switch p.Code {
		case pppoe.PADI:
			a.flood(src, p)
		case pppoe.PADR:
			if a.cookies.old(now, p) {
				a.counters.oldCookie.Add(1)
				return
			}
		}
	}
	a.server.Input(now, src, packet)
	a.drainServer(now)
}

// control is one PPP frame that the session's reader has not dealt with.
func (a *AC) control(now time.Time, s *acSession, frame []byte) {
	if !s.heard {
		s.heard = true
		a.server.Received(s.key.peer, s.key.sid)
	}
	if !s.begun {
		a.begin(now, s)
	}
	switch p, info, ok := ppp.Split(frame); {
	case ok && p == ppp.ProtoIPv4:
		a.early(s, info)
		return
	case ok && p == ppp.ProtoLCP:
		a.observe(s, info)
	}
	s.link.Input(now, frame)
	a.drainLink(now, s)
}

// observe notes what others may want to know of an LCP packet.
func (a *AC) observe(s *acSession, lcp []byte) {
	p, err := ppp.ParsePacket(lcp)
	if err != nil {
		return // the link counts it
	}
	switch p.Code {
	case ppp.TerminateRequest:
		a.counters.terminated.Add(1)
	case ppp.ConfigureRequest:
		for opt, rest, ok, err := ppp.NextOption(p.Data); ok && err == nil; opt, rest, ok, err = ppp.NextOption(rest) {
			s.options[opt.Type] = true
		}
	}
}

func (a *AC) tick(now time.Time) {
	a.releaseHeld(now)
	if due(now, a.server.Deadline()) {
		a.server.Tick(now)
		a.drainServer(now)
	}
	if due(now, a.backAt) {
		a.backAt = time.Time{}
		a.away.Store(false)
	}
	a.tickLinks(now)
}

func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// drainServer does what the discovery server asks for. A session is in the table
// before its PADS is out, since the peer's first frame may be back at once; but
// its link starts after, since ours must not come before the PADS.
func (a *AC) drainServer(now time.Time) {
	var outs []pppoe.ServerOut
	for out, ok := a.server.Next(); ok; out, ok = a.server.Next() {
		outs = append(outs, out)
		if out, ok := out.(pppoe.ServerOpened); ok {
			a.register(now, out)
			if a.cfg.Quirks.LCP == LCPBeforePADS {
				a.start(now, a.byID[acKey{out.Peer, out.SessionID}])
			}
		}
	}
	for _, out := range outs {
		switch out := out.(type) {
		case pppoe.Send:
			if out.Code == pppoe.PADS {
				a.sendPADS(now, out)
				continue
			}
			if out.Code == pppoe.PADO {
				a.cookies.give(now, out.Packet)
			}
			a.sendDiscovery(out)
		case pppoe.ServerOpened:
			if s := a.byID[acKey{out.Peer, out.SessionID}]; s != nil && a.cfg.Quirks.LCP != LCPBeforePADS {
				a.start(now, s)
			}
		case pppoe.ServerClosed:
			if s := a.byID[acKey{out.Peer, out.SessionID}]; s != nil {
				a.counters.byPADT.Add(1)
				info := s.info()
				a.remove(s)
				a.cfg.Event(ACEvent{Kind: "closed", Session: info, Message: out.Message})
			}
		}
	}
}

func (a *AC) sendDiscovery(out pppoe.Send) { a.sendPacket(a.mac(), out) }

// sendPacket sends a discovery packet from any address.
func (a *AC) sendPacket(src pppoe.MAC, out pppoe.Send) {
	b := a.pool.Get()
	if b == nil {
		a.counters.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if b.SetBytes(a.dress(out.Packet)) {
		a.transmit(src, out.Dst, ether.TypeDiscovery, b)
	}
}

// register puts a new session in the table.
func (a *AC) register(now time.Time, o pppoe.ServerOpened) {
	s := &acSession{
		key: acKey{o.Peer, o.SessionID}, line: o.AccessLine, service: o.ServiceName, since: now, place: noPlace,
	}
	cfg := ppp.LinkConfig{
		MRU: o.MaxPayload, MaxMRU: o.MaxPayload, Auth: a.cfg.Auth, SystemName: a.cfg.Name,
		IPv4:         &ppp.IPv4Config{Local: a.cfg.Local, AssignPeer: true, DNS: a.cfg.DNS},
		EchoInterval: max(a.cfg.Echo, 0),
	}
	if a.cfg.Quirks.SilentToStale {
		cfg.EchoFailures = math.MaxInt
	}
	s.link = ppp.NewLink(cfg)
	a.mu.Lock()
	a.byID[s.key] = s
	a.mu.Unlock()
	a.perMAC[o.Peer]++
}

// start begins PPP on a new session, unless the peer is to do that.
func (a *AC) start(now time.Time, s *acSession) {
	a.counters.opened.Add(1)
	a.cfg.Event(ACEvent{Kind: "open", Session: s.info()})
	if a.cfg.Quirks.LCP != LCPAfterPeer {
		a.begin(now, s)
	}
}

// begin is PPP's first word.
func (a *AC) begin(now time.Time, s *acSession) {
	s.begun = true
	s.link.Open(now)
	s.link.Up(now)
	a.drainLink(now, s)
}

func (a *AC) drainLink(now time.Time, s *acSession) {
	defer a.schedule(s)
	for {
		out, ok := s.link.Next()
		if !ok {
			return
		}
		switch out := out.(type) {
		case ppp.SendFrame:
			a.send(s, 0, out.Frame)
		case ppp.Params:
			s.peerMRU = out.SendMRU
			s.maxPacket.Store(int64(out.SendMRU))
		case ppp.AuthRequest:
			secret, known := a.cfg.Secret(out.Name)
			good, words := known && out.Verify(secret), "Access denied"
			if good {
				words = out.SuccessMessage(secret, "Welcome to the Tributary lab, "+out.Name)
			} else {
				a.counters.refused.Add(1)
				a.cfg.Event(ACEvent{Kind: "refused", Session: s.info(), Message: ppp.Printable([]byte(out.Name))})
			}
			s.link.AuthResult(now, out.ID, good, words)
		case ppp.Authenticated:
			if !out.Local {
				a.authenticated(s, out.Name)
			}
		case ppp.AddressRequest:
			s.link.Address(now, out.ID, ppp.Assignment{Peer: a.assign(s, out.Name, out.Asked)})
		case ppp.NetworkUp:
			s.open.Store(true)
			a.counters.networks.Add(1)
			a.cfg.Event(ACEvent{Kind: "network", Session: s.info()})
		case ppp.NetworkDown:
			s.open.Store(false)
		case ppp.LCPDown:
			a.unassign(s)
		case ppp.Finished:
			if a.cfg.Quirks.SilentToStale && out.Reason == ppp.ReasonNoAnswer {
				return // it waits for the PADT
			}
			a.end(s, string(out.Reason))
			return
		}
	}
}

func (a *AC) authenticated(s *acSession, name string) {
	name = ppp.Printable([]byte(name))
	a.mu.Lock()
	s.user = name
	a.mu.Unlock()
	a.counters.authenticated.Add(1)
	a.cfg.Event(ACEvent{Kind: "authenticated", Session: s.info()})
}

// assign finds an address for s: its user's own, else the one it asks for if that
// is free, or the next of the pool; the zero Addr if none is.
func (a *AC) assign(s *acSession, user string, asked netip.Addr) netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.address.IsValid() {
		return s.address
	}
	give := netip.Addr{}
	if own := a.cfg.Address(user); own.IsValid() {
		if a.byAddr[own] == nil { // one at a time: the address is his, and he has it
			give = own
		}
	} else if a.free(asked) {
		give = asked
	} else {
		at := a.next
		for range len(a.byAddr) + 4 { // ours, the network's and the broadcast address are never free
			if at = at.Next(); !a.cfg.Pool.Contains(at) {
				at = a.cfg.Pool.Masked().Addr()
			}
			if a.free(at) {
				give, a.next = at, at
				break
			}
		}
	}
	if give.IsValid() {
		s.address = give
		a.byAddr[give] = s
		a.addRoutes(s, user)
	}
	return give
}

func (a *AC) free(addr netip.Addr) bool {
	return addr.IsValid() && a.cfg.Pool.Contains(addr) && addr != a.cfg.Pool.Masked().Addr() && a.cfg.Pool.Contains(addr.Next()) &&
		addr != a.cfg.Local && addr != a.cfg.Internet && a.byAddr[addr] == nil
}

func (a *AC) unassign(s *acSession) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.open.Store(false)
	if s.address.IsValid() {
		delete(a.byAddr, s.address)
		s.address = netip.Addr{}
		a.delRoutes(s)
	}
}

// remove takes s out of the tables.
func (a *AC) remove(s *acSession) {
	a.unassign(s)
	a.mu.Lock()
	delete(a.byID, s.key)
	a.mu.Unlock()
	if a.perMAC[s.key.peer]--; a.perMAC[s.key.peer] == 0 {
		delete(a.perMAC, s.key.peer)
	}
	a.schedule(s)
	a.tellIdle()
}

// end ends s from our side, with a PADT.
func (a *AC) end(s *acSession, text string) {
	if a.byID[s.key] != s {
		return
	}
	a.counters.byUs.Add(1)
	info := s.info()
	a.remove(s)
	a.server.CloseSession(time.Now(), s.key.peer, s.key.sid, text)
	a.drainServer(time.Now())
	a.cfg.Event(ACEvent{Kind: "closed", Session: info, Message: text})
}
