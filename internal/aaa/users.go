// Package aaa says who a user is and what he may have: it reads the users file,
// verifies what PPP hears from a peer against it, and counts sessions.
package aaa

import (
	"hash/maphash"
	"iter"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"tributary/internal/config"
	"tributary/ppp"
)

// Users are all who may log in. They do not change: a reload makes new ones.
// Any number of goroutines may use them.
type Users struct {
	list   []*User // in the order of the file
	byName map[string]*User
	poolAt map[*User]config.Error // where the pool of each user that has one stands
	seed   maphash.Seed           // see standIn
}

// User is one who may log in, and what he may have. It is not to be changed.
type User struct {
	Name     string     // as the user gives it in PAP or CHAP
	Address  netip.Addr // his own IPv4 address; the zero Addr: one of the pool
	Pool     string     // the pool his address comes from; "": that of his group of lines
	Sessions int        // at once; 0 is no limit
	Rate     Rate
	Limits   Limits
	Disabled bool // he may not log in, whatever he knows

	// A pointer inside: a User that is printed prints no password.
	secret secret
}

// Rate bounds a user's traffic in bit/s; 0 is no limit.
type Rate struct {
	Down uint64 // to the user
	Up   uint64 // from the user
}

// Limits bound one session of a user; 0 is no limit.
type Limits struct {
	Session time.Duration // from its begin
	Idle    time.Duration // without a packet of the user
}

// Len is how many users there are.
func (u *Users) Len() int { return len(u.list) }

// All yields the users in the order of the file.
func (u *Users) All() iter.Seq[*User] { return slices.Values(u.list) }

// Lookup finds a user by name. Names are compared octet by octet: RFC 1334 and
// RFC 1994 know neither case nor domains in them.
func (u *Users) Lookup(name string) (*User, bool) {
	user, ok := u.byName[name]
	return user, ok
}

// CheckPools complains of every user whose pool is none of those that exist. The
// error is a config.Errors.
func (u *Users) CheckPools(exists func(pool string) bool) error {
	var errs config.Errors
	for _, user := range u.list {
		if user.Pool != "" && !exists(user.Pool) {
			at := u.poolAt[user]
			at.Message = "user " + strconv.Quote(user.Name) + ": there is no pool " + strconv.Quote(user.Pool)
			errs = append(errs, &at)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// Since is how many users there are that before did not have, how many are gone,
// and of how many others anything has changed, their passwords included. before may
// be nil.
func (u *Users) Since(before *Users) (added, removed, changed int) {
	if before == nil {
		return u.Len(), 0, 0
	}
	for _, user := range u.list {
		switch was, known := before.byName[user.Name]; {
		case !known:
			added++
		case !reflect.DeepEqual(was, user):
			changed++
		}
	}
	return added, before.Len() + added - u.Len(), changed
}

// Fixed is every address that belongs to one user, for a pool not to give away.
func (u *Users) Fixed() []netip.Addr {
	var fixed []netip.Addr
	for _, user := range u.list {
		if user.Address.IsValid() {
			fixed = append(fixed, user.Address)
		}
	}
	return fixed
}

// Can reports whether the users file knows enough about the user for him to log
// in by m.
func (u *User) Can(m ppp.AuthMethod) bool { return u.secret.can(m) }

// Methods returns those of auth by which not one of the users can log in,
// because the file has only hashes where the method needs the password. Offered
// all the same, they keep users out: a peer takes the first one that it speaks.
func (u *Users) Methods(auth []ppp.AuthMethod) (useless []ppp.AuthMethod) {
	for _, m := range auth {
		if m != ppp.AuthNone && !slices.ContainsFunc(u.list, func(user *User) bool { return user.Can(m) }) {
			useless = append(useless, m)
		}
	}
	return useless
}
