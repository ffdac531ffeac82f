package gateway

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/lab"
	"tributary/ppp"
	"tributary/pppoe"
)

// TestBadDays plays every scenario.
func TestBadDays(t *testing.T) {
	named := map[string]bool{}
	for _, list := range [...][]scenario{discoveryDays, sessionDays} {
		for _, sc := range list {
			if named[sc.name] || sc.proves == "" {
				t.Errorf("scenario %q is there twice, or proves nothing", sc.name)
			}
			named[sc.name] = true
			t.Run(sc.name, sc.run)
		}
	}
}

// The list that operators read is this one.
func TestBadDaysAreDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/uplink.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [...][]scenario{discoveryDays, sessionDays} {
		for _, sc := range list {
			if row := fmt.Sprintf("| %s | %s |\n", sc.name, sc.proves); !strings.Contains(string(text), row) {
				t.Errorf("docs/uplink.md, section Bad days, lacks\n%s", row)
			}
		}
	}
}

// preferLab has the lab's access concentrator preferred, by its name.
func preferLab(c *config.Config) {
	c.Uplinks[0].AccessConcentrators = []config.AC{{Name: "lab-ac"}}
}

// redialled has lines held while their session is dialled again.
func redialled(c *config.Config) {
	c.Lines[0].OnSessionLoss = config.LossRedial
	c.Lines[0].Redial = config.RelayRedial{Min: time.Second, Max: 10 * time.Second, Timeout: 5 * time.Minute}
}

// ownAddress is an address that a user always has: without one he may get another on
// each session, which ends what he has open.
func ownAddress(user string) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 0, 2, user[len(user)-1]})
}

// office has the session that users share come in, and routes their addresses to it.
var office = lab.ACConfig{
	Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}, Secret: lab.Users{"office@isp": {Secret: "the office"}}.Secret,
	Routes:   func(string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} },
	Internet: netip.MustParseAddr("192.0.2.99"),
}

func perLine(c *config.Config) { c.Uplinks[0].MAC = config.MACPerLine }

var slotTag = pppoe.StringTag(pppoe.TagACSystemError, "no free slot")

// discoveryDays are those on which no session comes about as it should.
var discoveryDays = []scenario{{
	name:   "duplicate PADS",
	proves: "copies of a PADS, at once or later, open nothing and end nothing",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{DuplicatePADS: 20})
		c := d.up("1", time.Second, "the first copy opens the session")
		time.Sleep(2 * time.Second)
		c.wantPing("the other copies have come")
		d.wantSessions(1, "they are of one session")
	},
}, {
	name:   "PADO flood, the AC is configured",
	proves: "invented access concentrators, 500 for each PADI, neither hold up a line nor fill the memory if access_concentrators names the true one",
	config: preferLab,
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{PADOFlood: 500})
		for i := range 5 {
			d.up(fmt.Sprint(i), 2*time.Second, "the true AC is found in the flood")
		}
		if n := len(d.gw.Uplinks()[0].ACs); n > maxACs {
			d.t.Errorf("%d ACs are remembered", n)
		}
	},
}, {
	name:   "PADO flood, an AC that has served before",
	proves: "without access_concentrators they hold up one search at a time, and for seconds, if the true one has opened a session before and offer_wait leaves it time",
	config: func(c *config.Config) { c.Uplinks[0].OfferWait = 100 * time.Millisecond },
	script: func(d *day) {
		d.up("before", 2*time.Second, "the AC has shown that it serves")
		d.ac.SetTrouble(lab.Trouble{PADOFlood: 500})
		for i := range 5 {
			d.up(fmt.Sprint(i), 15*time.Second, "one search at a time tries a stranger")
		}
	},
}, {
	name:   "PADO flood, any AC will do",
	proves: "without access_concentrators a flood can keep lines from a session, but each is hung up after discovery.timeout, with the reason, and all is well when the flood ends",
	config: func(c *config.Config) { c.Uplinks[0].Discovery.Timeout = 20 * time.Second },
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{PADOFlood: 500})
		c := d.dial("1")
		c.wantEnd(25*time.Second, ReasonNoAC, "nobody answers the PADRs")
		d.ac.SetTrouble(lab.Trouble{})
		d.up("2", 2*time.Second, "the flood is over")
	},
}, {
	name:   "cookie expires, in silence",
	proves: "a PADR with a cookie that has expired is given up, and the search goes back to a PADI",
	ac:     lab.ACConfig{Quirks: lab.Quirks{CookieLife: 2 * time.Second}},
	script: oldCookie,
}, {
	name:   "cookie expires, with an error tag",
	proves: "an AC that refuses a cookie because of its age is asked again with a new one",
	ac:     lab.ACConfig{Quirks: lab.Quirks{CookieLife: 2 * time.Second, RefuseOldCookies: true}},
	script: oldCookie,
}, {
	name:   "PADS with another Service-Name",
	proves: "an AC may grant another service than was asked for",
	ac:     lab.ACConfig{Quirks: lab.Quirks{ServiceName: "basic"}},
	config: func(c *config.Config) { c.Uplinks[0].ServiceName = "gold" },
	script: func(d *day) { d.up("1", 2*time.Second, "the session is good whatever its name") },
}, {
	name:   "no Host-Uniq",
	proves: "lines that search at once, from one address, each get a session of their own though no answer says whose it is",
	ac:     lab.ACConfig{Quirks: lab.Quirks{DropHostUniq: true}},
	script: func(d *day) {
		all := []*dialler{d.dial("1"), d.dial("2"), d.dial("3")}
		for _, c := range all {
			c.wantUp(10*time.Second, "one session for each")
		}
		d.wantSessions(3, "no more, no less")
	},
}, {
	name:   "PADO after 3 s",
	proves: "a slow AC is waited for, and its offers to earlier PADIs count",
	ac:     lab.ACConfig{PADODelay: 3 * time.Second},
	script: func(d *day) { d.up("1", 5*time.Second, "the offer came late") },
}, {
	name:   "PADS after 5 s",
	proves: "repeated PADRs open one session, not several",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{PADSDelay: 5 * time.Second})
		d.up("1", 10*time.Second, "the PADS came late")
		time.Sleep(20 * time.Second)
		d.wantSessions(1, "the answers to the repetitions are of the same session")
	},
}, {
	name:   "PADS after 10 s",
	proves: "a PADS that comes when its AC had been given up is taken, and what else comes of the search is ended by PADT",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{PADSDelay: 10 * time.Second})
		c := d.up("1", 20*time.Second, "the PADS came very late")
		time.Sleep(15 * time.Second)
		d.wantSessions(1, "the others are ended")
		c.wantPing("and not this one")
	},
}, {
	name:   "refused in words",
	proves: "what the AC says reaches the operator as it was said",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{Refuse: &slotTag})
		if text := d.dial("1").wantEnd(2*time.Minute, ReasonRefused, "nobody else offers"); !strings.Contains(text, "no free slot") {
			d.t.Errorf("the operator reads %q", text)
		}
	},
}, {
	name:   "limit for an address, in words",
	proves: "lines that have a session keep it when the AC refuses the next one",
	ac:     lab.ACConfig{MaxPerMAC: 2, Quirks: lab.Quirks{Full: &slotTag}},
	script: func(d *day) {
		a, b := d.up("1", time.Second, "first"), d.up("2", time.Second, "second")
		d.dial("3").wantEnd(2*time.Minute, ReasonRefused, "two are all")
		a.wantPing("it keeps its session")
		b.hangUp()
		d.up("4", time.Second, "a place is free")
	},
}, {
	name:   "limit for an address, mac: per-line",
	proves: "with an address for each line the limit is that of a line",
	ac:     lab.ACConfig{MaxPerMAC: 1, Quirks: lab.Quirks{Full: &slotTag}},
	config: perLine,
	script: func(d *day) {
		for i := range 4 {
			d.up(fmt.Sprint(i), time.Second, "another address")
		}
	},
}, {
	name:   "a PADI a second",
	proves: "lines whose PADIs an AC drops because they come too fast get their sessions by repetition",
	ac:     lab.ACConfig{MinPADIInterval: time.Second},
	script: func(d *day) {
		all := []*dialler{d.dial("1"), d.dial("2"), d.dial("3")}
		for _, c := range all {
			c.wantUp(20*time.Second, "in its turn")
		}
	},
}, {
	name:   "outage during discovery",
	proves: "a search outlives ten seconds in which nothing arrives",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{Deaf: true, Mute: true})
		c := d.dial("1")
		time.Sleep(10 * time.Second)
		d.ac.SetTrouble(lab.Trouble{})
		c.wantUp(10*time.Second, "the PADI is repeated")
	},
}, {
	name:   "the user hangs up while the PADS is on its way",
	proves: "the session that nobody wants any more is ended by PADT",
	script: func(d *day) {
		d.ac.SetTrouble(lab.Trouble{PADSDelay: 3 * time.Second})
		c := d.dial("1")
		time.Sleep(time.Second)
		c.hangUp()
		time.Sleep(5 * time.Second)
		d.wantSessions(0, "its PADS was answered by PADT")
		if n := d.ac.Counters().ClosedByPADT; n != 1 {
			d.t.Errorf("%d PADTs", n)
		}
	},
}}

// oldCookie loses PADRs until the cookie has expired.
func oldCookie(d *day) {
	d.ac.SetTrouble(lab.Trouble{Packet: lab.Lose(lab.FromSubscriber, pppoe.PADR)})
	c := d.dial("1")
	time.Sleep(2 * time.Second)
	d.ac.SetTrouble(lab.Trouble{})
	c.wantUp(10*time.Second, "a new cookie")
	if n := d.ac.Counters().OldCookie; n == 0 {
		d.t.Error("no cookie had expired")
	}
}

// sessionDays are those on which sessions that were open go wrong.
var sessionDays = []scenario{{
	name:   "AC reboots",
	proves: "an AC that forgets all sessions without a PADT is found out by our own LCP Echo-Requests, within echo.interval x (failures + 2), though the users send none",
	script: func(d *day) {
		all := []*dialler{d.up("1", time.Second, "before"), d.up("2", time.Second, "before")}
		d.reboot(5*time.Second, pppoe.MAC{})
		for _, c := range all {
			c.wantEnd(found, ReasonACSilent, "nothing comes from the AC")
		}
		d.up("3", 2*time.Second, "after")
	},
}, {
	name:   "AC reboots, and uses its ids again",
	proves: "a session whose id the AC gives to another line ends at once, without a PADT that would end the new one",
	ac:     lab.ACConfig{Quirks: lab.Quirks{ReuseIDs: true}},
	script: func(d *day) {
		old := d.up("1", time.Second, "before")
		d.reboot(0, pppoe.MAC{})
		c := d.up("2", time.Second, "after, with the same id")
		old.wantEnd(time.Second, ReasonPADT, "the id is another's")
		time.Sleep(time.Minute)
		c.wantPing("it was not ended along with the old one")
		d.wantSessions(1, "the new one")
	},
}, {
	name:   "AC comes back with another address",
	proves: "after a standby has taken over that knows of no session, lines dial to it",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.reboot(0, movedMAC)
		c.wantEnd(found, ReasonACSilent, "nobody has the old address")
		d.up("2", time.Second, "after")
	},
}, {
	name:   "AC moves to another address with its sessions",
	proves: "frames of another station are not taken for the AC's; the session ends as with an AC that is gone",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		if err := d.ac.Move(movedMAC); err != nil {
			d.t.Fatal(err)
		}
		c.wantEnd(found, ReasonACSilent, "what comes is not of this session")
		d.up("2", time.Second, "after")
	},
}, {
	name:   "ids used again at once",
	proves: "a line may get the id that the last one had a moment ago",
	ac:     lab.ACConfig{Quirks: lab.Quirks{ReuseIDs: true}},
	script: func(d *day) {
		for i := range 5 {
			c := d.up(fmt.Sprint(i), time.Second, "with the same id each time")
			if l, _ := d.gw.Line(c.line); l.SessionID != 1 {
				d.t.Errorf("session %d", l.SessionID)
			}
			c.hangUp()
		}
	},
}, {
	name:   "silent until it gets a PADT",
	proves: "after a crash the sessions that were open are ended by PADT, from the journal, and an AC that ignores whoever has a session speaks again",
	ac:     lab.ACConfig{Echo: 10 * time.Second, Quirks: lab.Quirks{SilentToStale: true}},
	config: perLine,
	script: func(d *day) {
		d.up("1", time.Second, "before the crash")
		d.crash()
		time.Sleep(time.Second)
		d.wantSessions(0, "the PADT at the start")
		d.up("1", 2*time.Second, "the same line, from the same address")
	},
}, {
	name:   "garbage behind the payload",
	proves: "what Ethernet frames carry behind PPPoE's LENGTH is not taken for PPP, nor for a tag",
	ac:     lab.ACConfig{Quirks: lab.Quirks{Padding: 64}},
	script: func(d *day) {
		c := d.up("1", time.Second, "in spite of it")
		c.wantPing("packets come back as long as they went")
		c.hangUp()
	},
}, {
	name:   "LCP before the PADS",
	proves: "an AC that speaks too soon is understood when it repeats itself",
	ac:     lab.ACConfig{Quirks: lab.Quirks{LCP: lab.LCPBeforePADS}},
	script: func(d *day) { d.up("1", 5*time.Second, "the AC's Restart timer is 3 s") },
}, {
	name:   "LCP only after the user",
	proves: "the frame with which the user opened the session reaches the AC, so that one that waits for it begins",
	ac:     lab.ACConfig{Quirks: lab.Quirks{LCP: lab.LCPAfterPeer}},
	script: func(d *day) { d.up("1", time.Second, "at once") },
}, {
	name:   "interface vanishes for a minute",
	proves: "lines are hung up at once; when the interface is back the AC is told of every session that had no PADT, and lines dial on it",
	script: func(d *day) {
		all := []*dialler{d.up("1", time.Second, "before"), d.up("2", time.Second, "before")}
		back := d.vanish()
		for _, c := range all {
			c.wantEnd(time.Second, ReasonUplinkDown, "there is no port")
		}
		d.dial("3").wantEnd(time.Second, ReasonUplinkDown, "there is none yet")
		d.wantSessions(2, "the AC does not know")
		time.Sleep(time.Minute)
		back()
		time.Sleep(30 * time.Second) // between two attempts to open it
		d.wantSessions(0, "it has been told")
		d.up("4", time.Second, "after")
	},
}, {
	name:   "interface vanishes, on_session_loss: redial",
	proves: "lines are held while the interface is away, and have new sessions when it is back",
	ac:     lab.ACConfig{Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}, Address: ownAddress},
	config: redialled,
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		back := d.vanish()
		time.Sleep(time.Minute)
		back()
		time.Sleep(time.Minute)
		c.wantPing("the user has noticed no more than a pause")
		d.wantSessions(1, "the old one is ended")
	},
}, {
	name:   "AC reboots, on_session_loss: redial",
	proves: "users keep their lines through a reboot of the AC, and negotiate anew with it",
	ac:     lab.ACConfig{Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}, Address: ownAddress},
	config: redialled,
	script: func(d *day) {
		all := []*dialler{d.up("1", time.Second, "before"), d.up("2", time.Second, "before")}
		d.reboot(time.Minute, movedMAC)
		time.Sleep(3 * time.Minute)
		for _, c := range all {
			c.wantPing("on a new session, with the AC's new address")
		}
		d.wantSessions(2, "one for each")
	},
}, {
	name:   "AC reboots, mode shared",
	proves: "a session that users share is found dead and dialled again; its users, hung up with the reason, may dial",
	shared: true,
	ac:     office,
	script: func(d *day) {
		all := []*dialler{d.up("1", 5*time.Second, "before"), d.up("2", 5*time.Second, "before")}
		d.reboot(10*time.Second, pppoe.MAC{})
		for _, c := range all {
			c.wantEnd(found, ReasonTrunkDown, "the session is silent")
		}
		d.up("3", 30*time.Second, "he waits for the session")
		d.wantSessions(1, "the session, anew")
	},
}, {
	name:   "interface vanishes, mode shared",
	proves: "the same, at once, when the interface is lost",
	shared: true,
	ac:     office,
	script: func(d *day) {
		c := d.up("1", 5*time.Second, "before")
		back := d.vanish()
		c.wantEnd(time.Second, ReasonTrunkDown, "there is no port")
		time.Sleep(20 * time.Second)
		back()
		time.Sleep(time.Minute)
		d.up("2", 30*time.Second, "the session is there again")
		d.wantSessions(1, "the old one is ended")
	},
}, {
	name:   "cable out for 20 s",
	proves: "sessions outlive what is shorter than the echo's patience",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.port.SetUp(false)
		time.Sleep(20 * time.Second)
		d.port.SetUp(true)
		time.Sleep(time.Minute)
		c.wantPing("as if nothing had happened")
	},
}, {
	name:   "cable out for 5 min",
	proves: "the user is hung up within the echo's patience, and may dial when the cable is in again",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.port.SetUp(false)
		c.wantEnd(found, ReasonACSilent, "nothing comes")
		time.Sleep(5 * time.Minute)
		d.port.SetUp(true)
		d.up("2", 2*time.Second, "after")
	},
}, {
	name:   "outage of 20 s",
	proves: "sessions outlive an outage behind the switch that is shorter than the echo's patience",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.ac.SetTrouble(lab.Trouble{Deaf: true, Mute: true})
		time.Sleep(20 * time.Second)
		d.ac.SetTrouble(lab.Trouble{})
		time.Sleep(time.Minute)
		c.wantPing("as if nothing had happened")
	},
}, {
	name:   "outage of 5 min",
	proves: "the AC's forgotten half of a session does not hold up the line that dials next",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.ac.SetTrouble(lab.Trouble{Deaf: true, Mute: true})
		c.wantEnd(found, ReasonACSilent, "nothing comes")
		time.Sleep(5 * time.Minute)
		d.ac.SetTrouble(lab.Trouble{})
		d.up("2", 2*time.Second, "after")
	},
}, {
	name:   "PADTs are lost",
	proves: "a session that only the AC believes in disturbs nobody, and it ends when the AC finds out",
	ac:     lab.ACConfig{Echo: 10 * time.Second},
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		d.ac.SetTrouble(lab.Trouble{Packet: lab.Lose(lab.FromSubscriber, pppoe.PADT, pppoe.SessionStage)})
		_ = c.sub.Close() // nobody answers his good-bye
		time.Sleep(time.Second)
		d.ac.SetTrouble(lab.Trouble{})
		d.wantSessions(1, "the AC has heard nothing")
		d.up("2", time.Second, "meanwhile")
		time.Sleep(time.Minute)
		d.wantSessions(1, "the AC's own echoes were not answered")
	},
}, {
	name:   "a fifth of all frames is lost, others come twice or late",
	proves: "discovery, PPP's negotiation and the end get through a bad cable",
	script: func(d *day) {
		bad := ether.Faults{Loss: .2, Duplicate: .1, Reorder: .1, ReorderBy: 50 * time.Millisecond}
		d.faults.SetFaults(bad, bad)
		for i := range 5 {
			d.dial(fmt.Sprint(i)).wantPings(100, "some get through")
		}
	},
}, {
	name:   "AC ends everything in words",
	proves: "the words of a PADT reach the operator",
	script: func(d *day) {
		c := d.up("1", time.Second, "before")
		for _, s := range d.ac.Sessions() {
			d.ac.Terminate(s.Peer, s.ID, true, "maintenance")
		}
		if text := c.wantEnd(time.Second, ReasonPADT, "PADT"); !strings.Contains(text, "maintenance") {
			d.t.Errorf("the operator reads %q", text)
		}
	},
}}

func (d *day) reboot(away time.Duration, mac pppoe.MAC) {
	d.t.Helper()
	if err := d.ac.Reboot(away, mac); err != nil {
		d.t.Fatal(err)
	}
}
