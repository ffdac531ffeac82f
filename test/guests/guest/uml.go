package guest

import (
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// prepareUML sets g.cmd and g.ctl, and returns what the control terminal says.
func (g *Guest) prepareUML(img Image, o Options, console *os.File) (io.Reader, error) {
	in, ctl, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ready, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	g.ctl = ctl
	args := []string{
		fmt.Sprintf("mem=%dM", o.Memory), "initrd=" + img.Initrd, "rdinit=/init", "quiet",
		"con=null", "con0=null,fd:2", "ssl=null", "ssl1=fd:3,fd:4",
		"uml_dir=" + g.dir, "umid=uml",
		"rig.ctl=ttyS1", "rig.share=" + filepath.Join(g.dir, "share"),
	}
	for i, tty := range o.Serial {
		args = append(args, fmt.Sprintf("ssl%d=tty:%s", i+2, tty))
	}
	for i, tap := range o.Taps {
		args = append(args, fmt.Sprintf("vec%d:transport=tap,ifname=%s,mac=%s,mtu=%d,depth=64,gro=1", i, tap, g.mac(i), o.MTU))
	}
	g.cmd = exec.Command(img.Kernel, append(args, rigArgs(o)...)...)
	// Its memory is a file that it maps: it must be in memory, and not noexec.
	g.cmd.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	g.cmd.Stdout, g.cmd.Stderr = console, console
	g.cmd.ExtraFiles = []*os.File{in, out}
	return ready, nil
}

// rigArgs are the words of the kernel command line that /init reads.
func rigArgs(o Options) []string {
	args := []string{"rig.name=" + o.Name, "rig.role=" + o.Role, fmt.Sprintf("rig.mtu=%d", o.MTU)}
	for k, v := range o.Set {
		args = append(args, "rig."+k+"="+v)
	}
	return args
}

// mac is a locally administered address, the same in every run.
func (g *Guest) mac(nic int) string {
	h := md5.Sum(fmt.Append(nil, g.Name, nic))
	return fmt.Sprintf("02:00:5e:%02x:%02x:%02x", h[0], h[1], h[2])
}
