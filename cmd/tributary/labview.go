package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/gateway"
)

// labView shows a running lab: in place on a terminal, and line after line
// elsewhere.
type labView struct {
	l     *labRun
	tty   *os.File // nil: not a terminal
	shown int      // lines on the terminal that the next picture replaces
	at    time.Time
	last  map[string]octetsBoth // of each line, at at
}

type octetsBoth struct{ up, down uint64 }

// labRows is how many lines are shown, where the terminal has the room.
const labRows = 16

func newLabView(l *labRun) *labView {
	v := &labView{l: l, at: time.Now(), last: make(map[string]octetsBoth)}
	if f, ok := l.e.stdout.(*os.File); ok {
		if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			v.tty = f
		}
	}
	return v
}

func (v *labView) interval() time.Duration {
	if v.tty != nil {
		return 500 * time.Millisecond
	}
	return time.Second
}

// rows is how many lines of the table fit.
func (v *labView) rows() int {
	size, err := unix.IoctlGetWinsize(int(v.tty.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 {
		return labRows
	}
	return min(labRows, max(int(size.Row)-14, 3))
}

// show draws the next picture, unless there was one just now: rates need time.
func (v *labView) show() {
	now := time.Now()
	if now.Sub(v.at) < v.interval()/2 {
		return
	}
	seconds := now.Sub(v.at).Seconds()
	lines := v.l.gw.Lines()
	next := make(map[string]octetsBoth, len(lines))
	rates := make([]octetsBoth, len(lines))
	var total octetsBoth
	sessions, users := 0, 0
	for i := range lines {
		s := &lines[i]
		if s.SessionID != 0 {
			sessions++
		}
		n := octetsBoth{s.Session.UpOctets, s.Session.DownOctets}
		was := v.last[s.Name]
		next[s.Name] = n
		if n.up >= was.up && n.down >= was.down { // else the name has a new line
			rates[i] = octetsBoth{uint64(float64(n.up-was.up) / seconds), uint64(float64(n.down-was.down) / seconds)}
		}
		if s.Kind == "session" {
			continue // what users share: its traffic is theirs
		}
		users++
		total.up, total.down = total.up+rates[i].up, total.down+rates[i].down
	}
	v.last, v.at = next, now
	text := v.summary(now, users, sessions, total)
	if v.tty != nil {
		text = v.picture(lines, rates) + "\n" + text
		n := strings.Count(text, "\n")
		if v.shown > 0 {
			text = fmt.Sprintf("\x1b[%dA\x1b[J%s", v.shown, text)
		}
		v.shown = n
	}
	fmt.Fprint(v.l.e.stdout, text)
}

// summary is the lab in one line.
func (v *labView) summary(now time.Time, lines, sessions int, rate octetsBoth) string {
	t := v.l.traffic()
	return fmt.Sprintf("%6s  %d lines, %d sessions, %s/s down, %s/s up, %s verified in %d transfers, %d pings\n",
		now.Sub(v.l.began).Round(100*time.Millisecond), lines, sessions, octets(rate.down), octets(rate.up),
		octets(t.Down+t.Up), t.Downloads+t.Uploads, t.Pings)
}

func (v *labView) picture(lines []gateway.LineInfo, rates []octetsBoth) string {
	t := newTable("LINE", "REMOTE", "STATE", ">SID", "USER", "ADDRESS", ">DOWN/S", ">UP/S", ">DOWN", ">UP")
	rows := v.rows()
	for i := range lines {
		if i == rows {
			break
		}
		s := &lines[i]
		t.row(s.Name, s.Remote, lineState(s), sid(s.SessionID), s.User, s.Address,
			octets(rates[i].down), octets(rates[i].up), octets(s.Session.DownOctets), octets(s.Session.UpOctets))
	}
	var b strings.Builder
	_ = t.write(&b) // a Builder takes everything
	if more := len(lines) - rows; more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	return b.String()
}

// done leaves the last picture where it is.
func (v *labView) done() { v.shown = 0 }
