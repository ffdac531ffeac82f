// Package pppoe is PPP over Ethernet (RFC 2516) without any Ethernet: the
// header and tags as bytes, and the two ends of the Discovery stage, Client
// and Server, as machines. It also speaks PPP-Max-Payload (RFC 4638) and the
// access-line tag of Broadband Forum TR-101.
//
// # Machines
//
// A machine does no I/O, starts no goroutine and reads no clock. Its owner
// gives it packets and the time, and takes packets and events from it:
//
//	client.Start(now)           // or Input, Tick, Close
//	for out, ok := client.Next(); ok; out, ok = client.Next() {
//		// send it, or act on it
//	}
//	timer.Reset(client.Deadline().Sub(now)) // unless it is zero
//
// Next must be drained, and Deadline read again, after every call. A machine
// may be used by one goroutine at a time. Every slice that a machine hands out
// is its receiver's to keep; no packet that is handed in is kept. What a
// configuration points to must not change.
//
// Packets are those of EtherType 0x8863, from the PPPoE header on. The owner
// adds the Ethernet header and any VLAN tags, and checks those of what it
// hands in: that a frame came in on the right VLAN and was sent to us is known
// to the owner alone.
package pppoe
