package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// ac decodes one access concentrator, which is the place-th of its list.
func (d *decoder) ac(n ast.Node, place int) AC {
	ac := AC{Priority: place, Weight: 1}
	keys := d.mapping(n, "an access concentrator", map[string]value{
		"name": func(n ast.Node) {
			d.text(&ac.Name, "name", 1024)(n)
			if ac.Name == "" {
				d.errorf(n, "name is an AC-Name, as an access concentrator gives it in its offer")
			}
		},
		"mac":      d.mac(&ac.MAC),
		"priority": d.integer(&ac.Priority, "priority", 1, 1000),
		"weight":   d.integer(&ac.Weight, "weight", 1, 1000),
	})
	_, byName := keys["name"]
	_, byMAC := keys["mac"]
	if keys != nil && byName == byMAC {
		d.errorf(n, "an access concentrator is {name: ...} or {mac: ...}, one of the two")
	}
	return ac
}

// health decodes when an access concentrator is left alone.
func (d *decoder) health(h *Health, n ast.Node) {
	keys := d.mapping(n, "health", map[string]value{
		"failures": d.integer(&h.Failures, "failures", 0, 100),
		"min":      d.duration(&h.Min, "min", time.Second, time.Hour, false),
		"max":      d.duration(&h.Max, "max", time.Second, 24*time.Hour, false),
	})
	switch {
	case h.Max >= h.Min:
	case keys["max"] == nil:
		h.Max = h.Min
	default:
		d.errorf(keys["max"], "max is %s, and less than min, %s", short(h.Max), short(h.Min))
	}
}

// words is an access concentrator as a message has it.
func (a AC) words() string {
	if a.Name != "" {
		return fmt.Sprintf("%q", a.Name)
	}
	return a.MAC.String()
}

// acWords is what the uplink asks: the first priority, else the next, and of one
// priority each with its share.
func (u *Uplink) acWords() string {
	if len(u.AccessConcentrators) == 0 {
		return "any access concentrator"
	}
	byPriority := map[int][]AC{}
	for _, ac := range u.AccessConcentrators {
		byPriority[ac.Priority] = append(byPriority[ac.Priority], ac)
	}
	var tiers []string
	for _, p := range slices.Sorted(maps.Keys(byPriority)) {
		var names []string
		for _, ac := range byPriority[p] {
			if len(byPriority[p]) == 1 {
				names = append(names, ac.words())
			} else {
				names = append(names, fmt.Sprintf("%s (%d)", ac.words(), ac.Weight))
			}
		}
		tiers = append(tiers, strings.Join(names, " or "))
	}
	return "access concentrator " + strings.Join(tiers, ", else ")
}

// healthWords is what becomes of access concentrators that fail.
func (u *Uplink) healthWords() string {
	h := u.Health
	if h.Failures == 0 {
		return "an access concentrator that fails is asked again and again"
	}
	often := "fails once"
	if h.Failures > 1 {
		often = fmt.Sprintf("fails %d lines in a row", h.Failures)
	}
	return fmt.Sprintf("an access concentrator that %s is left alone for %s, and for up to %s if it goes on", often, short(h.Min), short(h.Max))
}
