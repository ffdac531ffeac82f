package guest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prepareQEMU sets g.cmd and g.ctl, and returns what the control terminal says.
// Always TCG: a /dev/kvm that nests without the processor's help is a hundred
// times slower, and cannot be told from a good one in advance.
func (g *Guest) prepareQEMU(img Image, o Options, console *os.File) (io.Reader, error) {
	o.Memory = max(o.Memory, 256)
	kernelArgs := append([]string{
		"console=ttyS0", "quiet", "panic=-1", "reboot=t", "tsc=reliable", "random.trust_cpu=on", "mitigations=off",
		"nokaslr", "no_timer_check", "apparmor=0", "audit=0", "nowatchdog", "rig.ctl=hvc0",
	}, rigArgs(o)...)
	args := []string{
		"-M", "pc,hpet=off,usb=off", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64",
		"-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-no-reboot",
		"-m", fmt.Sprint(o.Memory), "-kernel", img.Kernel, "-initrd", img.Initrd,
		"-append", strings.Join(kernelArgs, " "),
		"-chardev", "file,id=log,path=" + console.Name(), "-serial", "chardev:log",
		"-chardev", "stdio,id=ctl,signal=off", "-device", "virtio-serial-pci,id=vs0",
		"-device", "virtconsole,bus=vs0.0,nr=0,chardev=ctl",
		"-fsdev", "local,id=host,security_model=none,path=" + filepath.Join(g.dir, "share"),
		"-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
	}
	for i, tty := range o.Serial {
		args = append(args, "-chardev", fmt.Sprintf("serial,id=tty%d,path=%s", i, tty))
		device := "pci-serial"
		if i == 0 {
			device = "isa-serial"
		}
		args = append(args, "-device", fmt.Sprintf("%s,chardev=tty%d", device, i))
	}
	for i, tap := range o.Taps {
		args = append(args, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,script=no,downscript=no,vnet_hdr=on", i, tap),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=n%d,mac=%s,romfile=", i, g.mac(i)))
	}
	g.cmd = exec.Command("qemu-system-x86_64", args...)
	errors, err := os.Create(filepath.Join(g.dir, "qemu"))
	if err != nil {
		return nil, err
	}
	g.cmd.Stderr = errors
	g.cmd.ExtraFiles = []*os.File{errors} // closed with the rest once it runs
	if g.ctl, err = g.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	return g.cmd.StdoutPipe()
}
