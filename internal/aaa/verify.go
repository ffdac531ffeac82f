package aaa

import (
	"hash/maphash"

	"tributary/ppp"
)

// Result is the answer to an AuthRequest.
type Result struct {
	OK      bool
	User    *User  // who it is; nil unless OK
	Message string // for the peer: the same for every refusal
	Reason  Reason // for the operator; "" if OK
}

// Reason is why someone was not let in: for the operator, never for the peer,
// who would learn from it which names there are.
type Reason string

// The reasons.
const (
	ReasonUnknownUser   Reason = "unknown-user"   // the users file has no such name
	ReasonWrongPassword Reason = "wrong-password" // the name is there, the proof is wrong
	ReasonDisabled      Reason = "disabled"       // the user is there, and must not log in
	ReasonHashOnly      Reason = "hash-only"      // the file has a hash, where the method needs the password
	ReasonStopping      Reason = "stopping"       // the Verifier was closed before it came to it
)

// refusal is what every peer is told who is not let in.
const refusal = "authentication failed"

// Verify says whether r proves who it names. It takes as long as the user's hash
// does, up to about a second: see Verifier.
//
// An unknown name takes as long as a known one would.
func (u *Users) Verify(r ppp.AuthRequest) Result {
	user, known := u.byName[r.Name]
	if !known {
		user = u.standIn(r.Name)
	}
	if user == nil {
		return refuse(ReasonUnknownUser)
	}
	able := user.secret.can(r.Method)
	message, right := "", false
	if able {
		message, right = user.secret.verify(r)
	}
	switch {
	case !known:
		return refuse(ReasonUnknownUser)
	case user.Disabled:
		return refuse(ReasonDisabled)
	case !able:
		return refuse(ReasonHashOnly)
	case !right:
		return refuse(ReasonWrongPassword)
	}
	return Result{OK: true, User: user, Message: message}
}

func refuse(why Reason) Result { return Result{Message: refusal, Reason: why} }

// standIn is the user against whose secret an unknown name is verified, in vain:
// always the same one for a name, so that a stranger who takes the time learns of
// a name that there is a user who takes so long, which is so for every name.
// One dummy hash for all would not do: in a file of passwords and several kinds
// of hashes, whatever takes another time than the dummy would be known.
func (u *Users) standIn(name string) *User {
	if len(u.list) == 0 {
		return nil
	}
	return u.list[maphash.String(u.seed, name)%uint64(len(u.list))]
}
