package gateway

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/frame"
)

// outboxRig is an outbox with a line that the test rules.
type outboxRig struct {
	t    *testing.T
	pool *frame.Pool
	line *gatedLine
	out  outbox
}

func newOutboxRig(t *testing.T, credit int) *outboxRig {
	r := &outboxRig{t: t, pool: frame.NewPool(1 << 16), line: newGatedLine(t, credit)}
	// CoDel and the bounds have their own tests: here nothing may be lost.
	r.out.init(r.line, queueConfig{frames: 1 << 16, delay: time.Hour}, newBatches())
	return r
}

func (r *outboxRig) frame(mark uint32) *frame.Buf {
	b := r.pool.Get()
	b.SetBytes(ipv4(20, mark))
	return b
}

func (r *outboxRig) push(mark uint32) (mine bool) {
	r.t.Helper()
	ok, mine := r.out.push(clock(), r.frame(mark))
	if !ok {
		r.t.Errorf("frame %d was refused", mark)
	}
	return mine
}

// waiting is what the outbox has; writing whether somebody says he writes.
func (r *outboxRig) waiting() (frames int, writing, dead bool) {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	return r.out.q.len(), r.out.writing, r.out.dead
}

func (r *outboxRig) wantNothingHeld(why string) {
	r.t.Helper()
	if n := r.pool.InUse(); n != 0 {
		r.t.Errorf("%s: %d buffers were not put back", why, n)
	}
	if r.out.batch != nil {
		r.t.Errorf("%s: the batch was not given back", why)
	}
	if _, writing, _ := r.waiting(); writing {
		r.t.Errorf("%s: somebody still writes", why)
	}
}

// However pushing, flushing and what the line takes alternate, whoever has frames has
// a writer, and all of them go out in order.
func TestOutboxAlwaysHasAWriter(t *testing.T) {
	rounds := 300
	if raceEnabled {
		rounds = 60
	}
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 0))
			r := newOutboxRig(t, 0)
			r.line.most = func(n int) int { return 1 + random.IntN(n) } // under the line's lock
			pushed := uint32(0)
			owed := false // we have become the writer and have not flushed yet
			for range 80 {
				r.line.mu.Lock()
				op := random.IntN(8)
				n := random.IntN([]int{2, 10, 80}[random.IntN(3)])
				r.line.mu.Unlock()
				switch op {
				case 0, 1, 2: // the port's reader, in the middle of its batch
					for range n {
						owed = r.push(pushed) || owed
						pushed++
					}
				case 3: // somebody else, who pushes and flushes at once
					if !r.out.put(clock(), r.frame(pushed)) {
						t.Fatal("a frame was refused")
					}
					pushed++
				case 4, 5:
					r.line.allow(n)
				case 6: // the port's reader at the end of its batch
					if owed {
						r.out.flush()
					}
					owed = false
				case 7: // the same, when it has more to read
					if owed {
						go r.out.write()
					}
					owed = false
				}
				synctest.Wait()
				sent, _ := r.line.state()
				frames, writing, _ := r.waiting()
				switch {
				case owed: // the next move is ours
				case !writing && (frames != 0 || sent != int(pushed)):
					t.Fatalf("seed %d: nobody writes, %d frames wait, %d of %d have gone out", seed, frames, sent, pushed)
				case writing && r.line.credit != 0:
					t.Fatalf("seed %d: the line would take more, and has not been given it", seed)
				}
			}
			if owed {
				r.out.flush()
			}
			r.line.allow(-1)
			synctest.Wait()
			for i, mark := range r.line.sent {
				if mark != uint32(i) {
					t.Fatalf("seed %d: frame %d went out in the place of %d", seed, mark, i)
				}
			}
			if len(r.line.sent) != int(pushed) {
				t.Fatalf("seed %d: %d of %d frames went out", seed, len(r.line.sent), pushed)
			}
			r.wantNothingHeld("all was written")
		})
		if t.Failed() {
			return
		}
	}
}

// Many push at once, and whoever finds nobody writing writes: each one's frames stay
// in order, and none is lost.
func TestOutboxManyPush(t *testing.T) {
	const pushers, each = 4, 2000
	r := newOutboxRig(t, -1)
	random := rand.New(rand.NewPCG(5, 6))
	// What a TryWrite takes, and how much of that goes out at once, is a toss of
	// dice; the rest of it is a goroutine's.
	r.line.most = func(n int) int { return 1 + random.IntN(n) }
	r.line.during = func(try bool) {
		if try && random.IntN(2) == 0 {
			r.line.credit = random.IntN(4)
		}
	}
	r.line.fail = func(int) error { // no error, and the next operation finds the line able again
		r.line.credit = -1
		return nil
	}
	var run sync.WaitGroup
	for p := range pushers {
		run.Go(func() {
			for i := range each {
				mark := uint32(p)<<24 | uint32(i)
				for !r.out.put(clock(), r.frame(mark)) {
					runtime.Gosched() // at its bound for the moment
				}
			}
		})
	}
	run.Wait()
	r.out.finish()
	for closed := false; !closed; { // by the writer, behind the last frame
		runtime.Gosched()
		_, closed = r.line.state()
	}
	var next [pushers]uint32
	for _, mark := range r.line.sent {
		p, i := mark>>24, mark&0xffffff
		if i != next[p] {
			t.Fatalf("frame %d of %d went out in the place of its frame %d", i, p, next[p])
		}
		next[p]++
	}
	for p, n := range next {
		if n != each {
			t.Errorf("%d of %d frames of %d went out", n, each, p)
		}
	}
	r.wantNothingHeld("all was written")
}

// A line that is pushed to all the time holds nobody who flushes it: he writes so many
// batches, and a goroutine the rest.
func TestOutboxFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newOutboxRig(t, -1)
		tries, pushed := 0, uint32(1)
		r.line.during = func(try bool) {
			if try {
				tries++
			}
			if pushed < 500 {
				if r.push(pushed) {
					t.Error("somebody became the writer while another writes")
				}
				pushed++
			}
		}
		if !r.push(0) {
			t.Fatal("nobody writes, and who pushes is not the writer")
		}
		r.out.flush()
		if tries != maxFlush {
			t.Errorf("flush wrote %d batches, want %d", tries, maxFlush)
		}
		synctest.Wait()
		if n, _ := r.line.state(); n != 500 || tries != maxFlush {
			t.Errorf("%d of 500 frames went out, %d batches without waiting", n, tries)
		}
		r.wantNothingHeld("all was written")
	})
}

// However a line ends, and wherever its writer is then, it is closed, and nothing is
// held or written any more.
func TestOutboxEnds(t *testing.T) {
	failAt := func(n int) func(*outboxRig) {
		return func(r *outboxRig) {
			r.line.fail = func(op int) error {
				if op >= n {
					return errBroken
				}
				return nil
			}
		}
	}
	none := func(*outboxRig) {}
	flush := func(r *outboxRig) { r.out.flush() }
	all := func(r *outboxRig) { r.line.allow(-1) }
	some := func(r *outboxRig) { r.line.allow(5) }
	kill := func(r *outboxRig) { r.out.kill() }
	finish := func(r *outboxRig) { r.out.finish() }
	breakNow := func(r *outboxRig) {
		r.line.mu.Lock()
		r.line.fail = func(int) error { return errBroken }
		r.line.mu.Unlock()
		r.line.allow(0)
	}
	for _, tt := range []struct {
		name  string
		setUp func(*outboxRig)
		steps []func(*outboxRig) // with 100 frames pushed, and us the writer
		sent  int                // of the 100
	}{
		{"the first TryWrite fails", failAt(1), []func(*outboxRig){flush}, 0},
		{"the second TryWrite fails", failAt(2), []func(*outboxRig){all, flush}, 32},
		{"Flush fails behind a TryWrite", failAt(2), []func(*outboxRig){some, flush}, 5},
		{"the writer's Flush of nothing, then Write fails", failAt(4), []func(*outboxRig){all, flush}, 64},
		{"Write fails", failAt(2), []func(*outboxRig){func(r *outboxRig) { go r.out.write() }}, 0},
		{"the line breaks while Flush waits", none, []func(*outboxRig){some, flush, breakNow}, 5},
		{"the line breaks while Write waits", none, []func(*outboxRig){func(r *outboxRig) { r.line.allow(40) }, func(r *outboxRig) { go r.out.write() }, breakNow}, 40},
		{"kill before the flush", none, []func(*outboxRig){all, kill, flush}, 0},
		{"kill before a goroutine's write", none, []func(*outboxRig){all, kill, func(r *outboxRig) { go r.out.write() }}, 0},
		{"kill while Flush waits", none, []func(*outboxRig){some, flush, kill}, 5},
		{"kill while Write waits", none, []func(*outboxRig){func(r *outboxRig) { r.line.allow(40) }, flush, kill}, 40},
		{"kill twice", none, []func(*outboxRig){some, flush, kill, kill}, 5},
		{"kill after all was written", none, []func(*outboxRig){all, flush, kill}, 100},
		{"finish before the flush", none, []func(*outboxRig){all, finish, flush}, 100},
		{"finish before a goroutine's write", none, []func(*outboxRig){all, finish, func(r *outboxRig) { go r.out.write() }}, 100},
		{"finish while Flush waits", none, []func(*outboxRig){some, flush, finish, all}, 100},
		{"finish after all was written", none, []func(*outboxRig){all, flush, finish}, 100},
		{"finish, and the line is cut before it has taken all", none, []func(*outboxRig){some, flush, finish, kill}, 5},
		{"finish, and the line breaks", none, []func(*outboxRig){some, flush, finish, breakNow}, 5},
		{"finish, then kill, then finish", none, []func(*outboxRig){finish, kill, finish, all, flush}, 0},
		{"the line is closed below us", none, []func(*outboxRig){some, flush, func(r *outboxRig) { r.line.Close() }}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newOutboxRig(t, 0)
				tt.setUp(r)
				for i := range uint32(100) {
					if mine := r.push(i); mine != (i == 0) {
						t.Fatalf("frame %d: the pusher is the writer: %v", i, mine)
					}
				}
				for _, step := range tt.steps {
					step(r)
					synctest.Wait()
				}
				n, closed := r.line.state()
				if !closed {
					t.Error("the line was not closed")
				}
				if n != tt.sent {
					t.Errorf("%d frames went out, want %d", n, tt.sent)
				}
				r.wantNothingHeld("after the end")
				if ok, mine := r.out.push(clock(), r.frame(1000)); ok || mine {
					t.Errorf("push after the end = %v, %v", ok, mine)
				}
				if _, _, late := r.out.drops(); late != 1 {
					t.Errorf("%d frames counted as late, want 1", late)
				}
				r.wantNothingHeld("after a late frame")
				r.out.finish()
				r.out.kill()
				synctest.Wait()
				r.wantNothingHeld("after one more end of each kind")
			})
		})
	}
}

// The end comes from one side while others push and write: no buffer is left behind.
func TestOutboxEndsUnderLoad(t *testing.T) {
	ends := map[string]func(*outboxRig){
		"finish":          func(r *outboxRig) { r.out.finish() },
		"kill":            func(r *outboxRig) { r.out.kill() },
		"both":            func(r *outboxRig) { r.out.finish(); r.out.kill() },
		"the line itself": func(r *outboxRig) { r.line.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				synctest.Test(t, func(t *testing.T) {
					r := newOutboxRig(t, -1)
					random := rand.New(rand.NewPCG(seed, 7))
					r.line.most = func(n int) int { return 1 + random.IntN(n) }
					for p := range uint32(3) {
						go func() {
							for i := range uint32(200) {
								r.out.put(clock(), r.frame(p<<24|i))
							}
						}()
					}
					for sent, _ := r.line.state(); sent < int(seed)*20; sent, _ = r.line.state() {
						runtime.Gosched()
					}
					end(r)
					synctest.Wait()
					r.out.kill() // the owner's last step, whatever came before
					synctest.Wait()
					if _, closed := r.line.state(); !closed {
						t.Error("the line was not closed")
					}
					r.wantNothingHeld("after the end")
				})
			}
		})
	}
}
