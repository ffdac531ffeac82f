package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
)

// rewrite gives a file of the configuration another content.
func (r *sharedRig) rewrite(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *sharedRig) reload() UsersReload {
	r.t.Helper()
	got, err := r.gw.ReloadUsers()
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func TestReloadUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		file := r.cfg.Lines[0].Shared.Users
		if got := r.reload(); got != (UsersReload{Files: 1, Users: 5}) {
			t.Errorf("%+v: nothing is new", got)
		}
		bob := r.login("virtual/1", as("bob", "builder"))
		dave := r.login("virtual/2", as("dave", "diver"))
		r.rewrite(file, `users:
  - {name: bob, password: builder, sessions: 2}
  - {name: carol, password: christmas, address: `+dave.address().String()+`}
  - {name: frank, password: finder}
  - {name: alice, password: looking-glass, sessions: 0}
  - {name: eve, password: dropper, disabled: true}
`)
		if got := r.reload(); got != (UsersReload{Files: 1, Users: 5, Added: 1, Removed: 1, Changed: 3}) {
			t.Errorf("%+v: frank is new, dave is gone, and bob, carol and alice are not what they were", got)
		}
		bob.wantUp("whoever is connected is not touched")
		dave.wantUp("not even one who is gone from the file")
		r.login("virtual/3", as("frank", "finder"))
		r.login("virtual/4", as("bob", "builder"))
		r.call("virtual/5", as("bob", "builder")).wantDown("bob may be here twice, and the one of before counts")
		r.call("virtual/6", as("dave", "diver")).wantDown("there is no dave any more")
		r.call("virtual/7", as("alice", "wonderland")).wantDown("her password is another one")
		r.call("virtual/8", as("carol", "christmas")).wantDown("her address is dave's as long as he is there")
		addr := dave.address()
		dave.hangUp()
		if a := r.login("virtual/9", as("alice", "looking-glass")).address(); a == addr {
			t.Errorf("alice has %v, which is carol's now", a)
		}
		if a := r.login("virtual/10", as("carol", "christmas")).address(); a != addr {
			t.Errorf("carol has %v, not her own address", a)
		}
		r.end()
	})
}

// A file that is wrong changes nothing, nor does what was read before it.
func TestReloadUsersAllOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		users, secret := r.cfg.Lines[0].Shared.Users, r.cfg.Sessions[0].PasswordFile
		for _, tt := range []struct {
			name       string
			spoil      func()
			want       string
			positioned bool
		}{
			{"a key that is none", func() { r.rewrite(users, "users:\n  - {name: frank, pasword: finder}\n") }, users + ":2:19: ", true},
			{"a pool that is none", func() { r.rewrite(users, "users:\n  - {name: frank, password: finder, pool: staff}\n") },
				users + `:2:43: user "frank": there is no pool "staff"`, true},
			{"others may read it", func() {
				if err := os.Chmod(users, 0o644); err != nil {
					t.Error(err)
				}
			}, "has mode 0644", false},
			{"it is gone", func() {
				if err := os.Remove(users); err != nil {
					t.Error(err)
				}
			}, "no such file", false},
			{"the session's password is empty", func() { r.rewrite(secret, "\n") }, "sessions office: " + secret, false},
		} {
			r.rewrite(users, strings.Replace(usersFile, "bob", "frank", 1))
			tt.spoil()
			_, err := r.gw.ReloadUsers()
			var errs config.Errors
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &errs) != tt.positioned {
				t.Errorf("%s: %v", tt.name, err)
			}
			r.login("virtual/1", as("bob", "builder")).hangUp()
			r.call("virtual/2", as("frank", "builder")).wantDown(tt.name)
			os.Remove(users)
		}
		r.end()
	})
}

// A session is dialled with the password of the last reload.
func TestReloadOfASessionsPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		r.rewrite(r.cfg.Sessions[0].PasswordFile, "the new office\n")
		r.reload()
		r.login("virtual/1", as("bob", "builder"))
		r.isp.do(func(now time.Time) {
			r.isp.secret = "the new office"
			s := r.isp.one("")
			s.link.Close(now)
			s.drain(now)
		})
		r.wantEvent(EventTrunkDown, "the ISP has ended the session")
		time.Sleep(time.Minute)
		r.wantEvent(EventTrunkUp, "the new password is right")
		r.end()
	})
}

// What is no secret, or may not be ours, is not read: a FIFO would be waited for.
func TestPasswordFile(t *testing.T) {
	dir := t.TempDir()
	fifo, open := filepath.Join(dir, "fifo"), filepath.Join(dir, "open")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, []byte("the office\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := readSecret(open); err != nil || s != "the office" {
		t.Errorf("%q, %v", s, err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{fifo: "not a regular file", dir: "not a regular file", open: "mode 0644"} {
		if s, err := readSecret(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", path, s, err)
		}
	}
}

// Two groups of lines with a users file each may have a user of one name: they are
// two, and each has his own limit. Of one file, he is one.
func TestUsersOfTwoFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		same bool
	}{{"two files", false}, {"one file", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, func(c *config.Config) {
					other := c.Lines[0]
					other.Name = "bank"
					s := *c.Lines[0].Shared
					if !tt.same {
						s.Users = filepath.Join(t.TempDir(), "users.yaml")
						if err := os.WriteFile(s.Users, []byte("users: [{name: bob, password: builder}]\n"), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					other.Shared = &s
					c.Lines = append(c.Lines, other)
				})
				tally := func(group string) int { return r.gw.shared.groups[group].users.tally.Sessions("bob") }
				c := r.login("virtual/1", as("bob", "builder")) // of either group: they listen at one place
				files, sessions := 2, 1
				if tt.same {
					files, sessions = 1, 2
				}
				if n, m := tally("virtual"), tally("bank"); n+m != sessions {
					t.Errorf("bob has %d sessions here and %d there", n, m)
				}
				c.hangUp()
				if got := r.reload(); got.Files != files {
					t.Errorf("%+v", got)
				}
				r.end()
			})
		})
	}
}
