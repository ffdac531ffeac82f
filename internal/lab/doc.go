// Package lab is a whole ISP in memory: an access concentrator (AC) with a small
// internet behind it, and subscribers with PPP and TCP/IP of their own, one
// (Subscriber) or many (Crowd). None of it needs privileges, the kernel's PPP or
// its routes, and all of it runs on a real interface as well as on a hub.
//
// It knows nothing of the gateway, whose tests it serves: what a visitor sees
// with tributary lab is what they run.
package lab
