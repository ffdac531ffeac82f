package frame

// List is a queue of buffers, first in, first out, linked through the buffers
// themselves: it takes no memory of its own and holds none when empty. A Buf is
// in at most one List, which owns it, and nobody changes its length meanwhile.
// The zero List is empty.
type List struct {
	head, tail *Buf
	n, octets  int
}

// Push puts b at the end. at is when, on whatever clock the caller goes by.
func (l *List) Push(b *Buf, at int64) {
	b.next, b.at = nil, at
	if l.tail == nil {
		l.head = b
	} else {
		l.tail.next = b
	}
	l.tail = b
	l.n++
	l.octets += b.Len()
}

// Pop takes the first buffer off, and tells when it was pushed. It is nil when
// the list is empty.
func (l *List) Pop() (b *Buf, at int64) {
	b = l.head
	if b == nil {
		return nil, 0
	}
	l.head, b.next = b.next, nil
	if l.head == nil {
		l.tail = nil
	}
	l.n--
	l.octets -= b.Len()
	return b, b.at
}

// Front is the buffer that Pop would take, which stays in the list.
func (l *List) Front() (b *Buf, at int64) {
	if l.head == nil {
		return nil, 0
	}
	return l.head, l.head.at
}

// Len is the number of buffers in the list.
func (l *List) Len() int { return l.n }

// Octets is the length of all their frames together.
func (l *List) Octets() int { return l.octets }

// PutAll empties the list and puts every buffer back.
func (l *List) PutAll() {
	for b, _ := l.Pop(); b != nil; b, _ = l.Pop() {
		b.Put()
	}
}
