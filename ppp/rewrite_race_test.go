//go:build race

package ppp

// rewriteRace says that the race detector is on, under which exploring costs
// ten times as much.
const rewriteRace = true
