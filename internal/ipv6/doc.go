// Package ipv6 is what IPv6 needs beside PPP when Tributary ends a link itself:
//
//   - Router advertises a prefix, DNS servers and an MTU to one user.
//   - Host listens to the ISP's advertisements on an uplink session.
//   - Delegation asks the ISP for a prefix by DHCPv6.
//   - Delegator grants prefixes; it is the ISP's end, for the lab and for tests.
//
// They are machines without a world: packets, calls and the time go in, and what
// is to be sent or known comes out of Next, to be drained after every call.
// Deadline, read after that, says when Tick wants to be called; calling it early
// or late is harmless. None is safe for use by more than one goroutine at a time.
//
// A packet is a whole IPv6 packet, as it travels in a PPP frame of protocol 0057.
// Input is handed whatever came over the link and takes what is its own; what it
// is given it does not keep. Local tells cheaply which packets to hand in.
//
// A link is point to point, so there are no link-layer addresses (RFC 5072
// section 5) and the only neighbour is the peer. Duplicate addresses are not
// looked for: IPV6CP has made the two interface identifiers differ, and all our
// addresses are made of ours.
package ipv6
