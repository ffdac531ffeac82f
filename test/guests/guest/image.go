package guest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"tributary/test/sandbox"
)

// Kind is what a guest runs on.
type Kind string

// The kinds of guest.
const (
	UML  Kind = "uml"
	QEMU Kind = "qemu"
)

// KindFromEnv is the kind that TRIBUTARY_GUEST asks for, user-mode Linux if it
// is not set.
func KindFromEnv() Kind {
	if k := Kind(os.Getenv("TRIBUTARY_GUEST")); k != "" {
		return k
	}
	return UML
}

// Image is a kernel and its initramfs.
type Image struct {
	Kind           Kind
	Kernel, Initrd string
}

// ImageIn names the image of a kind in a build folder, whether it is built or not.
func ImageIn(work string, k Kind) Image {
	return Image{Kind: k, Kernel: filepath.Join(work, string(k), "kernel"), Initrd: filepath.Join(work, string(k), "initrd")}
}

// Build makes the image, with build.sh in source, out of Debian packages. It
// takes ten seconds the first time, and nothing when all is as it was.
func Build(ctx context.Context, source, work string, k Kind) (Image, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return Image{}, sandbox.Missing("guests are amd64 Linux, this is " + runtime.GOOS + "/" + runtime.GOARCH)
	}
	need := []string{"bash", "apt-get", "dpkg-deb", "flock"}
	if k == QEMU {
		need = append(need, "qemu-system-x86_64", "xz")
	}
	for _, prog := range need {
		if _, err := exec.LookPath(prog); err != nil {
			return Image{}, sandbox.Missing("guests need " + prog)
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(source, "build.sh"), string(k), work).CombinedOutput()
	if err != nil {
		return Image{}, fmt.Errorf("guest image: %w\n%s", err, out)
	}
	return ImageIn(work, k), nil
}
