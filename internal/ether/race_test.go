//go:build race

package ether

// raceEnabled: the race detector makes sync.Pool forget at random, so that what
// it holds is allocated again.
const raceEnabled = true
