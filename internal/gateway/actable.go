package gateway

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"tributary/internal/config"
	"tributary/pppoe"
)

// acTable is the access concentrators of one uplink: what they have said of
// themselves, what has been seen of them, and so which of them is asked.
type acTable struct {
	policy  config.Health
	choices []acChoice // by the place in prefer
	prefer  []pppoe.Preference

	mu       sync.Mutex
	searches uint64
	acs      map[pppoe.MAC]*acRecord
	// trial is the turn of the one search that may take an AC which has never opened a
	// session for as good as one that has; tried is that AC. Anyone on the wire can
	// invent ACs and be quicker than the real ones: they hold up one search at a time,
	// and less often each time.
	trial respite
	tried pppoe.MAC
	setUp setUpTimes // from the begin of the search to the PADS
}

// acChoice is one entry of access_concentrators.
type acChoice struct {
	order    int // of its priority, from 0
	priority int
	weight   int
	shares   bool // others have this priority too
	byMAC    bool // it was told us by someone who knows
}

// acRecord is one AC.
type acRecord struct {
	mac      pppoe.MAC
	name     string
	services []string
	seen     time.Time // its last packet
	message  string    // of its last error tag
	sessions int
	choice   acChoice
	wanted   bool // it is one of access_concentrators, and has the service

	offers, refused, refusedOffers, unanswered, opened, lost, left uint64

	health    health
	pace      acPace
	offerTime time.Duration // from PADI to PADO, smoothed; 0: not known
	setUp     setUpTimes    // from PADR to PADS
}

func newACTable(cfg *config.Uplink) *acTable {
	t := &acTable{
		policy: cfg.Health,
		acs:    make(map[pppoe.MAC]*acRecord),
	}
	all := slices.Clone(cfg.AccessConcentrators)
	for i := range all {
		if all[i].Priority == 0 {
			all[i].Priority = i + 1
		}
		all[i].Weight = max(all[i].Weight, 1)
	}
	slices.SortStableFunc(all, func(a, b config.AC) int { return cmp.Compare(a.Priority, b.Priority) })
	order := 0
	for i, ac := range all {
		if i > 0 && ac.Priority != all[i-1].Priority {
			order++
		}
		t.prefer = append(t.prefer, pppoe.Preference{Name: ac.Name, MAC: ac.MAC})
		t.choices = append(t.choices, acChoice{
			order: order, priority: ac.Priority, weight: ac.Weight, byMAC: ac.MAC != pppoe.MAC{},
			shares: i > 0 && ac.Priority == all[i-1].Priority || i+1 < len(all) && ac.Priority == all[i+1].Priority,
		})
	}
	return t
}

// choice is the entry at a place of prefer; if that is empty, all ACs are equal.
func (t *acTable) choice(place int) acChoice {
	if place < len(t.choices) {
		return t.choices[place]
	}
	return acChoice{}
}

// begin is a new search.
func (t *acTable) begin(line string) searcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.searches++
	return searcher{id: t.searches, line: line}
}

// maxACs bounds what a flood of PADOs from invented addresses can make us remember.
const maxACs = 256

// record is what is known of an AC; nil if there is no room for another one.
func (t *acTable) record(now time.Time, mac pppoe.MAC) *acRecord {
	r := t.acs[mac]
	if r == nil {
		if len(t.acs) >= maxACs && !t.forget(now) {
			return nil
		}
		r = &acRecord{mac: mac}
		t.acs[mac] = r
	}
	r.seen = now
	return r
}

// acGone is when an AC that had sessions once, and has none, is forgotten if another
// one needs its place.
const acGone = time.Hour

// forget makes room: at the cost of an AC that has never opened a session, or else of
// one that has not been seen for long. Invented ones are in each other's way, and not
// in that of those that serve.
func (t *acTable) forget(now time.Time) bool {
	var oldest *acRecord
	for _, r := range t.acs {
		if r.sessions > 0 || r.choice.byMAC || r.opened > 0 && now.Sub(r.seen) < acGone {
			continue
		}
		if oldest == nil || r.opened == 0 && oldest.opened > 0 ||
			(r.opened == 0) == (oldest.opened == 0) && r.seen.Before(oldest.seen) {
			oldest = r
		}
	}
	if oldest == nil {
		return false
	}
	delete(t.acs, oldest.mac)
	return true
}

// offered is a PADO, so long after the PADI; 0 is not known.
func (t *acTable) offered(now time.Time, o pppoe.Offer, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.record(now, o.AC)
	if r == nil {
		return
	}
	r.name, r.services = o.ACName, o.Services
	r.offers++
	switch {
	case after <= 0:
	case r.offerTime == 0:
		r.offerTime = after
	default:
		r.offerTime += (after - r.offerTime) / 8
	}
}

// stands is where an AC stands, without what concerns one search only.
func (r *acRecord) stands(now time.Time, p config.Health) standing {
	switch {
	case r.health.leftAlone() && p.Failures > 0:
		return standsLeft
	case r.opened == 0 && !r.choice.byMAC:
		return standsStranger
	case r.health.suspect(now, p):
		return standsSuspect
	case r.pace.isSlow(now):
		return standsSlow
	}
	return standsGood
}

// rank judges an offer. The operator's priority comes first, then where the AC stands;
// among equals it is the weight, or who answered first. busy is a search that has
// asked another AC and waits for its answer: it takes no one's turn.
func (t *acTable) rank(now time.Time, who searcher, o pppoe.Offer, place int, busy bool) pppoe.Rank {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, stands := t.choice(place), standsStranger
	if r := t.record(now, o.AC); r != nil {
		r.choice, r.wanted = c, true
		if !r.health.may(now, t.policy, who, busy) {
			return pppoe.Rank{Leave: true}
		}
		if stands = r.stands(now, t.policy); stands == standsLeft {
			stands = standsGood // it is this search's turn
		}
	}
	if stands == standsStranger && !busy && (t.trial.probe != who.id || t.tried == o.AC) && t.trial.take(now, who.id) {
		t.tried, stands = o.AC, standsGood
	}
	rank := pppoe.Rank{Order: c.order*int(numStandings) + int(stands)}
	if c.shares {
		rank.Weight = c.weight
	}
	return rank
}

// asked is a PADR: what other AC this search could have asked, another one may.
func (t *acTable) asked(who searcher, mac pppoe.MAC) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(who, mac)
}

// over is the end of a search, or of the session that it came to.
func (t *acTable) over(who searcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(who, pppoe.MAC{})
}

func (t *acTable) drop(who searcher, but pppoe.MAC) {
	for mac, r := range t.acs {
		if mac != but {
			r.health.drop(who.id)
		}
	}
	if t.tried != but {
		t.trial.drop(who.id)
	}
}

// fail notes a failure of an AC, and reports whether it is left alone from now on, or
// for longer.
func (t *acTable) fail(now time.Time, who searcher, r *acRecord, f failure, message string) bool {
	if t.tried == r.mac && t.trial.drop(who.id) {
		t.trial.begin(now, t.policy)
	}
	left := r.health.fail(now, t.policy, f, who, message)
	if left {
		r.left++
	}
	return left
}

// refused is an error tag. One that is about the line alone, such as the service that
// it wants, says nothing of how the AC does.
func (t *acTable) refused(now time.Time, who searcher, c pppoe.ClientRefused, lineOnly bool) (left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.record(now, c.AC)
	if r == nil {
		return false
	}
	r.refused++
	if c.Code == pppoe.PADO {
		r.refusedOffers++
	}
	r.message = c.Message
	if lineOnly {
		return false
	}
	return t.fail(now, who, r, failRefused, c.Message)
}

// missed is an offer behind which no PADR was answered.
func (t *acTable) missed(now time.Time, who searcher, mac pppoe.MAC) (left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.acs[mac]
	if r == nil {
		return false
	}
	r.unanswered++
	return t.fail(now, who, r, failUnanswered, "")
}

// granted is a PADS: after the AC's PADR, and since the search began. It reports
// whether the AC was left alone until now.
func (t *acTable) granted(now time.Time, who searcher, s pppoe.Session, took, setUp time.Duration) (back bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setUp.observe(setUp)
	r := t.record(now, s.AC)
	if r == nil {
		return false
	}
	r.name = s.ACName
	r.sessions++
	r.opened++
	r.setUp.observe(took)
	r.pace.observe(now, took)
	if t.tried == s.AC && t.trial.drop(who.id) {
		t.trial = respite{}
	}
	return r.health.succeed(stageDiscovery)
}

// proved is PPP that works on a session: more than a PADS shows.
func (t *acTable) proved(mac pppoe.MAC) (back bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.acs[mac]
	return r != nil && r.health.succeed(stageSession)
}

// closed is the end of a session; dead is one on which nothing ever came.
func (t *acTable) closed(now time.Time, who searcher, mac pppoe.MAC, dead bool) (left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.acs[mac]
	if r == nil {
		return false
	}
	r.sessions--
	if !dead {
		return false
	}
	r.lost++
	return t.fail(now, who, r, failLost, "")
}

// why is what an AC has failed in, in words that name it; empty if in nothing.
func (t *acTable) why(now time.Time, mac pppoe.MAC) (words string, last failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.acs[mac]
	if r == nil {
		return "", 0
	}
	if words = r.health.why(now, t.policy); words != "" {
		words = r.title() + ": " + words
	}
	return words, r.health.last
}

// title is the AC's name, or what there is instead.
func (r *acRecord) title() string { return cmp.Or(r.name, r.mac.String()) }
