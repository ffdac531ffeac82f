package aaa

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("users: [{name: a, password: x}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o700: true,
		0o660: false, 0o644: false, 0o604: false, 0o602: false, 0o601: false, 0o620: false, 0o610: false, 0o777: false,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		u, err := Load(path)
		if (err == nil) != want {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err == nil && u.Len() != 1 || err != nil && !strings.HasSuffix(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if _, err := Load(p); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// Whoever owns the file lets people in: that is root, or ourselves.
func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := &info.Sys().(*syscall.Stat_t).Uid
	for _, tt := range []struct {
		owner, ourselves uint32
		ok               bool
	}{{0, 0, true}, {0, 7, true}, {7, 7, true}, {7, 0, false}, {7, 8, false}} {
		*owner = tt.owner
		err := checkFile(path, info, tt.ourselves)
		if (err == nil) != tt.ok || err != nil && !strings.HasSuffix(err.Error(), "chmod 600 "+path) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// What a link names is what counts, and what is read.
func TestSecretBehindALink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "secret"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("the office\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadSecret(link, 100); err != nil || string(data) != "the office\n" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := ReadSecret(link, 10); err == nil || !strings.Contains(err.Error(), "larger than 10 octets") {
		t.Errorf("one octet too many: %v", err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(link, 100); err == nil || !strings.Contains(err.Error(), "has mode 0644") {
		t.Errorf("the link is nobody's else, the file is: %v", err)
	}
}
