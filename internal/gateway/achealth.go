package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tributary/internal/config"
)

// What an uplink has seen of one AC, and what follows from it for whoever looks for
// an AC now. Nothing here reads a clock or starts anything: `now` comes in, and the
// owner of the record holds the lock.

// failure is one way in which an AC fails whoever looks for a session.
type failure uint8

const (
	failRefused    failure = iota // an error tag, in its PADO or PADS
	failUnanswered                // it made an offer, and no PADR was answered
	failLost                      // a session, and not a frame from it
	numFailures
)

// stage is how far the search came. An AC may give every session and carry none, so a
// success of one stage says nothing of the other.
type stage uint8

const (
	stageDiscovery stage = iota // cleared by a PADS
	stageSession                // cleared by an LCP that opens
	numStages
)

func (f failure) stage() stage {
	if f == failLost {
		return stageSession
	}
	return stageDiscovery
}

// searcher is one search for an AC, of one line.
type searcher struct {
	id   uint64 // never 0
	line string
}

// health is what the last searches came to.
type health struct {
	respite
	rows    [numStages]row
	stage   stage // of the failures that it is left alone for
	at      time.Time
	last    failure
	message string // the AC's words to the last refusal
}

// row is failures of one stage since its last success.
type row struct {
	count [numFailures]int
	// lines are those that failed, as many as are needed to leave the AC alone. One
	// line that dials again and again, and is refused for a reason of its own, must
	// not take the AC away from all the others.
	lines []string
}

func (r *row) len() (n int) {
	for _, c := range r.count {
		n += c
	}
	return n
}

func (r *row) add(f failure, line string, most int) {
	r.count[f]++
	if !slices.Contains(r.lines, line) && len(r.lines) < most {
		r.lines = append(r.lines, line)
	}
}

// fail notes a failure, and reports whether the AC is left alone from now on, or for
// longer than before.
func (h *health) fail(now time.Time, p config.Health, f failure, who searcher, message string) bool {
	probe := h.drop(who.id)
	h.at, h.last, h.message = now, f, message
	row := &h.rows[f.stage()]
	row.add(f, who.line, p.Failures)
	if h.leftAlone() {
		if !probe {
			return false // it was asked before: one bad moment, however many had asked, is one
		}
	} else {
		if p.Failures == 0 || len(row.lines) < p.Failures {
			return false
		}
		h.stage = f.stage()
	}
	h.begin(now, p)
	return true
}

// succeed notes a success of a stage, and reports whether the AC was left alone until
// now.
func (h *health) succeed(s stage) bool {
	h.rows[s] = row{}
	if !h.leftAlone() || h.stage != s {
		return false
	}
	h.respite = respite{}
	return true
}

// may reports whether this search may ask the AC. Where that is for one search alone
// it is that one from now on, until it fails, succeeds or drops it; with peek it is
// not.
func (h *health) may(now time.Time, p config.Health, who searcher, peek bool) bool {
	if p.Failures == 0 || !h.leftAlone() {
		return true
	}
	if h.probe == who.id && now.Before(h.probeBy) {
		return true
	}
	at := h.until
	if slices.Contains(h.rows[h.stage].lines, who.line) {
		at = at.Add(h.pause) // who failed here before: others first
	}
	return !peek && !now.Before(at) && h.take(now, who.id)
}

// suspect reports whether a failure is so fresh that others are asked first.
func (h *health) suspect(now time.Time, p config.Health) bool {
	return h.rows[stageDiscovery].len()+h.rows[stageSession].len() > 0 && now.Sub(h.at) < p.Min
}

// failures is the row in words: "3 refusals in a row, the last "session limit"".
func (h *health) failures(s stage) string {
	names := [numFailures][2]string{
		failRefused:    {"refusal", "refusals"},
		failUnanswered: {"offer without a PADS", "offers without a PADS"},
		failLost:       {"session without a frame from it", "sessions without a frame from it"},
	}
	var parts []string
	for f, n := range h.rows[s].count {
		switch {
		case n == 1:
			parts = append(parts, "1 "+names[f][0])
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, names[f][1]))
		}
	}
	words := strings.Join(parts, " and ")
	if h.rows[s].len() > 1 {
		words += " in a row"
	}
	if h.message != "" && h.last.stage() == s {
		words += fmt.Sprintf(", the last %q", h.message)
	}
	return words
}

// respite is a time in which nobody asks, each twice as long as the one before; after
// it, one search at a time may, to see whether it is over.
type respite struct {
	pause   time.Duration
	until   time.Time // zero: it is over
	probe   uint64    // the search that may ask, 0 if none is at it
	probeBy time.Time // and then another may
}

// probeTime bounds a probe that nobody hears of again. It is longer than the PADRs of
// one search, and than a session takes to be found silent.
const probeTime = time.Minute

func (r *respite) leftAlone() bool { return !r.until.IsZero() }

func (r *respite) begin(now time.Time, p config.Health) {
	r.pause = min(max(2*r.pause, p.Min), p.Max)
	r.until = now.Add(r.pause)
	r.probe = 0
}

// take gives the turn to a search, if nobody has it.
func (r *respite) take(now time.Time, id uint64) bool {
	if now.Before(r.until) || r.probe != 0 && r.probe != id && now.Before(r.probeBy) {
		return false
	}
	if r.probe != id || !now.Before(r.probeBy) {
		r.probe, r.probeBy = id, now.Add(probeTime)
	}
	return true
}

// drop gives back the turn of a search, and reports whether it had it.
func (r *respite) drop(id uint64) bool {
	if r.probe != id {
		return false
	}
	r.probe = 0
	return true
}

// acPace is how long an AC takes from PADR to PADS, smoothed.
type acPace struct {
	mean time.Duration
	at   time.Time // of the last PADS; zero: there was none
	slow bool
}

// An AC is slow whose PADS come so late that PADRs are repeated; not because another
// one is a little faster, which would have all searches run from one to the other.
const (
	slowAbove = time.Second
	slowBelow = slowAbove / 2
	paceHolds = 5 * time.Minute // what is older says nothing of today
)

func (p *acPace) observe(now time.Time, took time.Duration) {
	if p.at.IsZero() || now.Sub(p.at) > paceHolds {
		*p = acPace{mean: took}
	}
	p.at = now
	p.mean += (took - p.mean) / 8
	p.slow = p.mean > slowAbove || p.slow && p.mean > slowBelow
}

func (p *acPace) isSlow(now time.Time) bool { return p.slow && now.Sub(p.at) <= paceHolds }

// standing is what all of it comes to, in the order in which ACs of one priority are
// asked.
type standing uint8

const (
	standsGood     standing = iota // serves, as far as is known
	standsSlow                     // serves, and takes its time
	standsSuspect                  // has failed just now
	standsStranger                 // has not yet opened a session
	standsLeft                     // is not asked
	numStandings
)

var standingNames = [...]string{"good", "slow", "suspect", "unproven", "left alone"}

func (s standing) String() string { return standingNames[s] }

// why is a standing in words.
func (h *health) why(now time.Time, p config.Health) string {
	switch {
	case h.leftAlone() && p.Failures > 0:
		words := h.failures(h.stage)
		switch {
		case now.Before(h.until):
			return fmt.Sprintf("left alone for %s: %s", forWords(h.until.Sub(now)), words)
		case h.probe != 0 && now.Before(h.probeBy):
			return "one search finds out whether it serves again: " + words
		}
		return "the next search finds out whether it serves again: " + words
	case h.rows[stageDiscovery].len() > 0:
		return h.failures(stageDiscovery)
	case h.rows[stageSession].len() > 0:
		return h.failures(stageSession)
	}
	return ""
}

// forWords is a time to come, to the second and never 0.
func forWords(d time.Duration) string {
	return max((d + time.Second - 1).Truncate(time.Second), time.Second).String()
}
