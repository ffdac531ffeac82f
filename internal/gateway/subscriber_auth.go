package gateway

import (
	"time"

	"tributary/internal/aaa"
	"tributary/ppp"
)

// authenticate asks who the user is; the answer is an event.
func (u *subscriber) authenticate(now time.Time, r ppp.AuthRequest) {
	r.Challenge, r.Response = append([]byte(nil), r.Challenge...), append([]byte(nil), r.Response...)
	u.authID = r.ID
	if u.verifying {
		u.next = &r // one line has one hash computed at a time
		return
	}
	s := u.s
	ok := u.group.shared.verifier.Verify(u.group.users.current.Load(), r, func(res aaa.Result) {
		s.owner.post(event{s: s, kind: evAnswer, aux: authAnswer{r.ID, r.Name, res}})
	})
	u.verifying = ok
	if !ok {
		u.answer(now, authAnswer{r.ID, r.Name, aaa.Result{Message: "busy, try again", Reason: "too many logins at once"}})
	}
}

// authAnswer is what the users file says of an AuthRequest.
type authAnswer struct {
	id     uint32
	name   string
	result aaa.Result
}

func (u *subscriber) answer(now time.Time, a authAnswer) {
	u.verifying = false
	if a.id != u.authID {
		// LCP has come down since: whoever he is now, he proves it anew.
		if r := u.next; r != nil {
			u.next = nil
			u.authenticate(now, *r)
		}
		return
	}
	u.authID = 0
	r := a.result
	why := string(r.Reason)
	if r.OK && !u.counted {
		if _, ok := u.group.users.tally.Begin(r.User, u.s); ok {
			u.user, u.counted = r.User, true
		} else {
			r.OK, r.Message, why = false, "too many sessions", "has as many sessions as he may have"
		}
	}
	if !r.OK {
		u.s.authFailed, u.s.message = true, why
		u.s.g.emit(Event{Time: now, Kind: EventAuthFailed, Line: u.s.info.Name, User: ppp.Printable([]byte(a.name)), Message: why})
	} else {
		u.s.authFailed, u.s.message = false, ""
	}
	u.link.AuthResult(now, a.id, r.OK, r.Message)
	u.drain(now)
}
