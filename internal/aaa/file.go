package aaa

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// MaxSize is the largest users file that is read, in octets. A hundred thousand
// users fit.
const MaxSize = 16 << 20

// Load reads and checks the users file at path, by the rules of [ReadSecret]. What
// is wrong with its content is a config.Errors.
func Load(path string) (*Users, error) {
	data, err := ReadSecret(path, MaxSize)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// ReadSecret reads the file at path, of at most max octets, which holds passwords.
// A file that others than its owner and its group can read, or than its owner can
// write, is refused, and so is one that belongs to someone else than root and
// ourselves, or that is no regular file.
//
// A link is followed: what counts is the file that is read.
func ReadSecret(path string, max int) ([]byte, error) {
	// O_NONBLOCK: a FIFO is to be refused, not waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the file that is open, whatever path names by now
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, info, uint32(os.Geteuid())); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > max {
		return nil, fmt.Errorf("%s is larger than %d octets", path, max)
	}
	return data, nil
}

// forbidden is what nobody but the owner may do, except that the group may read.
const forbidden = 0o037

func checkFile(path string, info fs.FileInfo, ourselves uint32) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return fmt.Errorf("%s has mode %04o: it holds passwords, and only its owner may write it and only its group read it: chmod 600 %s", path, mode, path)
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 && sys.Uid != ourselves {
		return fmt.Errorf("%s belongs to user %d, who could put in it what he likes: chown %d %s && chmod 600 %s", path, sys.Uid, ourselves, path, path)
	}
	return nil
}
