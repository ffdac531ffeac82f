package ppp_test

import (
	"fmt"

	"tributary/ppp"
)

func ExampleSnoop() {
	s := ppp.NewSnoop()
	// LCP, in which the AC asks for PAP.
	s.FromUser([]byte{0xc0, 0x21, 1, 1, 0, 4})
	s.FromAC([]byte{0xc0, 0x21, 1, 1, 0, 8, 3, 4, 0xc0, 0x23})
	s.FromAC([]byte{0xc0, 0x21, 2, 1, 0, 4})
	fmt.Println(s.FromUser([]byte{0xc0, 0x21, 2, 1, 0, 8, 3, 4, 0xc0, 0x23}))
	// PAP.
	s.FromUser([]byte{0xc0, 0x23, 1, 1, 0, 12, 3, 'b', 'o', 'b', 3, 'p', 'w', 'd'})
	fmt.Println(s.FromAC([]byte{0xc0, 0x23, 2, 1, 0, 8, 3, 'h', 'i', '!'}))

	st := s.State()
	fmt.Println(st.Phase, st.Auth, st.User, st.Message)
	// Output:
	// lcp-opened
	// authenticated
	// network pap bob hi!
}
