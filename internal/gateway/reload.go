package gateway

import (
	"fmt"
	"net/netip"

	"tributary/internal/aaa"
)

// UsersReload is what the users files have that they had not before.
type UsersReload struct {
	Files   int `json:"files" doc:"Users files that were read"`
	Users   int `json:"users" doc:"Users in them"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed" doc:"Users of whom anything is different, their passwords included"`
}

// ReloadUsers reads all users files again, and the sessions' password files for
// their next dial. If anything is wrong with any of them, nothing changes, and the
// error says what: a config.Errors, with file, line and column, about the content
// of a users file.
//
// Whoever is connected is not touched: he keeps his address, his limits and his
// rates, even if he is not in the file any more, until he dials again or is hung up.
func (g *Gateway) ReloadUsers() (UsersReload, error) {
	sh := g.shared
	sh.reload.Lock()
	defer sh.reload.Unlock()

	read := make(map[*roster]*aaa.Users)
	var fixed []netip.Addr
	for path, f := range sh.files {
		users, err := aaa.Load(path)
		if err != nil {
			return UsersReload{}, err
		}
		if err := users.CheckPools(sh.hasPool); err != nil {
			return UsersReload{}, err
		}
		read[f] = users
		fixed = append(fixed, users.Fixed()...)
	}
	secrets := make(map[*trunk]string)
	for name, t := range sh.trunks {
		secret, err := readSecret(t.cfg.PasswordFile)
		if err != nil {
			return UsersReload{}, fmt.Errorf("sessions %s: %w", name, err)
		}
		secrets[t] = secret
	}

	// The addresses first: nobody else is to be given what is a user's from now on.
	for _, p := range sh.pools {
		p.pool.SetFixed(fixed)
	}
	r := UsersReload{Files: len(read)}
	for f, users := range read {
		added, removed, changed := users.Since(f.current.Swap(users))
		r.Users += users.Len()
		r.Added += added
		r.Removed += removed
		r.Changed += changed
	}
	for t, secret := range secrets {
		t.secret.Store(&secret)
	}
	g.log.Info("users are read again", "files", r.Files, "users", r.Users, "added", r.Added, "removed", r.Removed, "changed", r.Changed)
	return r, nil
}
