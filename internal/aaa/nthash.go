package aaa

import "tributary/ppp"

// ntHashOnly is a user of whose password there is the NT hash. It can do PAP and
// MS-CHAPv2, and is as secret as the password: who has it can log in with it.
type ntHashOnly struct{ hash [16]byte }

func (h *ntHashOnly) can(m ppp.AuthMethod) bool {
	return m == ppp.AuthPAP || m == ppp.AuthMSCHAPv2
}

func (h *ntHashOnly) verify(r ppp.AuthRequest) (string, bool) {
	if !r.VerifyNTHash(h.hash) {
		return "", false
	}
	return r.SuccessMessageNTHash(h.hash, ""), true
}
