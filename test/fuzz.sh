#!/bin/bash
# fuzz.sh: every fuzz target of the module for FUZZTIME, one after the other.
# A crash is kept by Go under testdata/fuzz: give it a name in the test's table.
set -uo pipefail
cd "$(dirname "$0")/.."
rc=0
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" 2>/dev/null | grep '^Fuzz'); do
		echo "--- ${pkg#tributary/} $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" "$pkg" || rc=1
	done
done
exit $rc
