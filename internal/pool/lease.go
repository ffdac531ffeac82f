package pool

// lease is one item that someone has, or had last.
type lease struct {
	index uint32
	user  string
	taken bool
	order uint64 // when it was taken or given back, in counts of such events

	links [2]struct{ before, after *lease } // in the lists of its kind
}

// The two lists that a free lease is in.
const (
	byAge  = iota // all that are free
	byUser        // those that one user had
)

// list is free leases, in the order in which they became so. A lease knows its
// neighbours, so that it leaves a list of any length in one step.
type list struct{ oldest, newest *lease }

func (l *list) add(d *lease, kind int) {
	d.links[kind].before, d.links[kind].after = l.newest, nil
	if l.newest != nil {
		l.newest.links[kind].after = d
	} else {
		l.oldest = d
	}
	l.newest = d
}

func (l *list) remove(d *lease, kind int) {
	links := &d.links[kind]
	if links.before != nil {
		links.before.links[kind].after = links.after
	} else {
		l.oldest = links.after
	}
	if links.after != nil {
		links.after.links[kind].before = links.before
	} else {
		l.newest = links.before
	}
	links.before, links.after = nil, nil
}
