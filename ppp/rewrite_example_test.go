package ppp_test

import (
	"fmt"

	"tributary/ppp"
)

func ExampleRewrite() {
	r := ppp.NewRewrite(ppp.RewriteConfig{MaxMRU: ppp.PPPoEMRU})

	// The user asks for MRU 1500, ACCM 0 and PFC. ACCM and PFC are between him
	// and this end of his line; 1500 is more than PPPoE carries.
	out := r.FromUser([]byte{0xc0, 0x21, 1, 1, 0, 16, 1, 4, 0x05, 0xdc, 2, 6, 0, 0, 0, 0, 7, 2})
	fmt.Printf("to the AC:   % x\n", out.ToAC)

	// The AC acks what it saw; the user gets an Ack of what he asked for.
	out = r.FromAC([]byte{0xc0, 0x21, 2, 1, 0, 8, 1, 4, 0x05, 0xd4})
	fmt.Printf("to the user: % x\n", out.ToUser)

	// The AC asks for nothing; the user is asked to send short.
	out = r.FromAC([]byte{0xc0, 0x21, 1, 9, 0, 4})
	fmt.Printf("to the user: % x\n", out.ToUser)

	// He rejects ACFC, and is asked again. The AC does not hear of it.
	out = r.FromUser([]byte{0xc0, 0x21, 4, 9, 0, 6, 8, 2})
	fmt.Printf("to the user: % x\n", out.ToUser)

	// He acks, the AC gets its Ack, and the line is known.
	out = r.FromUser([]byte{0xc0, 0x21, 2, 10, 0, 16, 1, 4, 0x05, 0xd4, 2, 6, 0, 0, 0, 0, 7, 2})
	fmt.Printf("to the AC:   % x\n", out.ToAC)
	fmt.Printf("%+v\n", out.Params)
	// Output:
	// to the AC:   c0 21 01 01 00 08 01 04 05 d4
	// to the user: c0 21 02 01 00 10 01 04 05 dc 02 06 00 00 00 00 07 02
	// to the user: c0 21 01 09 00 12 01 04 05 d4 02 06 00 00 00 00 07 02 08 02
	// to the user: c0 21 01 0a 00 10 01 04 05 d4 02 06 00 00 00 00 07 02
	// to the AC:   c0 21 02 09 00 04
	// {SendACCM:0 RecvACCM:0 SendPFC:true SendACFC:false}
}
