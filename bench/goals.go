//go:build linux

package main

import "fmt"

// goal is what a ratio has to be: at least so much, or at most.
type goal struct {
	least, most float64 // one of them; 0 is none
	text        string  // as the table has it
}

// goalKey is what a goal is about: the gateway against another subject in one row.
type goalKey struct {
	payload, lines int
	against        string
}

// rateGoals are for frames a second, however many are under way.
var rateGoals = map[goalKey]goal{
	{64, 1, rpPPPoESubject}:    {least: 2.5, text: "2.5"},
	{64, 16, rpPPPoESubject}:   {least: 15, text: "15"},
	{64, 64, rpPPPoESubject}:   {least: 90, text: "90"},
	{1400, 1, rpPPPoESubject}:  {least: 2.5, text: "2.5"},
	{1400, 16, rpPPPoESubject}: {least: 10, text: "10"},
	{1400, 64, rpPPPoESubject}: {least: 90, text: "90"},
}

// timeGoals are for processor time a frame.
var timeGoals = map[goalKey]goal{
	{64, 1, rpPPPoESubject}:    {most: 1. / 2, text: "1/2"},
	{64, 16, rpPPPoESubject}:   {most: 1. / 15, text: "1/15"},
	{64, 64, rpPPPoESubject}:   {most: 1. / 30, text: "1/30"},
	{1400, 1, rpPPPoESubject}:  {most: 1. / 2, text: "1/2"},
	{1400, 16, rpPPPoESubject}: {most: 1. / 15, text: "1/15"},
	{1400, 64, rpPPPoESubject}: {most: 1. / 30, text: "1/30"},
	{64, 16, floorSubject}:     {most: 1.25, text: "1.25"},
	{1400, 16, floorSubject}:   {most: 1.6, text: "1.6"},
}

// met is the goal and whether x meets it; empty where there is no goal.
func (g goal) met(x float64) string {
	yes := "no"
	switch {
	case g.least > 0 && x >= g.least, g.most > 0 && x <= g.most:
		yes = "yes"
	}
	switch {
	case g.least > 0:
		return fmt.Sprintf("at least %s: %s", g.text, yes)
	case g.most > 0:
		return fmt.Sprintf("at most %s: %s", g.text, yes)
	}
	return ""
}
