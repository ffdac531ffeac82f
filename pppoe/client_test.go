package pppoe

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

const sec = time.Second

func TestClientOpensAndCloses(t *testing.T) {
	v := newTalk(t, ClientConfig{ServiceName: "isp"})
	v.wantState("Start has been called", ClientSoliciting)
	v.wantPADI("the first PADI goes out at once", 0)
	v.wantQuiet("one is enough")
	relay := StringTag(TagRelaySessionID, "relay")
	v.hear(macA, PADO, 0, StringTag(TagACName, "ac-a"), StringTag(TagServiceName, "isp"), ourUniq, relay, cookie)
	v.wantSend("cookie and relay id come back unmodified", macA, PADR, 0, StringTag(TagServiceName, "isp"), ourUniq, relay, cookie)
	v.wantState("a PADR is out", ClientRequesting)
	v.hear(macA, PADS, 0x1234, StringTag(TagServiceName, "isp"), ourUniq, relay)
	v.wantEvent("there is a session", ClientOpened{Session{AC: macA, SessionID: 0x1234, ACName: "ac-a", ServiceName: "isp", MaxPayload: 1492}})
	if s, ok := v.c.Session(); !ok || s.SessionID != 0x1234 || len(s.Tags) != 3 {
		t.Errorf("Session: %+v %v", s, ok)
	}
	if d := v.c.Deadline(); !d.IsZero() {
		t.Error("an open session wants a timer")
	}
	v.c.Close(v.now, "carrier lost")
	v.wantSend("the AC is told, and why", macA, PADT, 0x1234, relay, StringTag(TagGenericError, "carrier lost"))
	v.wantEvent("every PADR was answered, so nothing is awaited", ClientDone{})
	if _, ok := v.c.Session(); ok {
		t.Error("a session that was closed")
	}
	v.c.Close(v.now, "")
	v.c.Start(v.now)
	v.hear(macA, PADS, 9, ourUniq)
	v.wantQuiet("it is over for good")
}

func TestClientCloseBeforeStart(t *testing.T) {
	c := NewClient(ClientConfig{})
	c.Close(start, "")
	if out, _ := c.Next(); out != (ClientDone{}) {
		t.Errorf("got %+v", out)
	}
}

func TestClientRepeatsPADIWithDoublingWaits(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	for _, at := range []time.Duration{0, 1, 3, 7, 15, 31, 61, 91, 121} {
		v.to(at * sec)
		v.wantPADI("waits double up to 30 s", at*sec)
	}
	v.c.Close(v.now, "")
	v.wantEvent("nobody was asked, so nothing can come late", ClientDone{})
}

func TestClientJitterStaysWithinMaxWait(t *testing.T) {
	v := newTalk(t, ClientConfig{Random: func(n int64) int64 { return n - 1 }})
	last := v.now
	for i := range 12 {
		v.wantPADI("again", v.now.Sub(start))
		if wait := v.now.Sub(last); i > 0 && (wait > DefaultMaxWait || wait < DefaultInitialWait) {
			t.Errorf("waited %v", wait)
		}
		last = v.now
		v.to(v.c.Deadline().Sub(start))
	}
	if last.Sub(start) < 200*sec {
		t.Errorf("12 PADIs within %v", last.Sub(start))
	}
}

// TestClientGivesUp is about the reason: each row is an AC that fails in
// another way until the time is over.
func TestClientGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		ac   func(v *talk, s Send)
		want ClientFailed
	}{
		{"nobody answers", func(*talk, Send) {}, ClientFailed{FailNoOffer, ""}},
		{"offers without the service", func(v *talk, s Send) {
			if s.Code == PADI {
				v.hear(macA, PADO, 0, StringTag(TagACName, "ac-a"), StringTag(TagServiceName, "other"), ourUniq)
			}
		}, ClientFailed{FailNotAcceptable, ""}},
		{"PADRs are not answered", func(v *talk, s Send) {
			if s.Code == PADI {
				v.hear(macA, PADO, 0, StringTag(TagACName, "ac-a"), StringTag(TagServiceName, "isp"), ourUniq)
			}
		}, ClientFailed{FailNoSession, ""}},
		{"a refusal, and then silence", func(v *talk, s Send) {
			if s.Code == PADI && v.now == start {
				v.hear(macA, PADO, 0, StringTag(TagACName, "ac-a"), StringTag(TagServiceName, "isp"), ourUniq, StringTag(TagGenericError, "shutting down"))
			}
		}, ClientFailed{FailRefused, "shutting down"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{ServiceName: "isp", Timeout: 20 * sec})
			for {
				switch out := v.next().(type) {
				case Send:
					tt.ac(v, out)
				case nil:
					v.to(v.c.Deadline().Sub(start))
				case ClientFailed:
					if out != tt.want || v.now.Sub(start) != 20*sec {
						t.Errorf("%+v after %v, want %+v", out, v.now.Sub(start), tt.want)
					}
					return
				}
			}
		})
	}
}

func TestClientPrefers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prefer []Preference
		offers string // who offers, in this order
		want   byte   // who is asked; 0: nobody
	}{
		{"no preference: the first", nil, "bca", 'b'},
		{"by name", []Preference{{Name: "ac-c"}}, "abc", 'c'},
		{"by address", []Preference{{MAC: macB}}, "abc", 'b'},
		{"both must match", []Preference{{Name: "ac-c", MAC: macB}}, "abc", 0},
		{"the first of the list", []Preference{{Name: "ac-c"}, {Name: "ac-a"}}, "abc", 'c'},
		{"the second, if the first is silent", []Preference{{Name: "ac-c"}, {Name: "ac-a"}}, "ab", 'a'},
		{"only those of the list", []Preference{{Name: "ac-x"}}, "abc", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{Prefer: tt.prefer, OfferWait: sec / 10})
			v.wantPADI("begins", 0)
			for _, who := range tt.offers {
				v.offer(MAC{2, 0, 0, 0, 0, byte(who-'a') + 0xa}, "ac-"+string(who))
			}
			v.to(sec / 10)
			if tt.want == 0 {
				v.wantQuiet("none of them will do")
				return
			}
			v.wantPADR("the best of them", MAC{2, 0, 0, 0, 0, tt.want - 'a' + 0xa})
			v.wantQuiet("and no other")
		})
	}
}

func TestClientOfferWait(t *testing.T) {
	v := newTalk(t, ClientConfig{OfferWait: 2 * sec, Prefer: []Preference{{Name: "best"}, {Name: "good"}}})
	v.wantPADI("begins", 0)
	v.to(sec / 2)
	v.offer(macA, "good")
	v.wantQuiet("a better one may come")
	v.to(2 * sec)
	v.wantQuiet("with an offer in hand there is no other PADI")
	v.offer(macB, "best")
	v.wantPADR("there is none better, so why wait", macB)
}

func TestClientRefusedByPADS(t *testing.T) {
	for _, tt := range []struct {
		name string
		sid  uint16
		tags []Tag
		want string
		padt bool
	}{
		{"in its own words", 0, []Tag{StringTag(TagACSystemError, "No session left.\x07")}, "No session left.\ufffd", false},
		{"without words", 0, []Tag{{Type: TagServiceNameError}}, "Service-Name-Error", false},
		{"session id 0 and no error tag", 0, nil, "the AC gave a session id that cannot be used", false},
		{"the reserved session id", 0xffff, nil, "the AC gave a session id that cannot be used", false},
		{"an error and yet a session id", 5, []Tag{StringTag(TagGenericError, "odd")}, "odd", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{Timeout: 60 * sec})
			v.wantPADI("begins", 0)
			v.offer(macA, "ac-a")
			v.wantPADR("asks", macA)
			v.hear(macA, PADS, tt.sid, append(tt.tags, ourUniq)...)
			if tt.padt {
				v.wantSend("what it opened all the same is closed", macA, PADT, tt.sid)
			}
			v.wantEvent("the operator is told", ClientRefused{AC: macA, ACName: "ac-a", Code: PADS, Message: tt.want})
			v.wantQuiet("an AC that refuses is not pressed")
			v.to(sec)
			v.wantPADI("others are looked for, when it is time", sec)
			v.offer(macA, "ac-a")
			v.wantQuiet("but this one is not asked again")
			v.to(3 * sec)
			v.wantEvent("a whole round brought no other", ClientFailed{FailRefused, tt.want})
			v.wantEvent("nothing is under way", ClientDone{})
		})
	}
}

func TestClientRefusedGoesOnToTheNextOffer(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("first come", macA)
	v.offer(macB, "ac-b")
	v.wantQuiet("one at a time")
	v.hear(macA, PADS, 0, ourUniq, StringTag(TagGenericError, "full"))
	v.wantEvent("refused", ClientRefused{macA, "ac-a", PADS, "full"})
	v.wantPADR("the offer that came meanwhile is still good", macB)
	v.hear(macB, PADS, 3, anyName, ourUniq)
	v.wantEvent("served", ClientOpened{Session{AC: macB, SessionID: 3, ACName: "ac-b", MaxPayload: 1492}})
}

func TestClientWithoutTimeoutOutlastsRefusals(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	full := StringTag(TagACSystemError, "full")
	v.offer(macA, "ac-a", full)
	v.wantEvent("refused in the PADO", ClientRefused{macA, "ac-a", PADO, "full"})
	v.to(sec)
	v.wantPADI("is there another?", sec)
	v.offer(macA, "ac-a", full)
	v.wantQuiet("there is not")
	v.to(3 * sec)
	v.wantPADI("then the same again", 3*sec)
	v.offer(macA, "ac-a")
	v.wantPADR("which has room by now", macA)
}

func TestClientLostPADRs(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "quick-but-deaf")
	v.wantPADR("first", macA)
	v.to(1 * sec)
	v.wantPADR("after 1 s", macA)
	v.to(3 * sec)
	v.wantPADR("after 2 s more", macA)
	v.to(7 * sec)
	v.wantEvent("which the owner may hold against it", ClientUnanswered{macA, "quick-but-deaf"})
	v.wantPADI("after 4 s more, from the beginning", 7*sec)
	v.offer(macA, "quick-but-deaf")
	v.wantQuiet("who did not answer is not chosen in haste")
	v.to(7*sec + sec/2)
	v.offer(macB, "ac-b")
	v.wantPADR("another is", macB)
	v.hear(macA, PADS, 5, anyName, ourUniq)
	v.wantEvent("it was only slow, and a session is a session", ClientOpened{Session{AC: macA, SessionID: 5, ACName: "quick-but-deaf", MaxPayload: 1492}})
	v.hear(macB, PADS, 5, anyName, ourUniq)
	v.wantSend("two are too many, though their ids be the same", macB, PADT, 5)
	v.hear(macA, PADS, 5, anyName, ourUniq)
	v.wantQuiet("a repeated PADS says nothing new")
	v.hear(macA, PADS, 6, anyName, ourUniq)
	v.wantSend("a second session from the same AC", macA, PADT, 6)
	v.hear(macC, PADS, 8, anyName, ourUniq)
	v.wantQuiet("whom we never asked we do not answer")
	v.wantState("all the while", ClientOpen)
}

func TestClientUnmarkedSecondSession(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec)
	v.wantPADR("asks again", macA)
	v.hear(macA, PADS, 7, anyName)
	v.wantEvent("one answer, from an AC that drops Host-Uniq", ClientOpened{Session{AC: macA, SessionID: 7, ACName: "ac-a", MaxPayload: 1492}})
	v.hear(macA, PADS, 8, anyName)
	v.wantSend("the other, to the second PADR", macA, PADT, 8)
	v.hear(macA, PADS, 9, anyName)
	v.wantQuiet("a third is not ours")
}

func TestClientLateRefusalOfAnotherAC(t *testing.T) {
	v := newTalk(t, ClientConfig{PADRTries: 1})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec)
	v.wantEvent("no answer", ClientUnanswered{macA, "ac-a"})
	v.wantPADI("so from the beginning", sec)
	v.offer(macB, "ac-b")
	v.wantPADR("asks another", macB)
	v.offer(macC, "ac-c")
	v.hear(macA, PADS, 0, ourUniq, StringTag(TagGenericError, "full"))
	v.wantEvent("the first, at last", ClientRefused{macA, "ac-a", PADS, "full"})
	v.wantQuiet("but it is the other that is being asked")
	v.hear(macB, PADS, 0, ourUniq, StringTag(TagGenericError, "full too"))
	v.wantEvent("and it refuses", ClientRefused{macB, "ac-b", PADS, "full too"})
	v.wantPADR("so to the third", macC)
}

func TestClientAsksOnlyWhoOfferedInThisRound(t *testing.T) {
	v := newTalk(t, ClientConfig{PADRTries: 1})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec)
	v.wantEvent("no answer", ClientUnanswered{macA, "ac-a"})
	v.wantPADI("so from the beginning", sec)
	v.offer(macB, "ac-b")
	v.wantPADR("asks another", macB)
	v.hear(macB, PADS, 0, ourUniq, StringTag(TagGenericError, "full"))
	v.wantEvent("which refuses", ClientRefused{macB, "ac-b", PADS, "full"})
	v.wantQuiet("the first one's cookie is of the round before")
}

func TestClientRefusalIsFinalOnlyAfterAnotherRound(t *testing.T) {
	v := newTalk(t, ClientConfig{Timeout: 60 * sec})
	v.wantPADI("begins", 0)
	full := StringTag(TagACSystemError, "full")
	v.offer(macA, "ac-a", full)
	v.wantEvent("refused", ClientRefused{macA, "ac-a", PADO, "full"})
	v.offer(macA, "ac-a", full)
	v.to(sec)
	v.wantPADI("its PADO was repeated; others may have lost the PADI", sec)
}

func TestClientFirstComeInThisRound(t *testing.T) {
	v := newTalk(t, ClientConfig{OfferWait: sec / 10})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.to(sec / 10)
	v.wantPADR("", macA)
	v.hear(macA, PADS, 0, ourUniq, StringTag(TagACSystemError, "full"))
	v.wantEvent("", ClientRefused{macA, "ac-a", PADS, "full"})
	v.to(sec)
	v.wantPADI("", sec)
	v.offer(macA, "ac-a")
	v.to(3 * sec)
	v.wantPADI("all may be asked again", 3*sec)
	v.offer(macB, "ac-b")
	v.offer(macA, "ac-a")
	v.to(3*sec + sec/10)
	v.wantPADR("who is first in this round, not in the search", macB)
}

func TestClientRefusedAfterALongWait(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec)
	v.wantPADR("asks again", macA)
	v.to(2 * sec)
	v.hear(macA, PADS, 0, ourUniq, StringTag(TagGenericError, "busy"))
	v.wantEvent("refused", ClientRefused{macA, "ac-a", PADS, "busy"})
	v.wantPADI("the wait after the last PADI is long over", 2*sec)
}

func TestClientPADSWithoutServiceName(t *testing.T) {
	v := newTalk(t, ClientConfig{ServiceName: "isp"})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a", StringTag(TagServiceName, "isp"))
	v.wantPADR("asks", macA)
	v.hear(macA, PADS, 7, ourUniq)
	v.wantEvent("the service is what was asked for", ClientOpened{Session{AC: macA, SessionID: 7, ACName: "ac-a", ServiceName: "isp", MaxPayload: 1492}})
}

func TestClientSilentACsGetAnotherChance(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	for _, at := range []time.Duration{0, 1, 3} {
		v.to(at * sec)
		v.wantPADR("asks", macA)
	}
	v.to(7 * sec)
	v.wantEvent("no answer", ClientUnanswered{macA, "ac-a"})
	v.wantPADI("from the beginning", 7*sec)
	v.offer(macA, "ac-a")
	v.to(8 * sec)
	v.wantPADR("no other has come forward", macA)
}

func TestClientClosedWhileAsking(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec / 2)
	v.c.Close(v.now, "hung up")
	v.wantQuiet("there is nothing to end yet")
	v.wantState("a PADS may come", ClientLingering)
	v.to(20 * sec)
	v.hear(macA, PADS, 9, ourUniq, StringTag(TagRelaySessionID, "r"))
	v.wantSend("PADT at once", macA, PADT, 9, StringTag(TagRelaySessionID, "r"))
	v.hear(macA, PADS, 9, ourUniq)
	v.wantSend("our PADT was lost, it seems", macA, PADT, 9)
	v.hear(macA, PADS, 0, ourUniq, StringTag(TagGenericError, "no"))
	v.hear(macB, PADS, 9, ourUniq)
	v.offer(macB, "ac-b")
	v.c.Close(v.now, "")
	v.c.Start(v.now)
	v.wantQuiet("none of this matters any more")
	v.to(29 * sec)
	v.wantState("still", ClientLingering)
	v.to(30 * sec)
	v.wantEvent("30 s after the PADR", ClientDone{})
}

func TestClientTimeoutWhileAskingLingersToo(t *testing.T) {
	v := newTalk(t, ClientConfig{Timeout: 2 * sec})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-a")
	v.wantPADR("asks", macA)
	v.to(sec)
	v.wantPADR("asks again", macA)
	v.to(2 * sec)
	v.wantEvent("time is over", ClientFailed{FailNoSession, ""})
	v.wantQuiet("but a PADS may come")
	v.hear(macA, PADS, 9, ourUniq)
	v.wantSend("too late", macA, PADT, 9)
	v.to(31 * sec)
	v.wantEvent("30 s after the last PADR", ClientDone{})
}

// TestClientIllFormedPADT: RFC 2516 section 5.5: "No TAGs are required." The
// session is over, whatever is wrong with the tags.
func TestClientIllFormedPADT(t *testing.T) {
	for _, tt := range []struct{ name, tags, message string }{
		{"half a tag", "\x02\x03\x00", ""},
		{"a tag beyond the payload", "\x02\x03\x00\x09idle", ""},
		{"a good one in front", "\x02\x03\x00\x04idle\x01\x01", "idle"},
	} {
		v := opened(t, ClientConfig{})
		hear := func(code Code, sid uint16) {
			b := make([]byte, HeaderLen)
			PutHeader(b, code, sid, len(tt.tags))
			v.c.Input(v.now, macA, append(b, tt.tags...))
		}
		hear(PADT, 8)
		hear(PADS, 9)
		v.wantQuiet("another session's, and another code")
		hear(PADT, 7)
		s := v.c.session
		v.wantEvent(tt.name, ClientClosed{Session: s, Message: tt.message})
		v.wantEvent(tt.name, ClientDone{})
	}
}

func TestClientPADT(t *testing.T) {
	v := opened(t, ClientConfig{})
	v.hear(macB, PADT, 7)
	v.hear(macA, PADT, 8)
	v.hear(macA, PADT, 0)
	v.wantQuiet("a PADT counts only from our AC and with our id")
	v.hear(macA, PADT, 7, StringTag(TagGenericError, "idle timeout"))
	s := Session{AC: macA, SessionID: 7, ACName: "ac-a", MaxPayload: 1492}
	v.wantEvent("ours", ClientClosed{s, "idle timeout"})
	v.wantEvent("and no answer: no PADT is sent to a PADT", ClientDone{})
}

func TestClientHostUniq(t *testing.T) {
	other := StringTag(TagHostUniq, "uniq-2")
	for _, require := range []bool{false, true} {
		t.Run(fmt.Sprint("required=", require), func(t *testing.T) {
			v := newTalk(t, ClientConfig{RequireHostUniq: require})
			v.wantPADI("begins", 0)
			name := StringTag(TagACName, "ac-a")
			v.hear(macA, PADO, 0, name, anyName, other, cookie)
			v.wantQuiet("that is another's")
			v.hear(macA, PADO, 0, name, anyName, cookie)
			if require {
				v.wantQuiet("that may be anyone's")
				v.offer(macA, "ac-a")
			}
			v.wantPADR("asks", macA)
			v.hear(macA, PADS, 4, anyName, other)
			v.wantQuiet("another's again")
			v.hear(macA, PADS, 5, anyName)
			if require {
				v.wantQuiet("anyone's again")
				v.hear(macA, PADS, 5, anyName, ourUniq)
			}
			v.wantEvent("ours", ClientOpened{Session{AC: macA, SessionID: 5, ACName: "ac-a", MaxPayload: 1492}})
			v.hear(macA, PADS, 6, anyName)
			v.wantQuiet("a PADS that names nobody may be a neighbour's: we asked for no second session")
		})
	}
}

func TestClientIgnores(t *testing.T) {
	name := StringTag(TagACName, "ac-a")
	ok := Packet{Code: PADO, Tags: []Tag{name, anyName, ourUniq}}.Append(nil)
	for _, tt := range []struct {
		name string
		src  MAC
		pkt  []byte
	}{
		{"a PADO with a session id", macA, Packet{PADO, 1, []Tag{name, anyName, ourUniq}}.Append(nil)},
		{"a PADO without AC-Name", macA, Packet{PADO, 0, []Tag{anyName, ourUniq}}.Append(nil)},
		{"a PADO from a group address", Broadcast, ok},
		{"a PADO cut short", macA, ok[:len(ok)-1]},
		{"a PADI of a neighbour", macA, Packet{PADI, 0, []Tag{anyName}}.Append(nil)},
		{"a PADS nobody asked for", macA, Packet{PADS, 1, []Tag{anyName, ourUniq}}.Append(nil)},
		{"a session frame", macA, []byte{0x11, 0, 0, 1, 0, 0}},
		{"nothing", macA, nil},
	} {
		v := newTalk(t, ClientConfig{})
		v.wantPADI("begins", 0)
		v.c.Input(v.now, tt.src, tt.pkt)
		v.wantQuiet(tt.name)
		v.wantState(tt.name, ClientSoliciting)
	}
}

func TestClientOffersAreToldOf(t *testing.T) {
	v := newTalk(t, ClientConfig{ServiceName: "isp"})
	v.wantPADI("begins", 0)
	v.offer(macA, "ac-\x1ba", StringTag(TagServiceName, "other"))
	out, _ := v.c.Next()
	got, ok := out.(ClientOffer)
	if !ok || got.Offer.AC != macA || got.Offer.ACName != "ac-\ufffda" || strings.Join(got.Offer.Services, ",") != ",other" || len(got.Offer.Tags) != 5 {
		t.Errorf("got %+v", out)
	}
	if _, err := ParseOffer(macA, Packet{Code: PADS}); err != ErrCode {
		t.Errorf("a PADS is no offer: %v", err)
	}
}

func TestClientFloodOfOffers(t *testing.T) {
	v := newTalk(t, ClientConfig{OfferWait: sec / 10, Prefer: []Preference{{Name: "ac-a"}}})
	v.wantPADI("begins", 0)
	for i := range 10_000 {
		mac := MAC{6, 0, 0, 0, byte(i >> 8), byte(i)}
		v.offer(mac, "flood")
		v.offer(mac, "ac-a", StringTag(TagGenericError, "forged"))
		for out := v.next(); out != nil; out = v.next() {
		}
		if len(v.c.acs) > maxOffers {
			t.Fatalf("%d offers kept", len(v.c.acs))
		}
	}
	v.to(sec)
	v.wantPADI("another round", sec)
	v.offer(macA, "ac-a")
	v.wantPADR("has room for an honest AC", macA)
}

func TestClientOpenKeepsNoOffers(t *testing.T) {
	v := newTalk(t, ClientConfig{OfferWait: sec})
	v.wantPADI("begins", 0)
	for i := range byte(20) {
		v.offer(MAC{2, 1, 0, 0, 0, i}, "ac")
	}
	v.to(sec)
	v.wantPADR("asks the first", MAC{2, 1})
	v.hear(MAC{2, 1}, PADS, 7, anyName, ourUniq)
	v.wantEvent("is answered", ClientOpened{Session{AC: MAC{2, 1}, SessionID: 7, ACName: "ac", MaxPayload: 1492}})
	if len(v.c.acs) != 1 || v.c.acs[0].offer.Tags != nil {
		t.Errorf("an open session keeps %d ACs", len(v.c.acs))
	}
}

func TestClientTagsThatDoNotFit(t *testing.T) {
	long := Tag{Type: 0x7f01, Data: make([]byte, 1400)}
	line, _ := AccessLine{CircuitID: "port 3"}.Tag()
	v := newTalk(t, ClientConfig{Extra: []Tag{StringTag(TagServiceName, "second"), long, long, line}})
	v.wantEvent("the packet has exactly one Service-Name", TagDropped{PADI, TagServiceName})
	v.wantEvent("no PADI is over 1484 octets", TagDropped{PADI, 0x7f01})
	v.wantSend("what fits goes out", Broadcast, PADI, 0, anyName, ourUniq, long, line)
	big := Tag{Type: TagACCookie, Data: make([]byte, 1000)}
	v.hear(macA, PADO, 0, StringTag(TagACName, "a"), anyName, ourUniq, big)
	v.wantEvent("", TagDropped{PADR, TagServiceName})
	v.wantEvent("the cookie comes first", TagDropped{PADR, 0x7f01})
	v.wantEvent("", TagDropped{PADR, 0x7f01})
	v.wantSend("then what fits", macA, PADR, 0, anyName, ourUniq, big, line)
}

func TestClientCookieTooLong(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	v.hear(macA, PADO, 0, StringTag(TagACName, "a"), anyName, ourUniq, Tag{TagACCookie, make([]byte, 1480)})
	v.wantEvent("such an offer cannot be taken", ClientRefused{macA, "a", PADO, "the tags to be returned do not fit into a PADR"})
	v.offer(macB, "ac-b")
	v.wantPADR("another can", macB)
}

func TestClientNameTooLong(t *testing.T) {
	c := NewClient(ClientConfig{ServiceName: strings.Repeat("x", 1480)})
	c.Start(start)
	first, _ := c.Next()
	second, _ := c.Next()
	if first != (ClientFailed{FailConfig, ""}) || second != (ClientDone{}) {
		t.Errorf("got %+v, %+v", first, second)
	}
}

func TestClientMaxPayload(t *testing.T) {
	for _, tt := range []struct {
		name         string
		ours, theirs int
		want         int
	}{
		{"neither", 0, 0, 1492},
		{"an AC that does not know RFC 4638", 1500, 0, 1492},
		{"both", 1500, 1500, 1500},
		{"the smaller of both", 1500, 1496, 1496},
		{"nonsense", 1500, 1400, 1492},
		{"an AC that offers what nobody asked for", 1492, 1500, 1492},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newTalk(t, ClientConfig{MaxPayload: tt.ours})
			send := v.next().(Send)
			p, _ := ParsePacket(send.Packet)
			if data, ok := p.Find(TagMaxPayload); ok != (tt.ours > 1492) || ok && !bytes.Equal(data, []byte{byte(tt.ours >> 8), byte(tt.ours)}) {
				t.Errorf("PADI says %x", data)
			}
			v.offer(macA, "a")
			_ = v.next()
			tags := []Tag{anyName, ourUniq}
			if tt.theirs > 0 {
				tags = append(tags, maxPayloadTag(tt.theirs))
			}
			v.hear(macA, PADS, 1, tags...)
			if s, _ := v.c.Session(); s.MaxPayload != tt.want {
				t.Errorf("%d, want %d", s.MaxPayload, tt.want)
			}
		})
	}
	if n := (Packet{Tags: []Tag{{TagMaxPayload, []byte{5}}}}).maxPayload(); n != 0 {
		t.Errorf("an ill-formed tag counts as %d", n)
	}
}

func TestClientKeepsNoInput(t *testing.T) {
	v := newTalk(t, ClientConfig{})
	v.wantPADI("begins", 0)
	pkt := Packet{Code: PADO, Tags: []Tag{StringTag(TagACName, "ac-a"), anyName, ourUniq, cookie}}.Append(nil)
	v.c.Input(v.now, macA, pkt)
	clear(pkt)
	v.wantPADR("the buffer was reused", macA)
	v.to(sec)
	v.wantPADR("and here again", macA)
}
