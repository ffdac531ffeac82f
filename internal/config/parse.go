package config

import (
	"fmt"
	"io"
	"os"
)

// MaxSize is the largest configuration file that is read, in octets. Some six
// hundred groups of lines fit. The YAML parser takes time that grows with the
// square of a mapping's size, so a larger bound is no kindness.
const MaxSize = 128 << 10

// Load reads and checks the configuration in the file at path. The error is an
// Errors if the file could be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse checks the configuration in data and fills in the defaults. name is
// what errors call the file. Parse touches nothing: whether an interface or a
// device exists is found out by those who open it. The error is an Errors.
func Parse(name string, data []byte) (*Config, error) {
	d := &decoder{file: name, needs: "at least one uplink and one group of lines are needed"}
	cfg := Default()
	if len(data) > MaxSize {
		d.errs = append(d.errs, &Error{File: name, Message: fmt.Sprintf("larger than %d octets", MaxSize)})
	} else if root := d.tree(data); root != nil {
		d.config(cfg, root)
	}
	if len(d.errs) > 0 {
		return nil, d.errs.inOrder()
	}
	cfg.Warnings = d.warns.inOrder()
	return cfg, nil
}
