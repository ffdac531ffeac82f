package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/control"
	"tributary/internal/gateway"
)

func newUplinksCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "uplinks [NAME]",
		Short: "List the uplinks and their access concentrators, or show everything about one",
		Long: `Lists the uplinks, and the access concentrators that have answered on them, the
one that is asked first in front. Of those with one SCORE each has its share by
WEIGHT, or without weights it is the first that answers; one without a score is
not asked. STATE is good, slow, suspect (it has failed just now), unproven (it
has not yet opened a session), left alone or not wanted, and below is why.

LOST are sessions on which never a frame came from it. OFFER is how long it takes
from PADI to PADO; P50 and P99 are from PADR to PADS, of half of all sessions and
of 99 in 100.`,
		Example: `  tributary uplinks
  tributary uplinks isp
  tributary uplinks --json | jq -r '.[].acs[] | select(.state == "left alone").why'`,
		Args: cobra.MaximumNArgs(1),
	}
	socket, asJSON := e.socketFlag(c), jsonFlag(c)
	c.ValidArgsFunction = completeNames(socket, uplinkNames)
	c.RunE = func(c *cobra.Command, args []string) error {
		client := control.Dial(*socket)
		defer client.Close()
		uplinks, err := client.Uplinks(c.Context())
		switch {
		case err != nil:
			return err
		case len(args) == 1:
			for i := range uplinks {
				if uplinks[i].Name == args[0] {
					return e.printUplink(&uplinks[i], *asJSON)
				}
			}
			return fmt.Errorf("no such uplink: %s; \"tributary uplinks\" lists them", quoted(args[0]))
		case *asJSON:
			return printJSON(e.stdout, uplinks)
		}
		return e.printUplinks(uplinks)
	}
	return c
}

func (e *env) printUplinks(uplinks []gateway.UplinkInfo) error {
	t := newTable("UPLINK", "INTERFACE", "VLANS", "MAC", ">MTU", ">SESSIONS", ">OPENING", ">RX", ">TX", ">DROPPED")
	acs := newTable("UPLINK", "ACCESS CONCENTRATOR", "MAC", "STATE", ">SCORE", ">PRIO", ">WEIGHT", ">SESSIONS", ">SEEN")
	seen := newTable("UPLINK", "ACCESS CONCENTRATOR", ">OFFERS", ">OPENED", ">REFUSALS", ">UNANSWERED", ">LOST", ">OFFER", ">P50", ">P99")
	var notes notes
	now, heard := e.now(), false
	for i := range uplinks {
		u := &uplinks[i]
		dropped := u.Port.RxDropped + u.Port.TxDropped + u.Port.RxTruncated
		for _, n := range u.Dropped {
			dropped += n
		}
		t.row(u.Name, u.Interface, vlans(u.VLANs), u.MAC, fmt.Sprint(u.MTU), fmt.Sprint(u.Sessions),
			fmt.Sprint(u.Discovering), octets(u.Port.RxOctets), octets(u.Port.TxOctets), fmt.Sprint(dropped))
		for j := range u.ACs {
			ac := &u.ACs[j]
			heard = true
			acs.row(u.Name, ac.Name, ac.MAC, ac.State, orDash(ac.Score), orDash(ac.Priority), orDash(ac.Weight),
				fmt.Sprint(ac.Sessions), age(now, ac.LastSeen))
			seen.row(u.Name, ac.Name, octets(ac.Offers), octets(ac.Opened), octets(ac.Refusals), octets(ac.Unanswered),
				octets(ac.Lost), took(ac.Offer), took(ac.SetUp.P50), took(ac.SetUp.P99))
			notes.add(acTitle(ac), ac.Why)
		}
	}
	if err := t.write(e.stdout); err != nil || !heard {
		return err
	}
	for _, t := range []*table{acs, seen} {
		if _, err := fmt.Fprintln(e.stdout); err != nil {
			return err
		}
		if err := t.write(e.stdout); err != nil {
			return err
		}
	}
	return notes.write(e.stdout)
}

// acTitle names an AC in a sentence.
func acTitle(ac *gateway.ACInfo) string {
	if ac.Name == "" {
		return ac.MAC
	}
	return ac.Name
}

// orDash is a number of which 0 is none.
func orDash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// took is how long something takes, in three digits or fewer; nothing if it is not known.
func took(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func (e *env) printUplink(u *gateway.UplinkInfo, asJSON bool) error {
	if asJSON {
		return printJSON(e.stdout, u)
	}
	return e.uplinkDetails(u).write(e.stdout)
}

func (e *env) uplinkDetails(u *gateway.UplinkInfo) *details {
	var d details
	d.section("uplink")
	d.add("name", u.Name)
	state := "down"
	if u.Up {
		state = "up"
	}
	d.add("interface", u.Interface+", "+state)
	d.add("VLANs", vlans(u.VLANs))
	d.add("MAC", u.MAC)
	d.add("MTU", fmt.Sprint(u.MTU))
	d.add("sessions", fmt.Sprint(u.Sessions))
	d.add("opening", fmt.Sprint(u.Discovering))
	d.section("from the begin of a search to its session")
	d.setUp(&u.SetUp)
	for i := range u.ACs {
		e.acDetails(&d, &u.ACs[i])
	}
	d.reasons("discovery", u.Discovery)
	d.section("interface")
	d.counters(u.Port)
	d.reasons("frames not delivered", u.Dropped)
	return &d
}

func (e *env) acDetails(d *details, ac *gateway.ACInfo) {
	d.section(printable("access concentrator " + acTitle(ac)))
	d.add("MAC", ac.MAC)
	d.add("state", ac.State)
	d.add("why", ac.Why)
	if ac.Score > 0 {
		d.add("score", fmt.Sprint(ac.Score))
	}
	if ac.Priority > 0 {
		d.add("priority", fmt.Sprintf("%d, with weight %d", ac.Priority, ac.Weight))
	}
	for _, s := range ac.Services {
		d.add("service", quoted(s))
	}
	d.add("sessions", fmt.Sprint(ac.Sessions))
	d.counts(map[string]uint64{
		"offers": ac.Offers, "opened": ac.Opened, "refusals": ac.Refusals, "refused offers": ac.RefusedOffers,
		"unanswered": ac.Unanswered, "lost": ac.Lost, "left alone": ac.LeftAlone,
	})
	d.add("last refusal", ac.Message)
	d.add("PADI to PADO", took(ac.Offer))
	d.setUp(&ac.SetUp)
	d.add("seen", age(e.now(), ac.LastSeen)+" ago")
}

// setUp is a histogram, of which empty buckets say nothing.
func (d *details) setUp(s *gateway.SetUpInfo) {
	d.add("set up", fmt.Sprint(s.Count))
	if s.Count == 0 {
		return
	}
	d.add("half of them in", took(s.P50))
	d.add("9 in 10 in", took(s.P90))
	d.add("99 in 100 in", took(s.P99))
	d.add("all in", took(s.Max))
	var below uint64
	for _, b := range s.Buckets {
		if b.Count > below {
			d.add("up to "+took(b.LE), fmt.Sprint(b.Count-below))
		}
		below = b.Count
	}
	if s.Count > below {
		d.add("longer", fmt.Sprint(s.Count-below))
	}
}

// counts adds those that are not zero.
func (d *details) counts(counts map[string]uint64) {
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[what]; n > 0 {
			d.add(what, fmt.Sprint(n))
		}
	}
}
