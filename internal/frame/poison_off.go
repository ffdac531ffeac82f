//go:build !poison

package frame

// debug watches over a buffer's life in builds with the tag poison only.
type debug struct{}

func (debug) taken(*Buf)    {}
func (debug) returned(*Buf) {}
