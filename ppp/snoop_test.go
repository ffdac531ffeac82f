package ppp

import (
	"net/netip"
	"strings"
	"testing"
)

// snoopTalk is a conversation that a Snoop watches: each line is one frame,
// what it brings about, and why.
type snoopTalk struct {
	t *testing.T
	s *Snoop
}

func (c *snoopTalk) user(why string, frame []byte, want SnoopEvents) {
	c.t.Helper()
	if got := c.s.FromUser(frame); got != want {
		c.t.Errorf("%s: user's frame %x gives %q, want %q", why, frame, got, want)
	}
}

func (c *snoopTalk) ac(why string, frame []byte, want SnoopEvents) {
	c.t.Helper()
	if got := c.s.FromAC(frame); got != want {
		c.t.Errorf("%s: AC's frame %x gives %q, want %q", why, frame, got, want)
	}
}

func (c *snoopTalk) phase(want Phase) {
	c.t.Helper()
	if got := c.s.State().Phase; got != want {
		c.t.Errorf("phase %v, want %v", got, want)
	}
}

// snoopFrame is a control packet of any protocol.
func snoopFrame(proto Protocol, c Code, id uint8, data ...string) []byte {
	return Packet{Code: c, ID: id, Data: []byte(strings.Join(data, ""))}.AppendFrame(nil, proto)
}

// openLCP brings LCP up, the AC asking for these options besides its magic number.
func (c *snoopTalk) openLCP(acOptions string) {
	c.t.Helper()
	c.user("the first request", lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU), 0)
	c.phase(PhaseEstablish)
	c.ac("the AC's", lcpFrame(ConfigureRequest, 5, acOptions, octetsMagicA), 0)
	c.user("Ack", lcpFrame(ConfigureAck, 5, acOptions, octetsMagicA), 0)
	c.ac("both are acked", lcpFrame(ConfigureAck, 1, octetsMRU1492, octetsMagicU), SnoopLCPOpened)
}

const (
	octetsMSCHAP   = "\x03\x05\xc2\x23\x80"
	octetsMSCHAPv2 = "\x03\x05\xc2\x23\x81"
	octetsEAP      = "\x03\x04\xc2\x27"

	octetsNoAddress  = "\x03\x06\x00\x00\x00\x00"
	octetsAddress    = "\x03\x06\xc0\x00\x02\x07"
	octetsPeer       = "\x03\x06\xc0\x00\x02\x01"
	octetsDNS        = "\x81\x06\xc6\x33\x64\x35\x83\x06\xc6\x33\x64\x36"
	octetsUserIntfID = "\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x02"
	octetsACIntfID   = "\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x01"
)

// openIPCP brings IPCP up.
func (c *snoopTalk) openIPCP() {
	c.t.Helper()
	c.ac("the AC says who it is", snoopFrame(ProtoIPCP, ConfigureRequest, 1, octetsPeer), 0)
	c.user("Ack", snoopFrame(ProtoIPCP, ConfigureAck, 1, octetsPeer), 0)
	c.user("the user asks to be told", snoopFrame(ProtoIPCP, ConfigureRequest, 1, octetsNoAddress), 0)
	c.ac("and is", snoopFrame(ProtoIPCP, ConfigureNak, 1, octetsAddress), 0)
	c.user("asks for that", snoopFrame(ProtoIPCP, ConfigureRequest, 2, octetsAddress, octetsDNS), 0)
	c.ac("an Ack of the request before is stale", snoopFrame(ProtoIPCP, ConfigureAck, 1, octetsNoAddress), 0)
	c.ac("and gets it", snoopFrame(ProtoIPCP, ConfigureAck, 2, octetsAddress, octetsDNS), SnoopNetworkOpened)
}

func TestSnoopSession(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.phase(PhaseDead)
	c.user("before LCP is open a name is none", snoopFrame(ProtoPAP, 1, 1, "\x03eve\x00"), 0)
	c.openLCP(octetsCHAP)
	c.phase(PhaseAuthenticate)
	c.ac("challenge", snoopFrame(ProtoCHAP, 1, 1, "\x02\x01\x02bras"), 0)
	c.user("response", snoopFrame(ProtoCHAP, 2, 1, "\x02\xaa\xbbalice@isp"), 0)
	c.ac("success", snoopFrame(ProtoCHAP, 3, 1, "Welcome\x1b[2J\n"), SnoopAuthenticated)
	c.phase(PhaseNetwork)
	c.ac("success again", snoopFrame(ProtoCHAP, 3, 1, "Welcome"), 0)
	c.openIPCP()
	c.ac("CCP is nothing to us", snoopFrame(ProtoCCP, ConfigureRequest, 1), 0)
	c.user("IPV6CP", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1, octetsUserIntfID), 0)
	c.ac("IPV6CP", snoopFrame(ProtoIPV6CP, ConfigureAck, 1, octetsUserIntfID), 0)
	c.ac("IPV6CP", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1, octetsACIntfID), 0)
	c.user("IPV6CP", snoopFrame(ProtoIPV6CP, ConfigureAck, 1, octetsACIntfID), SnoopIPv6Opened)
	c.user("echo", lcpFrame(EchoRequest, 1, "\x11\x22\x33\x44"), 0)
	c.ac("reply", lcpFrame(EchoReply, 1, "\xaa\xbb\xcc\xdd"), SnoopEchoReplyFromAC)
	c.ac("echo", lcpFrame(EchoRequest, 2, "\xaa\xbb\xcc\xdd"), 0)
	c.user("reply", lcpFrame(EchoReply, 2, "\x11\x22\x33\x44"), SnoopEchoReplyByUser)

	want := SnoopState{
		Phase: PhaseNetwork, LCPOpen: true, UserMagic: 0x11223344, ACMagic: 0xaabbccdd, UserMRU: 1492, ACMRU: 1500,
		Auth: "chap-md5", User: "alice@isp", AuthOK: true, Message: "Welcome\ufffd[2J",
		NetworkOpen: true, Address: netip.MustParseAddr("192.0.2.7"), Peer: netip.MustParseAddr("192.0.2.1"),
		DNS:      [2]netip.Addr{netip.MustParseAddr("198.51.100.53"), netip.MustParseAddr("198.51.100.54")},
		IPv6Open: true, UserInterfaceID: 2, ACInterfaceID: 1,
		UserEchoRequests: 1, ACEchoReplies: 1, ACEchoRequests: 1, UserEchoReplies: 1,
	}
	if got := c.s.State(); got != want {
		t.Errorf("state\n got %+v\nwant %+v", got, want)
	}

	c.user("he leaves", lcpFrame(TerminateRequest, 9, "User request"),
		SnoopTerminateByUser|SnoopLCPClosed|SnoopNetworkClosed|SnoopIPv6Closed)
	c.phase(PhaseTerminate)
	c.ac("a request that crosses it opens nothing", lcpFrame(ConfigureRequest, 6), 0)
	c.phase(PhaseTerminate)
	c.user("his own Ack is none of his Request", lcpFrame(TerminateAck, 9), 0)
	c.ac("nor is one with another identifier", lcpFrame(TerminateAck, 8), 0)
	c.ac("the AC lets him go", lcpFrame(TerminateAck, 9), SnoopTerminateAcked)
	c.ac("once", lcpFrame(TerminateAck, 9), 0)
	want = SnoopState{
		Phase: PhaseDead, UserMagic: 0x11223344, ACMagic: 0xaabbccdd, UserMRU: 1492, ACMRU: 1500,
		Auth: "chap-md5", User: "alice@isp", Message: "Welcome\ufffd[2J", TerminateByUser: true, TerminateText: "User request",
		UserEchoRequests: 1, ACEchoReplies: 1, ACEchoRequests: 1, UserEchoReplies: 1,
	}
	if got := c.s.State(); got != want {
		t.Errorf("state at the end\n got %+v\nwant %+v", got, want)
	}
}

func TestSnoopAuth(t *testing.T) {
	type line struct {
		fromAC bool
		frame  []byte
		want   SnoopEvents
	}
	const (
		user = false
		ac   = true
	)
	chap := func(c Code, data string) []byte { return snoopFrame(ProtoCHAP, c, 1, data) }
	pap := func(c Code, data string) []byte { return snoopFrame(ProtoPAP, c, 1, data) }
	eap := func(c Code, data string) []byte { return snoopFrame(ProtoEAP, c, 1, data) }
	for _, tt := range []struct {
		name, option        string
		lines               []line
		auth, user, message string
		phase               Phase
	}{
		{name: "none", auth: "none", phase: PhaseNetwork},
		{name: "pap", option: octetsPAP, auth: "pap", user: "bob", message: "hi", phase: PhaseNetwork, lines: []line{
			{user, pap(1, "\x03bob\x06secret"), 0},
			{user, pap(2, "\x05fraud"), 0}, // not his to say
			{ac, pap(2, "\x02hi"), SnoopAuthenticated},
			{ac, pap(9, ""), 0},
		}},
		{name: "pap refused", option: octetsPAP, auth: "pap", user: "bob", message: "no", phase: PhaseAuthenticate, lines: []line{
			{user, pap(1, "\x03bob\x06secret"), 0},
			{ac, pap(3, "\x02no"), SnoopAuthFailed},
		}},
		{name: "pap with texts cut short", option: octetsPAP, auth: "pap", user: "bo", phase: PhaseNetwork, lines: []line{
			{user, pap(1, "\xffbo"), 0},
			{user, pap(1, ""), 0},
			{ac, pap(2, ""), SnoopAuthenticated},
		}},
		{name: "chap in spite of pap is not looked at", option: octetsPAP, auth: "pap", phase: PhaseAuthenticate, lines: []line{
			{user, chap(2, "\x00eve"), 0},
			{ac, chap(3, ""), 0},
		}},
		{name: "chap whose value is longer than the packet", option: octetsCHAP, auth: "chap-md5", phase: PhaseAuthenticate, lines: []line{
			{user, chap(2, "\x09eve"), 0},
			{user, chap(2, ""), 0},
			{ac, chap(1, ""), 0},
		}},
		{name: "chap fails later on", option: octetsCHAP, auth: "chap-md5", user: "bob", message: "gone", phase: PhaseNetwork, lines: []line{
			{user, chap(2, "\x01xbob"), 0},
			{ac, chap(3, ""), SnoopAuthenticated},
			{ac, chap(4, "gone"), SnoopAuthFailed},
		}},
		{name: "chap of an unknown kind", option: "\x03\x05\xc2\x23\x06", auth: "chap", phase: PhaseAuthenticate},
		{name: "ms-chap", option: octetsMSCHAP, auth: "ms-chap", message: "E=691", phase: PhaseAuthenticate, lines: []line{
			{ac, chap(4, "E=691 R=1 V=3"), SnoopAuthFailed},
		}},
		{name: "ms-chapv2 success shows no response", option: octetsMSCHAPv2, auth: "ms-chapv2", message: "Welcome", phase: PhaseNetwork, lines: []line{
			{ac, chap(3, "S=0123456789ABCDEF0123456789ABCDEF01234567 M=Welcome"), SnoopAuthenticated},
		}},
		{name: "ms-chapv2 success without a text", option: octetsMSCHAPv2, auth: "ms-chapv2", phase: PhaseNetwork, lines: []line{
			{ac, chap(3, "S=0123456789ABCDEF0123456789ABCDEF01234567"), SnoopAuthenticated},
		}},
		{name: "ms-chapv2 failure keeps the code", option: octetsMSCHAPv2, auth: "ms-chapv2", message: "E=691 Access denied", phase: PhaseAuthenticate, lines: []line{
			{ac, chap(4, "E=691 R=0 C=00112233445566778899AABBCCDDEEFF V=3 M=Access denied"), SnoopAuthFailed},
		}},
		{name: "ms-chapv2 failure in no known form", option: octetsMSCHAPv2, auth: "ms-chapv2", message: "go away", phase: PhaseAuthenticate, lines: []line{
			{ac, chap(4, "go away"), SnoopAuthFailed},
		}},
		{name: "eap", option: octetsEAP, auth: "eap", user: "carol", phase: PhaseNetwork, lines: []line{
			{user, eap(2, "\x01eve"), 0}, // nobody asked him
			{ac, eap(1, "\x01"), 0},
			{user, eap(2, "\x01carol"), 0},
			{ac, eap(1, "\x01"), 0},
			{user, eap(2, "\x01dave"), 0}, // to the same request: the AC has its answer
			{ac, snoopFrame(ProtoEAP, 1, 2, "\x04\x10xxxx"), 0},
			{user, snoopFrame(ProtoEAP, 2, 2, "\x01eve"), 0}, // it was not asked for
			{user, snoopFrame(ProtoEAP, 2, 2, "\x04\x10xxxx"), 0},
			{ac, snoopFrame(ProtoEAP, 3, 2, ""), SnoopAuthenticated},
		}},
		{name: "eap refused", option: octetsEAP, auth: "eap", phase: PhaseAuthenticate, lines: []line{
			{ac, eap(4, ""), SnoopAuthFailed},
			{ac, eap(1, "\x01"), 0},
		}},
		{name: "two methods: the last counts", option: octetsPAP + octetsCHAP, auth: "chap-md5", phase: PhaseAuthenticate},
		{name: "something else", option: "\x03\x04\xc0\x29", auth: "0xc029", phase: PhaseAuthenticate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &snoopTalk{t, NewSnoop()}
			c.openLCP(tt.option)
			for _, l := range tt.lines {
				if l.fromAC {
					c.ac("", l.frame, l.want)
				} else {
					c.user("", l.frame, l.want)
				}
			}
			st := c.s.State()
			if st.Auth != tt.auth || st.User != tt.user || st.Phase != tt.phase {
				t.Errorf("auth %q, user %q, phase %v", st.Auth, st.User, st.Phase)
			}
			if want := tt.message; st.Message != want {
				t.Errorf("message %q, want %q", st.Message, want)
			}
		})
	}
}

func TestSnoopRenegotiation(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.openLCP("")
	c.openIPCP()
	c.user("a duplicate of the acked request takes nothing back", lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU), 0)
	c.ac("IPCP alone, anew", snoopFrame(ProtoIPCP, ConfigureRequest, 2, octetsPeer), SnoopNetworkClosed)
	if st := c.s.State(); st.NetworkOpen || st.Address.IsValid() || st.Peer.IsValid() {
		t.Errorf("closed, but %+v", st)
	}
	c.user("its Ack", snoopFrame(ProtoIPCP, ConfigureAck, 2, octetsPeer), SnoopNetworkOpened)
	c.user("IPCP terminates", snoopFrame(ProtoIPCP, TerminateRequest, 3), SnoopNetworkClosed)
	c.ac("LCP anew", lcpFrame(ConfigureRequest, 6, octetsPAP), SnoopLCPClosed)
	c.phase(PhaseEstablish)
	c.ac("IPCP has no business now", snoopFrame(ProtoIPCP, ConfigureRequest, 4, octetsPeer), 0)
	c.user("a Nak", lcpFrame(ConfigureNak, 6, octetsCHAP), 0)
	c.user("of something else", lcpFrame(ConfigureReject, 9, octetsPAP), 0)
	c.ac("asks otherwise", lcpFrame(ConfigureRequest, 7, octetsCHAP), 0)
	c.user("an Ack with other octets", lcpFrame(ConfigureAck, 7, octetsPAP), 0)
	c.user("Ack", lcpFrame(ConfigureAck, 7, octetsCHAP), SnoopLCPOpened)
	c.phase(PhaseAuthenticate)
	c.openIPCP()
	c.user("a Nak that was under way before the Ack, or comes in spite of it: if the AC heeds it, it asks anew", lcpFrame(ConfigureNak, 7, octetsPAP), 0)
	c.user("a Reject likewise", lcpFrame(ConfigureReject, 7, octetsCHAP), 0)
	c.user("and IPCP's", snoopFrame(ProtoIPCP, ConfigureNak, 1, octetsPeer), 0)
	c.phase(PhaseNetwork)
	c.ac("it does", lcpFrame(ConfigureRequest, 8, octetsPAP), SnoopLCPClosed|SnoopNetworkClosed)
	c.phase(PhaseEstablish)
	c.ac("the AC gives up", lcpFrame(TerminateRequest, 8, "no agreement"), SnoopTerminateByAC)
	c.user("Ack", lcpFrame(TerminateAck, 8), SnoopTerminateAcked)
	if st := c.s.State(); st.Phase != PhaseDead || !st.TerminateByAC || st.TerminateText != "no agreement" {
		t.Errorf("%+v", st)
	}
}

func TestSnoopIPv6Closes(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.openLCP("")
	c.user("", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1), 0)
	c.ac("", snoopFrame(ProtoIPV6CP, ConfigureAck, 1), 0)
	c.ac("", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1, octetsACIntfID), 0)
	c.user("", snoopFrame(ProtoIPV6CP, ConfigureAck, 1, octetsACIntfID), SnoopIPv6Opened)
	if st := c.s.State(); st.UserInterfaceID != 0 || st.ACInterfaceID != 1 {
		t.Errorf("%+v", st)
	}
	c.ac("", snoopFrame(ProtoIPV6CP, TerminateRequest, 2), SnoopIPv6Closed)
}

// Frames that say nothing, and are not to be tripped over.
func TestSnoopIgnores(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	for _, f := range [][]byte{
		{}, {0xc0}, {0xc0, 0x20}, {0xc0, 0x21}, {0xc0, 0x21, 1, 1, 0, 3}, {0xc0, 0x21, 1, 1, 0, 9}, {0x21, 0x45}, {0x00, 0x21}, {0x00, 0x57, 0x60},
		lcpFrame(ConfigureRequest, 1, strings.Repeat(octetsQuality, 188)), lcpFrame(ProtocolReject, 1), lcpFrame(CodeReject, 1), lcpFrame(Code(99), 1),
		lcpFrame(TerminateAck, 0),
	} {
		c.user("", f, 0)
		c.ac("", f, 0)
	}
	c.ac("an Ack that came before any request", lcpFrame(ConfigureAck, 0), 0)
	if st := c.s.State(); st.LCPOpen {
		t.Errorf("%+v", st)
	}
}

// Whoever gets an ill-formed packet discards it, so it changes nothing.
func TestSnoopMalformedOptions(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	const bad = octetsPAP + "\x05\x00"
	c.ac("nothing begins", lcpFrame(ConfigureRequest, 1, bad), 0)
	c.phase(PhaseDead)
	c.openLCP("")
	c.openIPCP()
	c.user("", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1), 0)
	c.ac("", snoopFrame(ProtoIPV6CP, ConfigureAck, 1), 0)
	c.ac("", snoopFrame(ProtoIPV6CP, ConfigureRequest, 1), 0)
	c.user("", snoopFrame(ProtoIPV6CP, ConfigureAck, 1), SnoopIPv6Opened)
	for code := ConfigureRequest; code <= ConfigureReject; code++ {
		for _, p := range []Protocol{ProtoLCP, ProtoIPCP, ProtoIPV6CP} {
			c.user("nothing ends", snoopFrame(p, code, 9, bad), 0)
			c.ac("nothing ends", snoopFrame(p, code, 9, "\x03\x09\x00"), 0)
		}
	}
	c.phase(PhaseNetwork)
}

func TestSnoopFrames(t *testing.T) {
	if got, want := AppendTerminateRequest(nil, 7, "bye"), lcpFrame(TerminateRequest, 7, "bye"); string(got) != string(want) {
		t.Errorf("Terminate-Request %x, want %x", got, want)
	}
	if got := len(AppendTerminateRequest(nil, 7, strings.Repeat("x", 70000))); got != 2+HeaderLen+253 {
		t.Errorf("a long text makes %d octets", got)
	}
	const cookie = 0x0102030405060708
	echo := AppendEchoRequest([]byte("before"), 9, 0x11223344, cookie)
	if want := "before" + string(lcpFrame(EchoRequest, 9, "\x11\x22\x33\x44\x01\x02\x03\x04\x05\x06\x07\x08")); string(echo) != want {
		t.Errorf("Echo-Request %x, want %x", echo, want)
	}
	reply := func(id uint8, data string) []byte { return lcpFrame(EchoReply, id, data) }
	for _, tt := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"the reply, with the AC's magic", reply(9, "\xaa\xbb\xcc\xdd\x01\x02\x03\x04\x05\x06\x07\x08"), true},
		{"the request itself", echo[6:], false},
		{"another identifier", reply(8, "\xaa\xbb\xcc\xdd\x01\x02\x03\x04\x05\x06\x07\x08"), false},
		{"another cookie", reply(9, "\xaa\xbb\xcc\xdd\x01\x02\x03\x04\x05\x06\x07\x09"), false},
		{"the user's, without data", reply(9, "\xaa\xbb\xcc\xdd"), false},
		{"more data", reply(9, "\xaa\xbb\xcc\xdd\x01\x02\x03\x04\x05\x06\x07\x08\x09"), false},
		{"another protocol", snoopFrame(ProtoIPCP, EchoReply, 9, "\xaa\xbb\xcc\xdd\x01\x02\x03\x04\x05\x06\x07\x08"), false},
		{"not a packet", []byte{0xc0, 0x21, 10}, false},
		{"nothing", nil, false},
	} {
		if got := IsEchoReply(tt.frame, 9, cookie); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestSnoopEventsString(t *testing.T) {
	if got := (SnoopTerminateByUser | SnoopLCPClosed).String(); got != "lcp-closed terminate-by-user" {
		t.Errorf("%q", got)
	}
	if got := SnoopEvents(0).String(); got != "" {
		t.Errorf("%q", got)
	}
	if !(SnoopLCPClosed | SnoopAuthFailed).Has(SnoopAuthFailed) || SnoopLCPClosed.Has(SnoopLCPClosed|SnoopAuthFailed) {
		t.Error("Has")
	}
	if n := len(snoopEventNames); SnoopEchoReplyByUser != 1<<(n-1) {
		t.Errorf("%d names", n)
	}
}

func TestSnoopAllocs(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.openLCP("")
	c.openIPCP()
	data := append([]byte{0x00, 0x21}, make([]byte, 1400)...)
	echo, again := lcpFrame(EchoRequest, 1), lcpFrame(ConfigureRequest, 1, octetsMRU1492, octetsMagicU)
	n := testing.AllocsPerRun(100, func() {
		c.s.FromUser(data)
		c.s.FromAC(data)
		c.s.FromAC(echo)
		c.s.FromUser(again)
	})
	if n != 0 {
		t.Errorf("%v allocations a run, want none", n)
	}
}
