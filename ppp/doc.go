// Package ppp is the Point-to-Point Protocol without input or output: the RFC
// 1661 automaton, LCP, PAP, CHAP, MS-CHAPv2, IPCP and IPV6CP, one Link that runs
// them all, and, for a gateway that stands between two PPP peers, Snoop and Rewrite.
//
// Nothing here does I/O, starts a goroutine or reads a clock. Packets and the
// time go in, packets and a deadline come out; see [Link].
package ppp
