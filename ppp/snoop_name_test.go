package ppp

import (
	"fmt"
	"testing"
)

// named checks who the user is said to be.
func (c *snoopTalk) named(why, user string, ok bool) {
	c.t.Helper()
	if st := c.s.State(); st.User != user || st.AuthOK != ok {
		c.t.Errorf("%s: user %q, authenticated %v; want %q, %v", why, st.User, st.AuthOK, user, ok)
	}
}

// Frames of the conversations below.
func papAsks(id uint8, name string) []byte {
	return snoopFrame(ProtoPAP, snoopPAPRequest, id, fmt.Sprintf("%c%s\x01x", len(name), name))
}
func papSays(c Code, id uint8) []byte { return snoopFrame(ProtoPAP, c, id, "\x00") }
func chapSays(c Code, id uint8, name string) []byte {
	return snoopFrame(ProtoCHAP, c, id, "\x01x", name)
}

func TestSnoopNamePAP(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.openLCP(octetsPAP)
	c.named("nobody yet", "", false)
	c.user("a slip of the pen", papAsks(1, "bbo"), 0)
	c.named("who tries", "bbo", false)
	c.ac("no", papSays(snoopPAPNak, 1), SnoopAuthFailed)
	c.named("who tried", "bbo", false)
	c.user("again", papAsks(2, "bob"), 0)
	c.user("and again, as no answer comes", papAsks(3, "bob"), 0)
	c.user("under an Identifier he has used", papAsks(2, "eve"), 0)
	c.user("and as somebody else", papAsks(4, "alice"), 0)
	c.named("shown is the last", "alice", false)
	c.ac("yes, to bob's first", papSays(snoopPAPAck, 2), SnoopAuthenticated)
	c.named("it is bob's link", "bob", true)
	c.user("RFC 1334 section 2.2.1: a repeated request gets the same Ack", papAsks(5, "alice"), 0)
	c.ac("whatever is in it", papSays(snoopPAPAck, 5), 0)
	c.ac("this was still under way", papSays(snoopPAPAck, 4), 0)
	c.named("so it is bob's still", "bob", true)

	c.ac("LCP anew", lcpFrame(ConfigureRequest, 6, octetsPAP), SnoopLCPClosed)
	c.user("", lcpFrame(ConfigureRequest, 7), 0)
	c.user("", lcpFrame(ConfigureAck, 6, octetsPAP), 0)
	c.ac("", lcpFrame(ConfigureAck, 7), SnoopLCPOpened)
	c.named("and the question with it", "", false)
	for i := range uint8(snoopMaxNames + 1) {
		c.user("more names than anyone has", papAsks(i, fmt.Sprint("name-", i)), 0)
	}
	c.named("shown they are", "name-4", false)
	c.ac("the AC believes the last", papSays(snoopPAPAck, snoopMaxNames), SnoopAuthenticated)
	c.named("which was not kept", "", true)
}

func TestSnoopNameCHAP(t *testing.T) {
	c := &snoopTalk{t, NewSnoop()}
	c.openLCP(octetsCHAP)
	c.ac("challenge", chapSays(snoopCHAPAsk, 1, "bras"), 0)
	c.user("response", chapSays(snoopCHAPResponse, 1, "bob"), 0)
	c.ac("the challenge again", chapSays(snoopCHAPAsk, 1, "bras"), 0)
	c.user("the AC has a Response and looks at no other", chapSays(snoopCHAPResponse, 1, "alice"), 0)
	c.named("who tries", "alice", false)
	c.ac("success", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 1), SnoopAuthenticated)
	c.named("it is bob's link", "bob", true)
	c.user("the same challenge once more", chapSays(snoopCHAPResponse, 1, "alice"), 0)
	c.ac("has the same answer", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 1), 0)
	c.named("RFC 1994 section 4.1: whoever responds", "bob", true)

	c.ac("a new challenge", chapSays(snoopCHAPAsk, 2, "bras"), 0)
	c.ac("the success before, late", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 1), 0)
	c.user("to no challenge", chapSays(snoopCHAPResponse, 1, "alice"), 0)
	c.user("from somebody else", chapSays(snoopCHAPResponse, 2, "carol"), 0)
	c.named("not before the AC says so", "bob", true)
	c.ac("an answer to something else", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 3), 0)
	c.named("not by that", "bob", true)
	c.ac("which it does", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 2), 0)
	c.named("the AC has let carol take over", "carol", true)

	c.ac("a new challenge", chapSays(snoopCHAPAsk, 3, "bras"), 0)
	c.user("response", chapSays(snoopCHAPResponse, 3, "eve"), 0)
	c.ac("failure", snoopFrame(ProtoCHAP, snoopCHAPFailure, 3), SnoopAuthFailed)
	c.named("who failed", "eve", false)
	c.user("MS-CHAP tries again under the next Identifier", chapSays(snoopCHAPResponse, 4, "carol"), 0)
	c.ac("and may succeed", snoopFrame(ProtoCHAP, snoopCHAPSuccess, 4), SnoopAuthenticated)
	c.named("carol again", "carol", true)
}
