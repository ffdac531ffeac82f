package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"tributary/internal/aaa"
	"tributary/internal/config"
)

// CheckFiles reads the users files and password files that a configuration names,
// and finds in them what New would refuse: err is a config.Errors, of all the files.
// Warnings are what is allowed and will probably disappoint.
func CheckFiles(cfg *config.Config) (warnings config.Errors, err error) {
	var errs config.Errors
	users := make(map[string]*aaa.Users)
	for i := range cfg.Lines {
		sh := cfg.Lines[i].Shared
		if sh == nil || sh.Users == "" {
			continue
		}
		u, read := users[sh.Users]
		if !read {
			if u, err = checkUsers(cfg, sh.Users); err != nil {
				errs = append(errs, asErrors(sh.Users, err)...)
			}
			users[sh.Users] = u
		}
		if u == nil {
			continue // that is the complaint already
		}
		for _, m := range u.Methods(methods(sh.Auth)) {
			warnings = append(warnings, &config.Error{File: sh.Users, Message: fmt.Sprintf(
				"lines %s ask for %s, by which none of these users can log in: a hash does not do for it", cfg.Lines[i].Name, m)})
		}
	}
	for i := range cfg.Sessions {
		path := cfg.Sessions[i].PasswordFile
		if _, err := readSecret(path); err != nil {
			errs = append(errs, asErrors(path, err)...)
		}
	}
	if len(errs) > 0 {
		return warnings, errs
	}
	return warnings, nil
}

// checkUsers is what ReloadUsers does with one file.
func checkUsers(cfg *config.Config, path string) (*aaa.Users, error) {
	u, err := aaa.Load(path)
	if err != nil {
		return nil, err
	}
	return u, u.CheckPools(func(pool string) bool {
		return slices.ContainsFunc(cfg.Pools, func(p config.Pool) bool { return p.Name == pool })
	})
}

// asErrors gives an error of a whole file the form of those with a line.
func asErrors(path string, err error) config.Errors {
	var errs config.Errors
	if errors.As(err, &errs) {
		return errs
	}
	message := strings.TrimLeft(strings.TrimPrefix(err.Error(), path), ": ")
	var of *fs.PathError
	if errors.As(err, &of) { // it repeats the path
		message = of.Err.Error()
	}
	return config.Errors{{File: path, Message: message}}
}
