//go:build !race

package ppp

const rewriteRace = false
