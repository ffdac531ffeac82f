package gateway

import (
	"time"

	"tributary/internal/aaa"
	"tributary/internal/config"
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
	r := a.result
	why := string(r.Reason)
	if r.OK && !u.counted {
		switch oldest, ok := u.group.users.tally.Begin(r.User, u.s); {
		case ok:
			u.user, u.counted = r.User, true
		case u.group.cfg.WhenBusy == config.BusyReplace:
			u.replace(oldest, a)
			return
		default:
			r.OK, r.Message, why = false, "too many sessions", "has as many sessions as he may have"
		}
	}
	u.authID = 0
	if !r.OK {
		u.s.authFailed, u.s.message = true, why
		u.s.g.emit(Event{Time: now, Kind: EventAuthFailed, Line: u.s.info.Name, User: ppp.Printable([]byte(a.name)), Message: why})
	} else {
		u.s.authFailed, u.s.message = false, ""
	}
	u.link.AuthResult(now, a.id, r.OK, r.Message)
	u.drain(now)
}

// replacement is who has a user's session in the place of another.
type replacement struct {
	by     *session
	answer authAnswer
}

// replace has another session of the user's hung up. When that has given back what
// it had, his fixed address perhaps, the answer comes again.
func (u *subscriber) replace(oldest *session, a authAnswer) {
	u.verifying = true // still
	// Not in this turn: it may be another owner's, whose inbox is full.
	go oldest.owner.post(event{s: oldest, kind: evReplaced, aux: replacement{u.s, a}})
}

// replaced hangs up, and says when it is done.
func (s *session) replaced(now time.Time, ev event) {
	r, ok := ev.aux.(replacement)
	if !ok {
		return
	}
	s.teardown(now, ReasonReplaced, "by line "+r.by.info.Name)
	go r.by.owner.post(event{s: r.by, kind: evAnswer, aux: r.answer})
}
