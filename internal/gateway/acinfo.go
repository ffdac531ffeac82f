package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"tributary/pppoe"
)

// ACInfo is one access concentrator that has answered on an uplink.
type ACInfo struct {
	Name     string   `json:"name"`
	MAC      string   `json:"mac"`
	Services []string `json:"services"`
	Sessions int      `json:"sessions"`

	Score    int       `json:"score" doc:"1 is asked first, then 2, and so on. Of equal ones each has its share by weight, or without weights it is the first that answers. 0 is not asked"`
	State    string    `json:"state" doc:"good, slow, suspect, unproven, left alone, not wanted"`
	Why      string    `json:"why" doc:"What that is for, in words"`
	Left     time.Time `json:"left_alone_until,omitzero" doc:"Until then nobody asks it, and then one search does"`
	Priority int       `json:"priority" doc:"As in access_concentrators; 0 if none are configured"`
	Weight   int       `json:"weight" doc:"As in access_concentrators; 0 if none are configured"`

	Offers        uint64        `json:"offers" doc:"PADOs"`
	Opened        uint64        `json:"opened" doc:"Sessions that it gave"`
	Refusals      uint64        `json:"refusals" doc:"Error tags in PADO or PADS"`
	RefusedOffers uint64        `json:"refused_offers" doc:"Those in a PADO"`
	Unanswered    uint64        `json:"unanswered" doc:"Offers behind which no PADR was answered"`
	Lost          uint64        `json:"lost" doc:"Sessions on which never a frame came from it"`
	LeftAlone     uint64        `json:"left_alone" doc:"How often it was left alone, or for longer"`
	Offer         time.Duration `json:"offer_ns" doc:"From PADI to PADO, smoothed"`
	SetUp         SetUpInfo     `json:"setup" doc:"From its first PADR to its PADS"`
	Message       string        `json:"message" doc:"Text of its last error tag"`
	LastSeen      time.Time     `json:"last_seen"`
}

// SetUpInfo is how long sessions took to open.
type SetUpInfo struct {
	Count   uint64        `json:"count"`
	Sum     time.Duration `json:"sum_ns"`
	Max     time.Duration `json:"max_ns"`
	P50     time.Duration `json:"p50_ns"`
	P90     time.Duration `json:"p90_ns"`
	P99     time.Duration `json:"p99_ns"`
	Buckets []SetUpBucket `json:"buckets"`
}

// SetUpBucket is a bucket of a histogram whose counts include those below.
type SetUpBucket struct {
	LE    time.Duration `json:"le_ns" doc:"So long at most"`
	Count uint64        `json:"count" doc:"Of all that took no longer; the rest up to the count of all took longer than any bucket"`
}

// stateNotWanted is that of an AC which is none of access_concentrators, or has not the
// service that is asked for.
const stateNotWanted = "not wanted"

// info is every AC, the one that is asked first in front, and the set-up times of all.
func (t *acTable) info(now time.Time) ([]ACInfo, SetUpInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*acRecord, 0, len(t.acs))
	for _, r := range t.acs {
		all = append(all, r)
	}
	place := func(r *acRecord) int {
		if !r.wanted {
			return len(t.choices) + 1
		}
		return r.choice.order
	}
	slices.SortFunc(all, func(a, b *acRecord) int {
		return cmp.Or(
			cmp.Compare(place(a), place(b)), cmp.Compare(a.stands(now, t.policy), b.stands(now, t.policy)),
			cmp.Compare(b.choice.weight, a.choice.weight), cmp.Compare(a.name, b.name), slices.Compare(a.mac[:], b.mac[:]))
	})
	infos := make([]ACInfo, len(all))
	score, last := 0, -1
	for i, r := range all {
		infos[i] = t.acInfo(now, r)
		if stands := r.stands(now, t.policy); r.wanted && stands != standsLeft {
			if at := place(r)*int(numStandings) + int(stands); at != last {
				score, last = score+1, at
			}
			infos[i].Score = score
		}
	}
	return infos, t.setUp.info()
}

func (t *acTable) acInfo(now time.Time, r *acRecord) ACInfo {
	i := ACInfo{
		Name: r.name, MAC: r.mac.String(), Services: slices.Clone(r.services), Sessions: r.sessions,
		State: r.stands(now, t.policy).String(), Why: r.health.why(now, t.policy),
		Priority: r.choice.priority, Weight: r.choice.weight,
		Offers: r.offers, Opened: r.opened, Refusals: r.refused, RefusedOffers: r.refusedOffers,
		Unanswered: r.unanswered, Lost: r.lost, LeftAlone: r.left,
		Offer: r.offerTime, SetUp: r.setUp.info(), Message: r.message, LastSeen: r.seen,
	}
	switch {
	case !r.wanted:
		i.State, i.Why = stateNotWanted, "it is none of access_concentrators, or has not the service that is asked for"
	case r.health.leftAlone():
		i.Left = r.health.until
	case i.Why != "":
	case i.State == standsSlow.String():
		i.Why = fmt.Sprintf("takes %s to open a session", short(r.pace.mean))
	case r.opened == 0:
		i.Why = "has opened no session yet"
	default:
		i.Why = fmt.Sprintf("sessions open in %s", short(r.setUp.quantile(50)))
	}
	return i
}

// short is a time in two digits.
func short(d time.Duration) string {
	unit := time.Second
	for unit > 1 && d < 10*unit {
		unit /= 10
	}
	return d.Round(unit).String()
}

// leftAloneWords is why a search found nobody it might ask, and whether that is because
// they had refused.
func (u *uplink) leftAloneWords(now time.Time, macs []pppoe.MAC) (words string, refused bool) {
	for _, mac := range macs {
		why, last := u.acs.why(now, mac)
		if why == "" {
			continue
		}
		if words != "" {
			words += "; "
		}
		words += why
		refused = refused || last == failRefused
	}
	return words, refused
}
