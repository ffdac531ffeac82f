package ipv6

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	ourDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}
	ispDUID = []byte{0, 2, 0, 0, 0x7f, 0xff, 1, 2, 3}
)

// isp is a server that a test speaks as: it answers what was sent.
type isp struct {
	t      *testing.T
	d      *Delegation
	events []DelegationOut
}

func talkTo(t *testing.T, cfg DelegationConfig) *isp {
	cfg.DUID, cfg.IAID, cfg.Local = ourDUID, 7, ourID
	return &isp{t: t, d: NewDelegation(cfg)}
}

// want reads the one message that the client has sent.
func (s *isp) want(why string, kind messageType) dhcpMessage {
	s.t.Helper()
	m, p := readDHCP(s.t, one(s.t, why, packets(s.d.Next, &s.events)), serverPort)
	if m.kind != kind || p.dst != allDHCP() || p.src != LinkLocal(ourID) || string(m.clientID) != string(ourDUID) || !m.hasTime {
		s.t.Fatalf("%s: message %d to %v, want %d: %+v", why, m.kind, p.dst, kind, m)
	}
	return m
}

func (s *isp) silent(why string) {
	s.t.Helper()
	none(s.t, why, packets(s.d.Next, &s.events))
}

// tick calls the client when it wants to be called, which is to be in d's time.
func (s *isp) tick(why string, d time.Duration) {
	s.t.Helper()
	if got := s.d.Deadline(); !got.Equal(at(d)) {
		s.t.Fatalf("%s: it wants to be called after %v, not %v", why, got.Sub(start), d)
	}
	s.d.Tick(at(d))
}

// answer sends the client a message about m.
func (s *isp) answer(d time.Duration, kind messageType, m dhcpMessage, change func(*dhcpMessage)) {
	r := dhcpMessage{kind: kind, xid: m.xid, clientID: m.clientID, serverID: ispDUID}
	if change != nil {
		change(&r)
	}
	s.d.Input(at(d), appendUDP(nil, LinkLocal(peerID), LinkLocal(ourID), 64, serverPort, clientPort, r.append(nil)))
}

// event takes the last event, which must be the only one.
func event[T DelegationOut](s *isp, why string) T {
	s.t.Helper()
	packets(s.d.Next, &s.events)
	if len(s.events) != 1 {
		s.t.Fatalf("%s: events %+v", why, s.events)
	}
	e, ok := s.events[0].(T)
	if !ok {
		s.t.Fatalf("%s: event %+v", why, s.events[0])
	}
	s.events = nil
	return e
}

func (s *isp) quiet(why string) {
	s.t.Helper()
	if packets(s.d.Next, &s.events); len(s.events) != 0 {
		s.t.Fatalf("%s: events %+v", why, s.events)
	}
}

// pd is an IA_PD with T1 1800, T2 2880, and one prefix for 3600 and 7200 s.
func pd(p string) func(*dhcpMessage) {
	return func(m *dhcpMessage) {
		m.prefixes = []iaPD{{7, 1800, 2880, []iaPrefix{{3600, 7200, prefix(p)}}, status{}}}
		m.dns = []netip.Addr{addr("2001:db8::53")}
	}
}

func iaStatus(code Status, text string) func(*dhcpMessage) {
	return func(m *dhcpMessage) { m.prefixes = []iaPD{{iaid: 7, status: status{code, text}}} }
}

// bound is a client that has a prefix since the start.
func bound(t *testing.T) *isp {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.answer(0, msgReply, s.want("Solicit", msgSolicit), func(m *dhcpMessage) { pd("2001:db8:100::/48")(m); m.rapid = true })
	event[DelegationGranted](s, "rapid commit")
	return s
}

func TestFourMessages(t *testing.T) {
	s := talkTo(t, DelegationConfig{Hint: prefix("2001:db8:100::/48")})
	s.d.Start(start)
	s.tick("with chance at its least there is no first wait", 0)
	m := s.want("Solicit", msgSolicit)
	if !m.rapid || m.serverID != nil || m.elapsed != 0 || !m.asks(optDNS) || !m.asks(optSolMaxRT) {
		t.Errorf("Solicit: %+v", m)
	}
	if ia := m.ia(7); ia == nil || len(ia.prefixes) != 1 || ia.prefixes[0] != (iaPrefix{prefix: prefix("2001:db8:100::/48")}) {
		t.Errorf("the hint is not in the Solicit: %+v", m.prefixes)
	}

	first := pd("2001:db8:a00::/48")
	s.answer(100*time.Millisecond, msgAdvertise, m, first)
	s.silent("the first RT is for collecting Advertises")
	s.answer(200*time.Millisecond, msgAdvertise, m, func(r *dhcpMessage) {
		pd("2001:db8:b00::/48")(r)
		r.pref, r.serverID = 9, []byte{0, 2, 9}
	})
	s.answer(300*time.Millisecond, msgAdvertise, m, first)
	s.tick("IRT is over: strictly more than 1 s", sec+1)
	q := s.want("the best offer is asked for", msgRequest)
	if string(q.serverID) != "\x00\x02\x09" || q.ia(7).prefixes[0].prefix != prefix("2001:db8:b00::/48") || q.xid == m.xid || q.elapsed != 0 {
		t.Errorf("Request: %+v", q)
	}
	s.answer(2*sec, msgReply, q, pd("2001:db8:a00::/48"))
	s.quiet("a Reply of another server than that asked")
	s.tick("nobody answers", 2*sec+1)
	q2 := s.want("the Request again", msgRequest)
	if q2.xid != q.xid || q2.elapsed != 100 {
		t.Errorf("a repetition has transaction-id %d, not %d, and elapsed time %d", q2.xid, q.xid, q2.elapsed)
	}
	s.answer(3*sec, msgReply, q2, func(r *dhcpMessage) { pd("2001:db8:b00::/48")(r); r.serverID = q.serverID })
	l := event[DelegationGranted](s, "a lease").Lease
	if len(l.Prefixes) != 1 || l.Prefixes[0] != (Prefix{prefix("2001:db8:b00::/48"), at(3603 * sec), at(7203 * sec)}) ||
		!slices.Equal(l.DNS, []netip.Addr{addr("2001:db8::53")}) || s.d.State() != DelegationBound {
		t.Errorf("%v %+v", s.d.State(), l)
	}
	s.answer(4*sec, msgReply, q2, pd("2001:db8:c00::/48"))
	s.quiet("the same Reply again")
	if got := s.d.Deadline(); got != at(1803*sec) {
		t.Errorf("T1 at %v", got.Sub(start))
	}
}

func TestRapidCommitOnlyIfOffered(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	m := s.want("Solicit", msgSolicit)
	s.answer(0, msgReply, m, pd("2001:db8:100::/48"))
	s.quiet("a Reply without Rapid Commit does not answer a Solicit")
	s.answer(0, msgReply, m, func(r *dhcpMessage) { pd("2001:db8:100::/48")(r); r.rapid = true })
	event[DelegationGranted](s, "with it, it does")
}

func TestPreference255IsTakenAtOnce(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.answer(0, msgAdvertise, s.want("Solicit", msgSolicit), func(r *dhcpMessage) { pd("2001:db8:100::/48")(r); r.pref = 255 })
	s.want("Request", msgRequest)
}

func TestOfTwoEqualOffersTheFirstIsTaken(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	m := s.want("Solicit", msgSolicit)
	s.answer(0, msgAdvertise, m, pd("2001:db8:100::/48"))
	s.answer(0, msgAdvertise, m, func(r *dhcpMessage) { pd("2001:db8:200::/48")(r); r.serverID = []byte{0, 2, 9} })
	s.d.Tick(s.d.Deadline())
	if m = s.want("Request", msgRequest); string(m.serverID) != string(ispDUID) {
		t.Errorf("%+v", m)
	}
}

func TestALateAdvertiseIsTakenAtOnce(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.want("Solicit", msgSolicit)
	s.d.Tick(s.d.Deadline())
	m := s.want("Solicit again", msgSolicit)
	s.answer(2*sec, msgAdvertise, m, pd("2001:db8:100::/48"))
	s.want("after the first RT the first offer will do", msgRequest)
}

func TestRenewRebindExpire(t *testing.T) {
	s := bound(t)
	s.tick("T1", 1800*sec)
	m := s.want("Renew", msgRenew)
	if string(m.serverID) != string(ispDUID) || m.ia(7).prefixes[0] != (iaPrefix{prefix: prefix("2001:db8:100::/48")}) {
		t.Errorf("%+v", m)
	}
	s.tick("10 s", 1810*sec)
	m = s.want("Renew again", msgRenew)
	s.answer(1811*sec, msgReply, m, nil)
	s.quiet("a Reply that says nothing of our prefix")
	s.answer(1812*sec, msgReply, m, func(r *dhcpMessage) { r.status = status{StatusUnspecFail, "busy"} })
	if r := event[DelegationRefused](s, "it cannot"); r != (DelegationRefused{StatusUnspecFail, "busy"}) {
		t.Errorf("%+v", r)
	}
	s.tick("20 s", 1830*sec)
	m = s.want("Renew again", msgRenew)
	s.answer(1831*sec, msgReply, m, pd("2001:db8:100::/48"))
	if l := event[DelegationGranted](s, "more time").Lease; l.Prefixes[0].Valid != at((1831+7200)*sec) {
		t.Errorf("%+v", l)
	}

	// The server dies.
	now := 1831 * sec
	s.tick("T1", now+1800*sec)
	s.want("Renew", msgRenew)
	for s.d.State() == DelegationRenewing {
		s.d.Tick(s.d.Deadline())
	}
	sent := packets(s.d.Next, &s.events)
	if m, _ = readDHCP(t, sent[len(sent)-1], serverPort); m.kind != msgRebind || m.serverID != nil || len(m.prefixes[0].prefixes) != 1 {
		t.Errorf("after T2: %+v", m)
	}
	if got := s.d.begun; got != at(now+2880*sec) {
		t.Errorf("the first Rebind was after %v", got.Sub(start))
	}
	s.quiet("the prefix is still ours")
	for s.d.State() == DelegationRebinding {
		if got := s.d.Deadline(); got.After(at(now + 7200*sec)) {
			t.Fatalf("it sleeps past the end, until %v", got.Sub(start))
		}
		s.d.Tick(s.d.Deadline())
	}
	packets(s.d.Next, &s.events)
	if e := event[DelegationLost](s, "its time is over"); e.Reason != LostExpired {
		t.Errorf("%+v", e)
	}
	if s.d.State() != DelegationSoliciting {
		t.Errorf("then it is %v", s.d.State())
	}
	if _, ok := s.d.Lease(); ok {
		t.Error("there is still a lease")
	}
}

func TestAServerThatForgotIsAskedAgain(t *testing.T) {
	s := bound(t)
	s.d.Tick(at(1800 * sec))
	s.answer(1801*sec, msgReply, s.want("Renew", msgRenew), iaStatus(StatusNoBinding, ""))
	m := s.want("Request, of what we have", msgRequest)
	if string(m.serverID) != string(ispDUID) || m.ia(7).prefixes[0].prefix != prefix("2001:db8:100::/48") {
		t.Errorf("%+v", m)
	}
	s.quiet("the prefix is not given up yet")
	s.answer(1802*sec, msgReply, m, pd("2001:db8:200::/48"))
	if l := event[DelegationGranted](s, "another one").Lease; len(l.Prefixes) != 1 || l.Prefixes[0].Prefix != prefix("2001:db8:200::/48") {
		t.Errorf("%+v", l)
	}

	s.d.Tick(s.d.Deadline())
	s.answer(4000*sec, msgReply, s.want("Renew", msgRenew), iaStatus(StatusNoBinding, ""))
	s.answer(4001*sec, msgReply, s.want("Request", msgRequest), iaStatus(StatusNoPrefixAvail, "pool empty"))
	packets(s.d.Next, &s.events)
	if len(s.events) != 2 || s.events[0] != (DelegationRefused{StatusNoPrefixAvail, "pool empty"}) || s.events[1] != (DelegationLost{LostWithdrawn}) {
		t.Errorf("events %+v", s.events)
	}
}

func TestAWithdrawnPrefixIsLost(t *testing.T) {
	s := bound(t)
	s.d.Tick(at(1800 * sec))
	m := s.want("Renew", msgRenew)
	s.answer(1801*sec, msgReply, m, func(r *dhcpMessage) {
		r.prefixes = []iaPD{{7, 1800, 2880, []iaPrefix{{0, 0, prefix("2001:db8:100::/48")}, {3600, 7200, prefix("2001:db8:300::/48")}}, status{}}}
	})
	if l := event[DelegationGranted](s, "in its place another").Lease; len(l.Prefixes) != 1 || l.Prefixes[0].Prefix != prefix("2001:db8:300::/48") {
		t.Errorf("%+v", l)
	}
	s.d.Tick(s.d.Deadline())
	m = s.want("Renew", msgRenew)
	s.answer(3700*sec, msgReply, m, func(r *dhcpMessage) {
		r.prefixes = []iaPD{{7, 0, 0, []iaPrefix{{0, 0, prefix("2001:db8:300::/48")}}, status{}}}
	})
	if e := event[DelegationLost](s, "nothing in its place"); e.Reason != LostWithdrawn || s.d.State() != DelegationSoliciting {
		t.Errorf("%+v", e)
	}
}

func TestRefusalsAreToldOnceAndCostTime(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	m := s.want("Solicit", msgSolicit)
	for range 3 {
		s.answer(0, msgAdvertise, m, iaStatus(StatusNoPrefixAvail, "come \x1b[2Jback"))
	}
	if e := event[DelegationRefused](s, "three times the same"); e != (DelegationRefused{StatusNoPrefixAvail, "come .[2Jback"}) {
		t.Errorf("%+v", e)
	}
	// It offers, and does not give: each time costs more.
	var waits []time.Duration
	for range 9 {
		asked := s.d.Deadline()
		s.answer(asked.Sub(start)-1, msgAdvertise, m, pd("2001:db8:100::/48"))
		if s.d.State() == DelegationSoliciting {
			s.d.Tick(asked)
		}
		sent := packets(s.d.Next, &s.events)
		q, _ := readDHCP(t, sent[len(sent)-1], serverPort)
		if q.kind != msgRequest {
			t.Fatalf("%+v", q)
		}
		s.answer(asked.Sub(start), msgReply, q, iaStatus(StatusNoPrefixAvail, "no"))
		waits = append(waits, s.d.Deadline().Sub(asked))
		s.d.Tick(s.d.Deadline())
		m = s.want("Solicit", msgSolicit)
	}
	if waits[0] != sec || waits[1] != 2*sec || waits[8] != maxPenalty {
		t.Errorf("waits %v", waits)
	}
	s.answer(s.d.begun.Sub(start), msgReply, m, func(r *dhcpMessage) { pd("2001:db8:100::/48")(r); r.rapid = true })
	if s.d.State() != DelegationBound || s.d.penalty != 0 || s.d.refused != nil {
		t.Error("one that gives makes up for it")
	}
}

func TestRequestsAreGivenUp(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.answer(0, msgAdvertise, s.want("Solicit", msgSolicit), func(r *dhcpMessage) { pd("2001:db8:100::/48")(r); r.pref = 255 })
	for range reqMaxRC {
		s.want("Request", msgRequest)
		s.d.Tick(s.d.Deadline())
	}
	s.d.Tick(s.d.Deadline())
	s.want("back to the beginning", msgSolicit)
}

func TestSolicitsGrowAsRFC8415SaysTheyDo(t *testing.T) {
	for share := range 11 {
		s := talkTo(t, DelegationConfig{Random: chance(float64(share) / 10)})
		s.d.Start(start)
		if first := s.d.Deadline().Sub(start); first < 0 || first > solMaxDelay {
			t.Errorf("first after %v", first)
		}
		var last time.Duration
		for i := range 20 {
			now := s.d.Deadline()
			s.d.Tick(now)
			rt := s.d.Deadline().Sub(now)
			low, high := last*2-last/10, last*2+last/10
			if i == 0 {
				low, high = solTimeout+1, solTimeout+solTimeout/10
			}
			if high > solMaxRT {
				low, high = min(low, solMaxRT-solMaxRT/10), solMaxRT+solMaxRT/10
			}
			if rt < low || rt > high {
				t.Errorf("RT %d is %v, want %v to %v", i, rt, low, high)
			}
			if share != 5 && (rt-(low+high)/2).Abs() < rt/1000 {
				t.Errorf("RT %d is %v: chance makes no difference", i, rt)
			}
			last = rt
		}
	}
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.answer(0, msgAdvertise, s.want("Solicit", msgSolicit), func(r *dhcpMessage) { r.solMaxRT = 60 })
	for range 10 {
		s.d.Tick(s.d.Deadline())
	}
	if s.d.rt.last != 60*sec {
		t.Errorf("the server's SOL_MAX_RT of 60 s counts, even where it has no prefix: %v", s.d.rt.last)
	}
}

func TestReleaseAndStop(t *testing.T) {
	s := bound(t)
	s.d.Release(at(100 * sec))
	m := s.want("Release", msgRelease)
	if m.ia(7).prefixes[0].prefix != prefix("2001:db8:100::/48") || string(m.serverID) != string(ispDUID) {
		t.Errorf("%+v", m)
	}
	if e := event[DelegationLost](s, "not used from that moment"); e.Reason != LostReleased {
		t.Errorf("%+v", e)
	}
	s.d.Tick(s.d.Deadline())
	s.want("Release again", msgRelease)
	s.answer(102*sec, msgReply, m, func(r *dhcpMessage) { r.status.code = StatusNoBinding })
	event[DelegationDone](s, "whatever the answer")
	if !s.d.Deadline().IsZero() || s.d.State() != DelegationDown {
		t.Error("it still wants something")
	}

	s = bound(t)
	s.d.Release(at(100 * sec))
	for range relMaxRC {
		s.want("Release", msgRelease)
		s.d.Tick(s.d.Deadline())
	}
	packets(s.d.Next, &s.events)
	if len(s.events) != 2 || s.events[1] != (DelegationDone{}) {
		t.Errorf("without an answer: %+v", s.events)
	}

	s = bound(t)
	s.d.Stop()
	s.silent("a link that is gone is not written to")
	event[DelegationDone](s, "stopped")
	s.d.Stop()
	s.d.Release(start)
	s.d.Tick(at(time.Hour))
	s.quiet("over is over")

	s = talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Release(start)
	event[DelegationDone](s, "there was nothing to give back")
}

func TestStateless(t *testing.T) {
	s := talkTo(t, DelegationConfig{Stateless: true})
	s.d.Start(start)
	s.d.Tick(start)
	m := s.want("Information-request", msgInform)
	if len(m.prefixes) != 0 || !m.asks(optRefresh) || !m.asks(optInfMaxRT) || !m.asks(optDNS) {
		t.Errorf("%+v", m)
	}
	dns := func(r *dhcpMessage) {
		r.dns, r.refresh = []netip.Addr{addr("2001:db8::53"), addr("ff02::1")}, 3000
	}
	s.answer(0, msgReply, m, func(r *dhcpMessage) { r.status = status{StatusUnspecFail, "no"} })
	event[DelegationRefused](s, "it will not")
	s.answer(0, msgReply, m, dns)
	if e := event[DelegationLearned](s, "servers"); !slices.Equal(e.DNS, []netip.Addr{addr("2001:db8::53")}) {
		t.Errorf("%+v", e)
	}
	s.tick("refresh", 3000*sec)
	m = s.want("Information-request", msgInform)
	s.answer(3000*sec, msgReply, m, func(r *dhcpMessage) { dns(r); r.refresh, r.infMaxRT = 5, 600 })
	s.quiet("no news")
	s.tick("not more often than every 600 s", 3600*sec)
	if s.d.rt.max != 600*sec {
		t.Errorf("INF_MAX_RT %v", s.d.rt.max)
	}
	m = s.want("Information-request", msgInform)
	s.answer(3600*sec, msgReply, m, func(r *dhcpMessage) {})
	if e := event[DelegationLearned](s, "no servers any more"); len(e.DNS) != 0 {
		t.Errorf("%+v", e)
	}
	s.tick("once a day unless told otherwise", (3600+86400)*sec)
}

func TestRepliesThatAreNone(t *testing.T) {
	reply := func(m dhcpMessage) dhcpMessage {
		r := dhcpMessage{kind: msgReply, xid: m.xid, clientID: m.clientID, serverID: ispDUID, rapid: true}
		pd("2001:db8:100::/48")(&r)
		return r
	}
	us, them := LinkLocal(ourID), LinkLocal(peerID)
	ia := func(change func(*iaPD)) func(*dhcpMessage) { return func(m *dhcpMessage) { change(&m.prefixes[0]) } }
	one := func(p iaPrefix) func(*dhcpMessage) { return ia(func(i *iaPD) { i.prefixes = []iaPrefix{p} }) }
	for name, change := range map[string]func(*dhcpMessage){
		"another transaction":   func(m *dhcpMessage) { m.xid ^= 1 },
		"another client":        func(m *dhcpMessage) { m.clientID = ispDUID },
		"no client":             func(m *dhcpMessage) { m.clientID = nil },
		"no server":             func(m *dhcpMessage) { m.serverID = nil },
		"a failure":             func(m *dhcpMessage) { m.status.code = StatusUnspecFail },
		"another kind":          func(m *dhcpMessage) { m.kind = 10 },
		"another IAID":          ia(func(i *iaPD) { i.iaid++ }),
		"T1 after T2":           ia(func(i *iaPD) { i.t1, i.t2 = 2, 1 }),
		"preferred after valid": one(iaPrefix{61, 60, prefix("2001:db8::/48")}),
		"valid for nothing":     one(iaPrefix{0, 0, prefix("2001:db8::/48")}),
		"smaller than a subnet": one(iaPrefix{60, 60, prefix("2001:db8::/72")}),
		"link-local":            one(iaPrefix{60, 60, prefix("fe80::/48")}),
		"multicast":             one(iaPrefix{60, 60, prefix("ff02::/48")}),
		"everything":            one(iaPrefix{60, 60, prefix("::/0")}),
		"no prefix":             ia(func(i *iaPD) { i.prefixes = nil }),
	} {
		s := talkTo(t, DelegationConfig{})
		s.d.Start(start)
		s.d.Tick(start)
		r := reply(s.want("Solicit", msgSolicit))
		change(&r)
		s.d.Input(start, appendUDP(nil, them, us, 64, serverPort, clientPort, r.append(nil)))
		if _, ok := s.d.Lease(); ok {
			t.Errorf("%s: it is believed", name)
		}
	}
	for name, wrap := range map[string]func([]byte) []byte{
		"to another port":    func(b []byte) []byte { return appendUDP(nil, them, us, 64, serverPort, 547, b) },
		"to another address": func(b []byte) []byte { return appendUDP(nil, them, addr("fe80::1"), 64, serverPort, clientPort, b) },
		"from us":            func(b []byte) []byte { return appendUDP(nil, us, us, 64, serverPort, clientPort, b) },
		"wrong checksum": func(b []byte) []byte {
			p := appendUDP(nil, them, us, 64, serverPort, clientPort, b)
			p[46]++
			return p
		},
		"no checksum": func(b []byte) []byte {
			p := appendUDP(nil, them, us, 64, serverPort, clientPort, b)
			p[46], p[47] = 0, 0
			return p
		},
		"UDP length of more": func(b []byte) []byte {
			p := appendUDP(nil, them, us, 64, serverPort, clientPort, b)
			p[45]++
			p[46], p[47] = 0, 0
			return finish(p, 6)
		},
		"UDP length of less": func(b []byte) []byte {
			p := appendUDP(nil, them, us, 64, serverPort, clientPort, b)
			p[45]--
			p[46], p[47] = 0, 0
			return finish(p, 6)
		},
		"cut inside": func(b []byte) []byte { return appendUDP(nil, them, us, 64, serverPort, clientPort, b[:len(b)-1]) },
		"empty":      func(b []byte) []byte { return appendUDP(nil, them, us, 64, serverPort, clientPort, nil) },
	} {
		s := talkTo(t, DelegationConfig{})
		s.d.Start(start)
		s.d.Tick(start)
		r := reply(s.want("Solicit", msgSolicit))
		s.d.Input(start, wrap(r.append(nil)))
		if _, ok := s.d.Lease(); ok {
			t.Errorf("%s: it is believed", name)
		}
	}
}

func TestWhenToRenew(t *testing.T) {
	p := func(preferred, valid uint32) []Prefix {
		return []Prefix{{prefix("2001:db8::/48"), until(start, preferred), until(start, valid)}}
	}
	never := time.Duration(-1)
	for _, tt := range []struct {
		name   string
		t1, t2 uint32
		lease  []Prefix
		w1, w2 time.Duration
	}{
		{"as told", 100, 200, p(3600, 7200), 100 * sec, 200 * sec},
		{"left to us", 0, 0, p(1000, 7200), 500 * sec, 800 * sec},
		{"only T1 told", 600, 0, p(1000, 7200), 600 * sec, 800 * sec},
		{"not preferred any more", 0, 0, p(0, 1000), 500 * sec, 800 * sec},
		{"after the end", 2000, 3000, p(1000, 1000), 500 * sec, 800 * sec},
		{"never, for ever", infinity, infinity, p(infinity, infinity), never, never},
		{"left to us, for ever", 0, 0, p(infinity, infinity), never, never},
		{"never, but it ends", infinity, infinity, p(1000, 1000), 500 * sec, 800 * sec},
		{"all the time", 1, 1, p(3600, 7200), leastT1, leastT1},
	} {
		t1, t2 := times(start, &iaPD{t1: tt.t1, t2: tt.t2}, tt.lease)
		for _, c := range []struct {
			name string
			got  time.Time
			want time.Duration
		}{{"T1", t1, tt.w1}, {"T2", t2, tt.w2}} {
			if c.got.IsZero() != (c.want == never) || !c.got.IsZero() && c.got.Sub(start) != c.want {
				t.Errorf("%s: %s is %v, want %v", tt.name, c.name, c.got.Sub(start), c.want)
			}
		}
	}
}

func TestOnePrefixOfTwoExpires(t *testing.T) {
	s := talkTo(t, DelegationConfig{})
	s.d.Start(start)
	s.d.Tick(start)
	s.answer(0, msgReply, s.want("Solicit", msgSolicit), func(m *dhcpMessage) {
		m.rapid = true
		m.prefixes = []iaPD{{7, 5000, 6000, []iaPrefix{{30, 60, prefix("2001:db8:1::/48")}, {3600, 7200, prefix("2001:db8:2::/48")}}, status{}}}
	})
	event[DelegationGranted](s, "two")
	// T1 and T2 are the server's, but they may not come after the shorter one.
	s.d.Tick(at(30 * sec))
	s.want("Renew", msgRenew)
	s.d.Tick(at(60 * sec))
	packets(s.d.Next, &s.events)
	if len(s.events) != 1 {
		t.Fatalf("%+v", s.events)
	}
	if l := s.events[0].(DelegationGranted).Lease; len(l.Prefixes) != 1 || l.Prefixes[0].Prefix != prefix("2001:db8:2::/48") {
		t.Errorf("%+v", l)
	}
}

func TestDelegationStatesHaveNames(t *testing.T) {
	for s := DelegationIdle; s <= DelegationDown; s++ {
		if s.String() == "" || s.String() == "unknown" {
			t.Errorf("state %d", s)
		}
	}
	if DelegationState(99).String() != "unknown" {
		t.Error("99")
	}
}
