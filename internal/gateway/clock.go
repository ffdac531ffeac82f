package gateway

import "time"

// epoch anchors clock; it is read, never written.
var epoch = time.Now()

// clock is the monotonic time since the process began, for the data path.
func clock() time.Duration { return time.Since(epoch) }
