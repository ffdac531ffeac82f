package guest

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
)

// AddTap makes a TAP device for a guest's Ethernet and brings it up. IPv6 is
// off on it, so that the host's kernel says nothing there by itself.
func AddTap(name string) (netlink.Link, error) {
	tap := &netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
	}
	if err := netlink.LinkAdd(tap); err != nil {
		return nil, fmt.Errorf("tap %s: %w", name, err)
	}
	return tap, Quiet(tap)
}

// Quiet takes IPv6 off a link and brings it up.
func Quiet(link netlink.Link) error {
	name := link.Attrs().Name
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644)
	if err != nil && !os.IsNotExist(err) { // a kernel without IPv6 is quiet enough
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s up: %w", name, err)
	}
	return nil
}
