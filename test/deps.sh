#!/bin/bash
# deps.sh: installs the Debian packages that the tests use, as root, or says
# which are missing. The guests fetch their own (test/guests/build.sh).
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# program:package, and what it is for
needed=(
	make:make            # the Makefile
	git:git              # the version in the binary
	gcc:gcc              # the race detector links with cgo
	pppoe:pppoe          # rp-pppoe's client: the reference, and a peer for our AC
	tshark:tshark        # dissects what we send
	flock:util-linux     # the guests' build
	dpkg-deb:dpkg
)
missing=()
for n in "${needed[@]}"; do command -v "${n%%:*}" >/dev/null || missing+=("${n##*:}"); done
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "deps.sh: not installed here: ${missing[*]}; the tests that need them are left out" >&2
	exit 0
fi
echo "deps.sh: installing ${missing[*]}"
install() { apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends -y "${missing[@]}" >/dev/null; }
install 2>/dev/null || { apt-get -qq update; install; }
