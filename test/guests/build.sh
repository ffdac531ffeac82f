#!/bin/bash
# build.sh uml|qemu [DIR]: make the guest out of Debian packages: a kernel and
# an initramfs with busybox, pppd, rp-pppoe, iperf3, ip, tcpdump, socat, and what
# an ISP has for IPv6: dhcp6s, radvd.
#
# Nothing is installed: the packages are fetched with apt-get and unpacked in
# DIR (default: .work beside this file), which keeps them for the next time.
#   uml    DIR/uml/{kernel,initrd}    user-mode Linux: the kernel is a program
#   qemu   DIR/qemu/{kernel,initrd}   the same userland under Debian's own kernel
# EXTRA_PKGS and EXTRA_BINS put more programs into the guest.
# Needs: apt-get, dpkg-deb, busybox; for qemu also xz. Root is not needed.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
kind=${1:?usage: build.sh uml|qemu [DIR]}
work=${2:-$here/.work}
die() { echo "build.sh: $*" >&2; exit 1; }
mkdir -p "$work/debs"
work=$(cd "$work" && pwd)

# One build at a time in one DIR.
exec 9>"$work/lock"
flock 9

bins="pppd pppoe pppoe-server pppoe-relay pppoe-discovery iperf3 ip bridge tcpdump socat dhcp6s radvd rdisc6 ${EXTRA_BINS:-}"
# Programs first, then the libraries they name. A missing library stops the build and is named.
userland="busybox-static dash ppp pppoe iperf3 iproute2 tcpdump socat wide-dhcpv6-server radvd ndisc6 ${EXTRA_PKGS:-}
 libc6 libssl3 libcrypt1 libpam0g libsystemd0 libpcap0.8 libaudit1 libcap2 libgcrypt20 liblzma5 libzstd1 liblz4-1
 libdbus-1-3 libcap-ng0 libgpg-error0 libsctp1 libbpf1 libelf1 libmnl0 libbsd0 zlib1g libmd0 libwrap0 libnsl2
 libtirpc3 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libxtables12 libiperf0 libfl2"
modules="virtio_pci virtio_net virtio_console virtio_rng 9p 9pnet_virtio
 ppp_generic ppp_async ppp_deflate bsd_comp pppox pppoe 8021q bridge dummy veth ipv6 af_packet af_packet_diag"

case $kind in
uml) kernelpkg=user-mode-linux;;
qemu)
	kernelpkg=${KERNEL_PKG:-$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-[0-9]/{print $2; exit}')}
	if [ -z "$kernelpkg" ] && [ "$(id -u)" = 0 ]; then
		apt-get -qq update
		kernelpkg=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/{print $2; exit}')
	fi
	[ -n "$kernelpkg" ] || die "linux-image-amd64 is not known here: run apt-get update";;
*) die "unknown kind $kind: uml or qemu";;
esac

first() { local f; for f; do [ ! -e "$f" ] || { echo "$f"; return; }; done; } # of the FILEs that exist
deb() { first "$work/debs/${1}"_*.deb; }
fetch() { # PACKAGE...: apt-get download, not apt's own archive folder, which a hook may empty
	( cd "$work/debs" && apt-get -qq -o APT::Sandbox::User=root download "$@" >/dev/null )
}
want=()
for p in $userland $kernelpkg; do [ -n "$(deb "$p")" ] || want+=("$p"); done
if [ ${#want[@]} -gt 0 ]; then
	fetch "${want[@]}" 2>/dev/null || {
		[ "$(id -u)" != 0 ] || apt-get -qq update
		fetch "${want[@]}" || die "could not fetch ${want[*]}: is this Debian, and did apt-get update run?"
	}
fi

# An image of the same packages and files as the last one is left as it is.
debs=(); for p in $userland $kernelpkg; do debs+=("$(deb "$p")"); done
stamp=$( { printf '%s\n' "${debs[@]##*/}" "$bins" "$modules"; cat "$here/build.sh" "$here"/rootfs/init "$here"/rootfs/rig/*; } | sha256sum)
out=$work/$kind
if [ -s "$out/initrd" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi

build=$work/build-$kind
rm -rf "$build" "$out"; mkdir -p "$build/pkgs" "$build/root" "$out"
for d in "${debs[@]}"; do dpkg-deb -x "$d" "$build/pkgs"; done
pkgs=$build/pkgs root=$build/root
busybox=$(first "$pkgs"/bin/busybox "$pkgs"/usr/bin/busybox)

# --- kernel and its modules
case $kind in
uml)
	cp "$pkgs/usr/bin/linux.uml" "$out/kernel"
	mkdir -p "$pkgs/lib"; ln -sfn ../usr/lib/uml/modules "$pkgs/lib/modules";;
qemu)
	# QEMU boots the ELF inside the bzImage directly (PVH): nothing is left to decompress at boot.
	image=$(ls "$pkgs"/boot/vmlinuz-*)
	at=$(grep -m1 -abo $'\xFD7zXZ' "$image" | sed 's/:.*//;q')
	tail -c+$((at+1)) "$image" | xz -dc --single-stream >"$out/kernel" 2>/dev/null || true
	[ "$(head -c4 "$out/kernel" | tr -d '\177')" = ELF ] || die "no ELF kernel in ${image##*/}";;
esac
version=$(ls "$pkgs/lib/modules")
from=$pkgs/lib/modules/$version to=$root/lib/modules/$version
mkdir -p "$to"
[ -s "$from/modules.dep" ] || "$busybox" depmod -b "$pkgs" "$version"
declare -A path dep
while IFS=: read -r file needs; do
	name=${file##*/}; name=${name%.ko}; name=${name//-/_}
	path[$name]=$file dep[$name]=$needs
done <"$from/modules.dep"
for m in $modules; do
	for file in ${path[$m]:-} ${dep[$m]:-}; do # one that is missing is built in, or of the other kind
		mkdir -p "$to/${file%/*}"; cp "$from/$file" "$to/$file"
	done
done
cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/" 2>/dev/null || true
"$busybox" depmod -b "$root" "$version"

# --- programs, and the libraries they name, found by the guest's own loader
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,lib64,lib/x86_64-linux-gnu,etc/ppp/plugins,proc,sys,dev,run,tmp,var,root,host}
ln -s /run "$root/var/run"
loader=$pkgs/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
libpath=$pkgs/lib/x86_64-linux-gnu:$pkgs/usr/lib/x86_64-linux-gnu
cp -L "$loader" "$root/lib64/"
libs() { # FILE: copies what it is linked with
	local name path
	while read -r name _ path _; do
		case $path in
		not) die "${1##*/}: $name is in no package listed here";;
		/*) [ -e "$root/lib/x86_64-linux-gnu/$name" ] || cp -L "$path" "$root/lib/x86_64-linux-gnu/$name";;
		esac
	done < <("$loader" --library-path "$libpath" --list "$1" | grep -v "^[[:space:]]*/")
}
for b in dash $bins; do
	file=$(first "$pkgs"/{usr/sbin,usr/bin,sbin,bin}/"$b")
	[ -n "$file" ] || die "$b is in no package listed here"
	install -m 755 "$file" "$root/usr/sbin/$b"; libs "$file"
done
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
	# A busybox shell runs its own applets before it looks in PATH, so the shell is
	# dash, and what iproute2 brings is left out here.
	case $applet in busybox | ip | sh | tc | brctl) ;; *) ln -s busybox "$root/bin/$applet";; esac
done
ln -s /usr/sbin/dash "$root/bin/sh"
ln -s /bin/busybox "$root/sbin/modprobe"
plugin=$(first "$pkgs"/usr/lib/pppd/*/rp-pppoe.so)
install -D "$plugin" "$root${plugin#"$pkgs"}"; libs "$plugin"
ln -s "${plugin#"$pkgs"}" "$root/etc/ppp/plugins/rp-pppoe.so"

# --- files
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
printf 'root:x:0:\ndip:x:30:\ntty:x:5:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
echo '127.0.0.1 localhost' >"$root/etc/hosts"
for f in options chap-secrets pap-secrets resolv.conf; do : >"$root/etc/ppp/$f"; done
: >"$root/etc/resolv.conf"
install -m 755 "$here/rootfs/init" "$root/init"
mkdir "$root/rig"; install -m 755 "$here"/rootfs/rig/* "$root/rig/"

( cd "$root" && find . | sort | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null ) >"$out/initrd"
rm -rf "$build"
echo "$stamp" >"$out/stamp"
echo "guest image $kind: kernel $version, $(($(stat -c %s "$out/initrd") / 1048576)) MiB of initramfs, ${#debs[@]} packages"
