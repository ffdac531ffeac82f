package hdlc_test

import (
	"fmt"

	"tributary/hdlc"
)

// A frame goes out before anything is negotiated, and comes in at the other end
// in pieces, behind what a modem had to say.
func Example() {
	confReq := []byte{0xc0, 0x21, 0x01, 0x01, 0x00, 0x04}
	wire := []byte("CONNECT 33600\r\n")
	wire = hdlc.AppendFrame(wire, confReq, hdlc.Default)
	fmt.Printf("% x\n", wire[15:])

	var d hdlc.Decoder
	buf := make([]byte, 1504) // an MRU of 1500, the Protocol field, the FCS
	for len(wire) > 0 {
		piece := wire[:min(10, len(wire))]
		wire = wire[len(piece):]
		for len(piece) > 0 {
			frame, n := d.Decode(buf, piece)
			if frame != nil {
				fmt.Printf("% x\n", frame)
			}
			piece = piece[n:]
		}
	}
	fmt.Println(d.Counters.Noise, "octets of noise")
	// Output:
	// 7e ff 7d 23 c0 21 7d 21 7d 21 7d 20 7d 24 d1 b5 7e
	// c0 21 01 01 00 04
	// 15 octets of noise
}
