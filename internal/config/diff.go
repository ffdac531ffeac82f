package config

import "reflect"

// Diff names the sections, as a file calls them, in which two configurations
// differ, in the order of the documentation. What is written in another way and means
// the same is no difference.
func Diff(a, b *Config) (sections []string) {
	for _, s := range []struct {
		name string
		a, b any
	}{
		{"uplinks", a.Uplinks, b.Uplinks},
		{"lines", a.Lines, b.Lines},
		{"sessions", a.Sessions, b.Sessions},
		{"pools", a.Pools, b.Pools},
		{"control", a.Control, b.Control},
		{"log", a.Log, b.Log},
		{"state_dir", a.StateDir, b.StateDir},
	} {
		if !reflect.DeepEqual(s.a, s.b) {
			sections = append(sections, s.name)
		}
	}
	return sections
}
