package ppp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// rfc1661Table is the State Transition Table as RFC 1661 section 4.1 prints it.
const rfc1661Table = `
      |    0         1         2         3         4         5
Events| Initial   Starting  Closed    Stopped   Closing   Stopping
------+-----------------------------------------------------------
 Up   |    2     irc,scr/6     -         -         -         -
 Down |    -         -         0       tls/1       0         1
 Open |  tls/1       1     irc,scr/6     3r        5r        5r
 Close|    0       tlf/0       2         2         4         4
      |
  TO+ |    -         -         -         -       str/4     str/5
  TO- |    -         -         -         -       tlf/2     tlf/3
      |
 RCR+ |    -         -       sta/2 irc,scr,sca/8   4         5
 RCR- |    -         -       sta/2 irc,scr,scn/6   4         5
 RCA  |    -         -       sta/2     sta/3       4         5
 RCN  |    -         -       sta/2     sta/3       4         5
      |
 RTR  |    -         -       sta/2     sta/3     sta/4     sta/5
 RTA  |    -         -         2         3       tlf/2     tlf/3
      |
 RUC  |    -         -       scj/2     scj/3     scj/4     scj/5
 RXJ+ |    -         -         2         3         4         5
 RXJ- |    -         -       tlf/2     tlf/3     tlf/2     tlf/3
      |
 RXR  |    -         -         2         3         4         5

      |    6         7         8           9
Events| Req-Sent  Ack-Rcvd  Ack-Sent    Opened
------+-----------------------------------------
 Up   |    -         -         -           -
 Down |    1         1         1         tld/1
 Open |    6         7         8           9r
 Close|irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
      |
  TO+ |  scr/6     scr/6     scr/8         -
  TO- | tlf/3p    tlf/3p    tlf/3p         -
      |
 RCR+ |  sca/8   sca,tlu/9   sca/8   tld,scr,sca/8
 RCR- |  scn/6     scn/7     scn/6   tld,scr,scn/6
 RCA  |  irc/7     scr/6x  irc,tlu/9   tld,scr/6x
 RCN  |irc,scr/6   scr/6x  irc,scr/8   tld,scr/6x
      |
 RTR  |  sta/6     sta/6     sta/6   tld,zrc,sta/5
 RTA  |    6         6         8       tld,scr/6
      |
 RUC  |  scj/6     scj/7     scj/8       scj/9
 RXJ+ |    6         6         8           9
 RXJ- |  tlf/3     tlf/3     tlf/3   tld,irc,str/5
      |
 RXR  |    6         7         8         ser/9
`

var eventNames = [eventCount]string{
	"Up", "Down", "Open", "Close", "TO+", "TO-", "RCR+", "RCR-", "RCA", "RCN", "RTR", "RTA", "RUC", "RXJ+", "RXJ-", "RXR",
}

var actionNames = []struct {
	name string
	cell cell
}{
	{"tlu", tlu}, {"tld", tld}, {"tls", tls}, {"tlf", tlf}, {"irc", irc}, {"zrc", zrc}, {"scr", scr},
	{"sca", sca}, {"scn", scn}, {"str", str}, {"sta", sta}, {"scj", scj}, {"ser", ser},
}

// parseRFCTable gives the RFC's cells as it prints them, by event and state.
func parseRFCTable(t *testing.T) (cells [eventCount][]string) {
	for line := range strings.Lines(rfc1661Table) {
		name, row, ok := strings.Cut(line, "|")
		ev := slices.Index(eventNames[:], strings.TrimSpace(name))
		if ok && ev >= 0 {
			cells[ev] = append(cells[ev], strings.Fields(row)...)
		}
	}
	for ev, row := range cells {
		if len(row) != stateCount {
			t.Fatalf("row %s has %d cells", eventNames[ev], len(row))
		}
	}
	return cells
}

// parseCell turns the RFC's "irc,scr/6" into a cell.
func parseCell(t *testing.T, s string) cell {
	if s == "-" {
		return illegal
	}
	var c cell
	if actions, next, ok := strings.Cut(s, "/"); ok {
		s = next
	actions:
		for a := range strings.SplitSeq(actions, ",") {
			for _, n := range actionNames {
				if n.name == a {
					c |= n.cell
					continue actions
				}
			}
			t.Fatalf("action %q", a)
		}
	}
	for _, note := range []struct {
		mark string
		cell cell
	}{{"p", passive}, {"r", restart}, {"x", crossed}} {
		if rest, ok := strings.CutSuffix(s, note.mark); ok {
			s, c = rest, c|note.cell
		}
	}
	var next int
	if _, err := fmt.Sscan(s, &next); err != nil {
		t.Fatalf("state %q: %v", s, err)
	}
	return c | cell(next)
}

// TestAutomatonIsRFC1661 holds each of the 160 cells against the RFC's print.
func TestAutomatonIsRFC1661(t *testing.T) {
	cells := 0
	for ev, row := range parseRFCTable(t) {
		for s, text := range row {
			if want := parseCell(t, text); automaton[ev][s] != want {
				t.Errorf("%s in state %d is %#x, the RFC has %q, %#x", eventNames[ev], s, automaton[ev][s], text, want)
			}
			cells++
		}
	}
	if cells != 160 {
		t.Errorf("%d cells", cells)
	}
}

// TestRestartTimerStates: RFC 1661 section 4.1: "The states in which the
// Restart timer is running are identifiable by the presence of TO events."
func TestRestartTimerStates(t *testing.T) {
	for s := range state(stateCount) {
		if has := automaton[evTOp][s] != illegal; s.timed() != has {
			t.Errorf("state %d: timed %v, TO events %v", s, s.timed(), has)
		}
	}
}

// fakeLayer notes what the automaton does with it.
type fakeLayer struct{ did []string }

func (y *fakeLayer) reset()                          {}
func (y *fakeLayer) appendOptions(dst []byte) []byte { return append(dst, 1, 2) }
func (y *fakeLayer) naked(Option) Reason             { return "" }
func (y *fakeLayer) rejected(Option) Reason          { return "" }
func (y *fakeLayer) judge(Packet, *verdict)          {}
func (y *fakeLayer) granted()                        {}
func (y *fakeLayer) expect(bool)                     {}
func (y *fakeLayer) codeRejected(Code)               {}
func (y *fakeLayer) control(time.Time, Packet) bool  { return false }
func (y *fakeLayer) cause(Reason, string)            {}
func (y *fakeLayer) fail(time.Time, Reason, string)  {}
func (y *fakeLayer) up(time.Time)                    { y.did = append(y.did, "tlu") }
func (y *fakeLayer) down(time.Time)                  { y.did = append(y.did, "tld") }
func (y *fakeLayer) finished(time.Time)              { y.did = append(y.did, "tlf") }

// TestFSMDoesEveryCell runs each cell and looks at what it did: the layer's
// callbacks, the packets, the counter, the timer, the state.
func TestFSMDoesEveryCell(t *testing.T) {
	sent := map[Code]string{
		ConfigureRequest: "scr", ConfigureAck: "sca", ConfigureNak: "scn", TerminateRequest: "str",
		TerminateAck: "sta", CodeReject: "scj", EchoReply: "ser",
	}
	for ev := range event(eventCount) {
		for s := range state(stateCount) {
			name := fmt.Sprintf("%s in state %d", eventNames[ev], s)
			y := &fakeLayer{}
			l := NewLink(LinkConfig{Random: seeded(1)})
			f := &fsm{}
			f.init(l, ProtoLCP, y)
			f.state, f.counter = s, 99
			f.verdict.naks = []byte{1, 2}
			if s.timed() {
				f.deadline = start.Add(time.Second)
			}
			f.event(start, ev, Packet{EchoRequest, 7, []byte{0, 0, 0, 0}})

			did := y.did
			for o, ok := l.Next(); ok; o, ok = l.Next() {
				if f, ok := o.(SendFrame); ok {
					_, info, _ := Split(f.Frame)
					did = append(did, sent[Code(info[0])])
				}
			}
			c, next := automaton[ev][s], automaton[ev][s].next()
			if c == illegal {
				c, next = 0, s
			}
			if c&restart != 0 && s != stOpened { // followed by Down and Up
				c, next = irc|scr, stReqSent
			}
			var want []string
			for _, n := range actionNames {
				if c&n.cell != 0 && n.cell&(irc|zrc|tls) == 0 {
					want = append(want, n.name)
				}
			}
			slices.Sort(did)
			slices.Sort(want)
			if !slices.Equal(did, want) || f.state != next {
				t.Errorf("%s: did %v, want %v; state %d, want %d", name, did, want, f.state, next)
			}
			counter := 99
			switch {
			case c&irc != 0 && c&str != 0:
				counter = defaultMaxTerminate
			case c&irc != 0:
				counter = defaultMaxConfigure
			case c&zrc != 0:
				counter = 0
			}
			if c&(scr|str) != 0 {
				counter--
			}
			if f.counter != counter {
				t.Errorf("%s: restart counter %d, want %d", name, f.counter, counter)
			}
			if f.state.timed() == f.deadline.IsZero() {
				t.Errorf("%s: deadline %v in state %d", name, f.deadline, f.state)
			}
			if c&(scr|str|zrc) != 0 && !f.deadline.Equal(start.Add(defaultRestart)) {
				t.Errorf("%s: the Restart timer was not started", name)
			}
		}
	}
}
