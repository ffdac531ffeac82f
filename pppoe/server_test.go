package pppoe

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var acMAC = MAC{2, 0, 0, 0, 0xff, 1}

// desk is a conversation with one server.
type desk struct {
	t   *testing.T
	s   *Server
	now time.Time
}

func newDesk(t *testing.T, cfg ServerConfig) *desk {
	cfg.ACName, cfg.MAC = "ac", acMAC
	return &desk{t: t, s: NewServer(cfg), now: start}
}

func (d *desk) hear(src MAC, code Code, sid uint16, tags ...Tag) {
	d.s.Input(d.now, src, Packet{Code: code, SessionID: sid, Tags: tags}.Append(nil))
}

// wantSend is the next out, which must be a packet; its cookie is given back
// and left out of the comparison.
func (d *desk) wantSend(why string, dst MAC, code Code, sid uint16, tags ...Tag) (cookie Tag) {
	d.t.Helper()
	out, _ := d.s.Next()
	send, ok := out.(Send)
	if !ok {
		d.t.Fatalf("%s: got %T %+v, want %v", why, out, out, code)
	}
	p, err := ParsePacket(send.Packet)
	if err != nil || send.Dst != dst || send.Code != code {
		d.t.Fatalf("%s: %v to %v, %v", why, send.Code, send.Dst, err)
	}
	got := Packet{Code: p.Code, SessionID: p.SessionID}
	for _, tag := range p.Tags {
		if tag.Type == TagACCookie {
			cookie = tag
			continue
		}
		got.Tags = append(got.Tags, tag)
	}
	if diff := cmp.Diff(Packet{code, sid, tags}, got, sameTags); diff != "" {
		d.t.Fatalf("%s: (-want +got)\n%s", why, diff)
	}
	return cookie
}

func (d *desk) wantEvent(why string, want ServerOut) {
	d.t.Helper()
	out, _ := d.s.Next()
	if diff := cmp.Diff(want, out, sameTags); diff != "" {
		d.t.Fatalf("%s: (-want +got)\n%s", why, diff)
	}
}

func (d *desk) wantQuiet(why string) {
	d.t.Helper()
	if out, ok := d.s.Next(); ok {
		d.t.Fatalf("%s: got %T %+v", why, out, out)
	}
}

// cookie asks for one.
func (d *desk) cookie(src MAC) Tag {
	d.t.Helper()
	d.hear(src, PADI, 0, anyName)
	more := make([]Tag, len(d.s.cfg.Services))
	for i, name := range d.s.cfg.Services {
		more[i] = StringTag(TagServiceName, name)
	}
	return d.wantSend("offers", src, PADO, 0, append([]Tag{StringTag(TagACName, "ac"), anyName}, more...)...)
}

// open opens a session.
func (d *desk) open(src MAC, sid uint16) {
	d.t.Helper()
	d.hear(src, PADR, 0, anyName, d.cookie(src))
	d.wantSend("grants", src, PADS, sid, anyName)
	d.wantEvent("grants", ServerOpened{Peer: src, SessionID: sid, MaxPayload: 1492})
}

func TestServerServes(t *testing.T) {
	d := newDesk(t, ServerConfig{Services: []string{"isp", "voice"}, MaxPayload: 1500})
	relay, payload := StringTag(TagRelaySessionID, "relay"), maxPayloadTag(1496)
	line, _ := AccessLine{CircuitID: "port 3", IWF: true}.Tag()
	d.hear(host1, PADI, 0, StringTag(TagServiceName, "voice"), relay, ourUniq, line, payload)
	c := d.wantSend("the service asked for first, then the others", host1, PADO, 0,
		StringTag(TagACName, "ac"), StringTag(TagServiceName, "voice"), ourUniq, relay, payload, StringTag(TagServiceName, "isp"))
	if d.s.Sessions() != 0 {
		t.Error("a PADI made a session")
	}
	d.hear(host1, PADR, 0, StringTag(TagServiceName, "voice"), c, relay, ourUniq, line, payload)
	d.wantSend("granted", host1, PADS, 1, StringTag(TagServiceName, "voice"), ourUniq, relay, payload)
	d.wantEvent("who, for what, from where", ServerOpened{
		Peer: host1, SessionID: 1, ServiceName: "voice", HostUniq: uniq,
		AccessLine: AccessLine{CircuitID: "port 3", IWF: true}, MaxPayload: 1496,
	})
	d.hear(host2, PADT, 1)
	d.hear(host1, PADT, 2)
	d.wantQuiet("a PADT counts only from the session's own peer")
	d.hear(host1, PADT, 1, StringTag(TagGenericError, "bye"))
	d.wantEvent("its own", ServerClosed{host1, 1, "bye"})
	d.wantQuiet("no PADT is sent to a PADT")
	want := ServerCounters{PADI: 1, PADO: 1, PADR: 1, PADS: 1, PADT: 3, ForeignPADT: 2}
	if got := d.s.Counters(); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
}

func TestServerStaysSilent(t *testing.T) {
	for _, tt := range []struct {
		name string
		src  MAC
		code Code
		sid  uint16
		tags []Tag
	}{
		{"a service that is not offered", host1, PADI, 0, []Tag{StringTag(TagServiceName, "other")}},
		{"a PADI without Service-Name", host1, PADI, 0, nil},
		{"a PADI with two", host1, PADI, 0, []Tag{anyName, anyName}},
		{"a PADI with a session id", host1, PADI, 1, []Tag{anyName}},
		{"a PADI from a group address", Broadcast, PADI, 0, []Tag{anyName}},
		{"our own PADI", acMAC, PADI, 0, []Tag{anyName}},
		{"a PADI with tags so long that no answer can repeat them", host1, PADI, 0, []Tag{anyName, {TagHostUniq, make([]byte, 1480)}}},
		{"a PADR with a session id", host1, PADR, 1, []Tag{anyName}},
		{"a PADR without cookie", host1, PADR, 0, []Tag{anyName}},
		{"another AC's offer", host1, PADO, 0, []Tag{anyName}},
	} {
		d := newDesk(t, ServerConfig{Services: []string{"isp"}})
		d.hear(tt.src, tt.code, tt.sid, tt.tags...)
		d.wantQuiet(tt.name)
	}
	d := newDesk(t, ServerConfig{})
	d.s.Input(d.now, host1, []byte{0x11, 9, 0})
	d.wantQuiet("a packet cut short")
	if d.s.Counters().Malformed != 1 {
		t.Error("was not counted")
	}
}

func TestServerCookies(t *testing.T) {
	const life = 10 * sec
	flip := func(c Tag, i int) Tag {
		data := append([]byte(nil), c.Data...)
		data[i] ^= 1
		return Tag{TagACCookie, data}
	}
	for _, tt := range []struct {
		name  string
		after time.Duration
		src   MAC
		alter func(Tag) Tag
		good  bool
	}{
		{"at once", 0, host1, nil, true},
		{"within its life", life - 1, host1, nil, true},
		{"as late as can be", 2*life - 1, host1, nil, true}, // start is where a slot begins
		{"two lives later", 2 * life, host1, nil, false},
		{"before it was made", -2 * life, host1, nil, false},
		{"from another address", 0, host2, nil, false},
		{"its number altered", 0, host1, func(c Tag) Tag { return flip(c, 0) }, false},
		{"its sum altered", 0, host1, func(c Tag) Tag { return flip(c, cookieLen-1) }, false},
		{"cut", 0, host1, func(c Tag) Tag { return Tag{TagACCookie, c.Data[:cookieLen-1]} }, false},
		{"empty", 0, host1, func(Tag) Tag { return Tag{TagACCookie, nil} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, ServerConfig{CookieLife: life})
			c := d.cookie(host1)
			if tt.alter != nil {
				c = tt.alter(c)
			}
			d.now = d.now.Add(tt.after)
			d.hear(tt.src, PADR, 0, anyName, c)
			if (d.s.Sessions() == 1) != tt.good || (d.s.Counters().BadCookie == 1) == tt.good {
				t.Errorf("sessions: %d", d.s.Sessions())
			}
			if !tt.good {
				d.wantQuiet("an error tag would reach whom the address belongs to, or make a host give up this AC")
			}
		})
	}
}

func TestServerCookiesOfAnotherServer(t *testing.T) {
	d := newDesk(t, ServerConfig{CookieKey: [32]byte{1}})
	other := newDesk(t, ServerConfig{CookieKey: [32]byte{2}})
	d.hear(host1, PADR, 0, anyName, other.cookie(host1))
	d.wantQuiet("another key, another AC")
}

// TestServerWithoutAKey: a cookie that anyone could make would be worth nothing.
func TestServerWithoutAKey(t *testing.T) {
	c := newDesk(t, ServerConfig{}).cookie(host1)
	d := newDesk(t, ServerConfig{})
	d.hear(host1, PADR, 0, anyName, c)
	d.wantQuiet("a server's cookies are its own, also without a key of its owner's")

	s := NewServer(ServerConfig{MAC: acMAC})
	s.Input(start, host1, Packet{Code: PADI, Tags: []Tag{anyName}}.Append(nil))
	out, _ := s.Next()
	if p, err := ParsePacket(out.(Send).Packet); err != nil || !p.has(TagACName, "tributary") {
		t.Errorf("a PADO must have one AC-Name: %+v, %v", p, err)
	}
}

func TestServerRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  ServerConfig
		prep func(d *desk)
		tags []Tag
		want []Tag
	}{
		{"a service that is not offered", ServerConfig{Services: []string{"isp"}}, nil, []Tag{StringTag(TagServiceName, "other")},
			[]Tag{StringTag(TagServiceName, "other"), StringTag(TagServiceNameError, "no such service here")}},
		{"no service", ServerConfig{}, nil, nil,
			[]Tag{anyName, StringTag(TagServiceNameError, "exactly one Service-Name is needed")}},
		{"full", ServerConfig{MaxSessions: 1}, func(d *desk) { d.open(host2, 1) }, []Tag{anyName},
			[]Tag{anyName, StringTag(TagACSystemError, "no more sessions here")}},
		{"too many of one address", ServerConfig{MaxPerMAC: 1}, func(d *desk) { d.open(host1, 1) }, []Tag{anyName},
			[]Tag{anyName, StringTag(TagACSystemError, "no more sessions for this address")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.cfg)
			c := d.cookie(host1)
			if tt.prep != nil {
				tt.prep(d)
			}
			n := d.s.Sessions()
			d.hear(host1, PADR, 0, append(tt.tags, c, ourUniq, StringTag(TagRelaySessionID, "r"))...)
			d.wantSend("session id 0 and an error tag", host1, PADS, 0, append(tt.want, ourUniq, StringTag(TagRelaySessionID, "r"))...)
			d.wantQuiet("that is all")
			if d.s.Sessions() != n || d.s.Counters().Refused != 1 {
				t.Error("a refusal left something behind")
			}
		})
	}
}

func TestServerMakesNoOfferItCannotKeep(t *testing.T) {
	d := newDesk(t, ServerConfig{MaxPerMAC: 1, MaxSessions: 2})
	d.open(host1, 1)
	d.hear(host1, PADI, 0, anyName)
	d.wantQuiet("this address has its share")
	d.open(host2, 2)
	d.hear(MAC{2, 9}, PADI, 0, anyName)
	d.wantQuiet("full")
	d.hear(host1, PADT, 1)
	d.wantEvent("", ServerClosed{host1, 1, ""})
	d.cookie(host1) // and there is room again
}

func TestServerRepeatedPADR(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	c := d.cookie(host1)
	d.hear(host1, PADR, 0, anyName, c, ourUniq)
	d.wantSend("granted", host1, PADS, 1, anyName, ourUniq)
	d.wantEvent("", ServerOpened{Peer: host1, SessionID: 1, HostUniq: uniq, MaxPayload: 1492})
	d.hear(host1, PADR, 0, anyName, c, ourUniq)
	d.wantSend("the PADS was lost: the same session", host1, PADS, 1, anyName, ourUniq)
	d.wantQuiet("no second one")
	other := StringTag(TagHostUniq, "uniq-2")
	d.hear(host1, PADR, 0, anyName, c, other)
	d.wantSend("another of the host's processes", host1, PADS, 2, anyName, other)
	d.wantEvent("", ServerOpened{Peer: host1, SessionID: 2, HostUniq: other.Data, MaxPayload: 1492})
	d.s.Received(host2, 1)
	d.s.Received(host1, 77)
	d.hear(host1, PADR, 0, anyName, c, ourUniq)
	d.wantSend("what another peer sends says nothing of this one", host1, PADS, 1, anyName, ourUniq)
	d.s.Received(host1, 1)
	d.s.Received(host1, 1)
	d.hear(host1, PADR, 0, anyName, c, ourUniq)
	d.wantQuiet("its PADS had arrived: this was still under way, and a session for it would be a ghost")
	d.s.CloseSession(d.now, host1, 2, "")
	d.wantSend("the other ends before a frame has come", host1, PADT, 2)
	d.hear(host1, PADR, 0, anyName, c, other)
	d.wantQuiet("and does not come back by itself")
	if n := d.s.Counters().Late; n != 2 {
		t.Errorf("%d late PADRs", n)
	}
	d.hear(host1, PADR, 0, anyName, d.cookie(host1), ourUniq)
	d.wantSend("a new offer is good for a new session", host1, PADS, 3, anyName, ourUniq)
}

// TestServerRemembersWhatIsSpent: as long as a cookie is good, and no longer.
func TestServerRemembersWhatIsSpent(t *testing.T) {
	const life = 10 * time.Second
	for at := time.Duration(0); at < life; at += time.Second {
		for wait := time.Duration(0); wait < 2*life; wait += time.Second {
			d := newDesk(t, ServerConfig{CookieLife: life})
			d.now = d.now.Add(at)
			c := d.cookie(host1)
			d.now = d.now.Add(wait)
			d.hear(host1, PADR, 0, anyName, c)
			if d.s.Sessions() == 0 {
				break // it had expired
			}
			d.s.Received(host1, 1)
			for i := range 25 {
				d.s.out = queue[ServerOut]{}
				d.hear(host1, PADR, 0, anyName, c)
				d.wantQuiet(fmt.Sprintf("%d s later it opens no second session", i))
				d.now = d.now.Add(time.Second)
			}
			d.hear(host2, PADR, 0, anyName, d.cookie(host2))
			if n := len(d.s.spent[0]) + len(d.s.spent[1]); n != 0 {
				t.Fatalf("%d PADRs are remembered that have no good cookie any more", n)
			}
		}
	}

	d := newDesk(t, ServerConfig{})
	for i := range maxSpent + 10 {
		d.s.spend(grantKey{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if n := len(d.s.spent[0]); n != maxSpent {
		t.Errorf("%d are remembered", n)
	}
}

func TestServerCloses(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	relay := StringTag(TagRelaySessionID, "r")
	d.hear(host1, PADR, 0, anyName, d.cookie(host1), relay)
	d.wantSend("granted", host1, PADS, 1, anyName, relay)
	d.wantEvent("", ServerOpened{Peer: host1, SessionID: 1, MaxPayload: 1492})
	if d.s.CloseSession(d.now, host2, 1, "") || d.s.CloseSession(d.now, host1, 2, "") {
		t.Error("closed what is not there")
	}
	if !d.s.CloseSession(d.now, host1, 1, "maintenance") {
		t.Error("did not close what is there")
	}
	d.wantSend("the peer is told why", host1, PADT, 1, relay, StringTag(TagGenericError, "maintenance"))
	d.wantQuiet("the owner knows")
	if len(d.s.sessions)+len(d.s.perMAC)+len(d.s.fresh) != 0 {
		t.Error("something is left behind")
	}
}

func TestServerIllFormedPADT(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	d.open(host1, 1)
	b := Packet{Code: PADT, SessionID: 1, Tags: []Tag{StringTag(TagGenericError, "bye")}}.Append(nil)
	b = append(b, 1, 1, 0)
	b[5] += 3
	d.s.Input(d.now, host2, b)
	d.wantQuiet("it is not this host's")
	d.s.Input(d.now, host1, b)
	d.wantEvent("half a tag ends the session like a whole one", ServerClosed{host1, 1, "bye"})
	if c := d.s.Counters(); c.Malformed != 0 || c.PADT != 2 || c.ForeignPADT != 1 {
		t.Errorf("%+v", c)
	}
}

func TestServerSessionIDs(t *testing.T) {
	d := newDesk(t, ServerConfig{Random: func(n int64) int64 { return n - 2 }})
	d.open(host1, 0xfffd)
	d.open(host1, 0xfffe)
	d.open(host1, 1) // 0xffff and 0 are not session ids
	d.hear(host1, PADT, 1)
	d.wantEvent("", ServerClosed{host1, 1, ""})
	d.open(host1, 2) // 1 has only just been given back
}

func TestServerGivesOutEveryID(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	c := d.cookie(host1)
	for i := range maxSessions {
		d.hear(host1, PADR, 0, anyName, c, StringTag(TagHostUniq, fmt.Sprint(i)))
	}
	if d.s.Sessions() != maxSessions || d.s.sessions[0] != nil || d.s.sessions[0xffff] != nil {
		t.Fatalf("%d sessions", d.s.Sessions())
	}
	d.s.out = queue[ServerOut]{}
	d.hear(host1, PADR, 0, anyName, c)
	d.wantSend("not one more", host1, PADS, 0, anyName, StringTag(TagACSystemError, "no more sessions here"))
}

func TestServerPADODelay(t *testing.T) {
	d := newDesk(t, ServerConfig{PADODelay: sec})
	d.hear(host1, PADI, 0, anyName)
	d.wantQuiet("others first")
	if at := d.s.Deadline(); !at.Equal(start.Add(sec)) {
		t.Errorf("deadline %v", at)
	}
	d.now = d.now.Add(sec - 1)
	d.s.Tick(d.now)
	d.wantQuiet("not yet")
	d.now = d.now.Add(1)
	d.s.Tick(d.now)
	d.wantSend("now", host1, PADO, 0, StringTag(TagACName, "ac"), anyName)
	if !d.s.Deadline().IsZero() {
		t.Error("nothing waits any more")
	}
	for range 10 * maxDelayed {
		d.hear(host1, PADI, 0, anyName)
	}
	if len(d.s.delayed) > maxDelayed {
		t.Errorf("%d PADOs wait", len(d.s.delayed))
	}
}

func TestServerPADIFloodLeavesNothing(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	for i := range 10_000 {
		src := MAC{2, 1, 0, 0, byte(i >> 8), byte(i)}
		d.hear(src, PADI, 0, anyName)
		d.wantSend("offers", src, PADO, 0, StringTag(TagACName, "ac"), anyName)
	}
	if n := len(d.s.sessions) + len(d.s.perMAC) + len(d.s.fresh) + len(d.s.delayed) + len(d.s.out.items); n != 0 {
		t.Errorf("%d things left behind", n)
	}
}

func TestServerManyServices(t *testing.T) {
	var cfg ServerConfig
	for i := range 200 {
		cfg.Services = append(cfg.Services, fmt.Sprintf("service-%03d", i))
	}
	d := newDesk(t, cfg)
	d.hear(host1, PADI, 0, StringTag(TagServiceName, "service-150"), ourUniq)
	out, _ := d.s.Next()
	send := out.(Send)
	p, err := ParsePacket(send.Packet)
	if err != nil || len(send.Packet) > MaxDiscovery || !p.has(TagServiceName, "service-150") || !p.has(TagServiceName, "service-000") {
		t.Errorf("%d octets, %v", len(send.Packet), err)
	}
}

func TestServerPADRTooLongToAnswer(t *testing.T) {
	d := newDesk(t, ServerConfig{})
	c := d.cookie(host1)
	d.hear(host1, PADR, 0, anyName, c, Tag{TagHostUniq, make([]byte, 1487)})
	d.wantQuiet("a PADS with that Host-Uniq does not fit into a frame")
	if d.s.Sessions() != 0 {
		t.Error("a session nobody knows of")
	}
}

func TestTerminate(t *testing.T) {
	got := Terminate(macA, 0x102, "restarted")
	want := Send{macA, PADT, []byte("\x11\xa7\x01\x02\x00\x0d\x02\x03\x00\x09restarted")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An AC that gives out the lowest free id has the last one's back at once.
func TestLowestID(t *testing.T) {
	d := newDesk(t, ServerConfig{LowestID: true, Random: func(int64) int64 { return 1000 }})
	host := MAC{2, 0, 0, 0, 0, 1}
	for i, want := range []uint16{1, 2, 1} {
		uniq := Tag{Type: TagHostUniq, Data: []byte{byte(i)}}
		d.hear(host, PADI, 0, StringTag(TagServiceName, ""), uniq)
		cookie := d.wantSend("an offer", host, PADO, 0, StringTag(TagACName, "ac"), StringTag(TagServiceName, ""), uniq)
		d.hear(host, PADR, 0, StringTag(TagServiceName, ""), uniq, cookie)
		d.wantSend("the lowest id that is free", host, PADS, want, StringTag(TagServiceName, ""), uniq)
		d.s.Next() // ServerOpened
		if i == 1 {
			d.s.CloseSession(d.now, host, 1, "")
			d.s.Next() // its PADT
		}
	}
}
