package gateway

import "tributary/pppoe"

// Anyone on the wire can make offers in the names of ACs that do not exist, more than
// a session's owner takes at once. The rest of the session's places is for the ACs
// that may come into question.

// maxStrange is how many control frames a session may have waiting when offers of
// strangers are no longer let in.
const maxStrange = maxFromPort * 3 / 4

// strange reports whether a PADO is of an AC that access_concentrators does not name,
// or, where there are none, of one that has never opened a session.
func (t *acTable) strange(src pppoe.MAC, pado []byte) bool {
	if len(t.prefer) == 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		r := t.acs[src]
		return r == nil || r.opened == 0
	}
	name, named := tagOf(pado, pppoe.TagACName)
	for _, want := range t.prefer {
		if (want.MAC == pppoe.MAC{} || want.MAC == src) && (want.Name == "" || named && string(name) == want.Name) {
			return false
		}
	}
	return true
}
