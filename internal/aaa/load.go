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

// Load reads and checks the users file at path. A file that others than its
// owner and its group can read, or than its owner can write, is refused, and so
// is one that belongs to someone else: it holds what lets people in. What is
// wrong with its content is a config.Errors.
func Load(path string) (*Users, error) {
	// O_NONBLOCK: a FIFO is to be refused, not waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of the file that is read, whatever path names by now
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, info, uint32(os.Geteuid())); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// forbidden is what nobody but the owner may do, except that the group may read.
const forbidden = 0o037

func checkFile(path string, info fs.FileInfo, ourselves uint32) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("users file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return fmt.Errorf("users file %s has mode %04o: it holds passwords, and only its owner may write it and only its group read it: chmod 600 %s", path, mode, path)
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 && sys.Uid != ourselves {
		return fmt.Errorf("users file %s belongs to user %d, who could let in anyone: chown %d %s && chmod 600 %s", path, sys.Uid, ourselves, path, path)
	}
	return nil
}
