package nat

import (
	"testing"
	"time"
)

// Each row is a connection as a list of segments, "<" from outside and ">" from
// inside, and how long it may then be idle.
func TestTCPTimeouts(t *testing.T) {
	const established, transitory = 2*time.Hour + 4*time.Minute, 4 * time.Minute
	for _, row := range []struct {
		why      string
		segments []string
		want     time.Duration
	}{
		{"SYN without an answer", []string{">S"}, transitory},
		{"half open", []string{">S", "<SA"}, transitory},
		{"open", []string{">S", "<SA", ">A"}, established},
		{"simultaneous open", []string{">S", "<S", ">SA", "<SA"}, established},
		{"taken up in the middle", []string{">A", "<A", ">A"}, established},
		{"nobody answers in the middle", []string{">A", ">A", ">A"}, transitory},
		{"half closed", []string{">S", "<SA", ">A", ">FA", "<A", "<A"}, established},
		{"closed by the other side only", []string{">S", "<SA", ">A", "<FA", ">A"}, established},
		{"closed", []string{">S", "<SA", ">A", ">FA", "<FA", ">A"}, transitory},
		{"reset from inside", []string{">S", "<SA", ">A", ">R"}, transitory},
		{"RFC 7857: reset from outside, which may be forged", []string{">S", "<SA", ">A", "<R"}, transitory},
		{"refused", []string{">S", "<RA"}, transitory},
		{"the same ports again", []string{">S", "<SA", ">A", ">FA", "<FA", ">A", ">S", "<SA", ">A"}, established},
		{"a SYN into an open connection", []string{">S", "<SA", ">A", ">S"}, established},
	} {
		r := newRig(t, Config{})
		var port uint16
		for _, s := range row.segments {
			var flags uint8
			for _, f := range s[1:] {
				flags |= map[rune]uint8{'S': synFlag, 'A': ackFlag, 'F': finFlag, 'R': rstFlag}[f]
			}
			if s[0] == '>' {
				port = sport(r.wantOut(row.why+": "+s, alice, tcpPacket(t, aliceAddr, 5000, server, 80, flags), Forward))
			} else {
				r.wantIn(row.why+": "+s, tcpPacket(t, server, 80, shared, port, flags), alice, Forward)
			}
		}
		r.wait(row.want - time.Second)
		if got := r.nat.Stats().Sessions; got != 1 {
			t.Errorf("%s: forgotten before %v", row.why, row.want)
		}
		r.wait(3 * time.Second)
		if got := r.nat.Stats().Sessions; got != 0 {
			t.Errorf("%s: not forgotten after %v", row.why, row.want)
		}
	}
}

func TestTCPConnectionsShareAMapping(t *testing.T) {
	r := newRig(t, Config{})
	a := sport(r.wantOut("to one", alice, tcpPacket(t, aliceAddr, 5000, server, 80, synFlag), Forward))
	b := sport(r.wantOut("to another port of it", alice, tcpPacket(t, aliceAddr, 5000, server, 81, synFlag), Forward))
	c := sport(r.wantOut("to another host", alice, tcpPacket(t, aliceAddr, 5000, other, 80, synFlag), Forward))
	if a != b || a != c {
		t.Errorf("RFC 5382 REQ-1: one endpoint has the ports %d, %d, %d", a, b, c)
	}
	if s := r.nat.Stats(); s.Sessions != 3 || s.Mappings != 1 {
		t.Errorf("three connections of one endpoint are %+v", s)
	}
	r.wantOut("a RST of a connection that is not known", alice, tcpPacket(t, aliceAddr, 5000, other, 81, rstFlag), NoSession)
	r.wantIn("TCP renews from both sides", tcpPacket(t, other, 80, shared, c, synFlag|ackFlag), alice, Forward)
	r.wait(3 * time.Minute)
	r.wantIn("the answer again", tcpPacket(t, other, 80, shared, c, synFlag|ackFlag), alice, Forward)
	r.wait(3 * time.Minute)
	if s := r.nat.Stats(); s.Sessions != 1 {
		t.Errorf("only one was used meanwhile: %+v", s)
	}
	r.wantIn("from the address of a connection that is over", tcpPacket(t, server, 82, shared, a, synFlag), 0, Filtered)
}

// One that was open for long and is closed does not wait for the turn of an open
// one.
func TestTCPClosedAfterALongTime(t *testing.T) {
	r := newRig(t, Config{})
	port := sport(r.wantOut("SYN", alice, tcpPacket(t, aliceAddr, 5000, server, 80, synFlag), Forward))
	r.wantIn("SYN and ACK", tcpPacket(t, server, 80, shared, port, synFlag|ackFlag), alice, Forward)
	r.wantOut("ACK", alice, tcpPacket(t, aliceAddr, 5000, server, 80, ackFlag), Forward)
	r.wait(time.Hour)
	r.wantIn("RST", tcpPacket(t, server, 80, shared, port, rstFlag), alice, Forward)
	r.wait(241 * time.Second)
	r.wantIn("four minutes later", tcpPacket(t, server, 80, shared, port, ackFlag), 0, NoMapping)
}
