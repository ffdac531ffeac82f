#!/bin/bash
# run.sh [check|unit|guests|interop ...]: the tests, all of them if none is
# named. What go test says is kept in test/.out; the report at the end shows
# failures and skips, and closes with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
out=test/.out
rm -rf "$out"; mkdir -p "$out"
failed=() events=()
[ $# -gt 0 ] || set -- check unit interop guests

step() { # NAME COMMAND...: a step that is not a Go test
	local name=$1; shift
	echo "--- $name"
	"$@" || { echo "--- $name FAILED"; failed+=(-failed "$name"); }
}
gotest() { # NAME ARGUMENTS...: go test; the report says what came of it
	local name=$1 began=$SECONDS; shift
	echo "--- $name: go test $*" | cut -c1-100
	events+=("$out/$name.json")
	go test -json "$@" >"$out/$name.json" 2>"$out/$name.stderr" </dev/null
	cat "$out/$name.stderr"
	echo "    $((SECONDS - began)) s"
}
packages() { go list ./... | grep -v -e /test/guests -e /test/interop; }
formatted() { local f; f=$(gofmt -l $(git ls-files -co --exclude-standard '*.go')); [ -z "$f" ] || { echo "gofmt these: $f"; false; }; }

test/deps.sh || failed+=(-failed deps.sh)
for part; do
	case $part in
	check)
		step gofmt formatted
		step vet go vet ./...
		step staticcheck go tool staticcheck ./...
		step build make -s build;;
	unit)
		gotest unit -race -shuffle=on -timeout 10m $(packages)
		# What counts allocations cannot do so under the race detector.
		gotest alloc -count=1 -run Alloc -timeout 10m $(packages)
		# The codec without its assembler, as other processors have it.
		gotest purego -count=1 -tags purego -timeout 5m ./hdlc;;
	interop) gotest interop -race -count=1 -timeout 5m ./test/interop/...;;
	guests) TRIBUTARY_GUESTS=1 gotest guests -race -count=1 -timeout 12m ./test/guests/...;;
	*) echo "run.sh: unknown part $part" >&2; exit 2;;
	esac
done
go build -o "$out/report" ./test/report && exec "$out/report" "${failed[@]}" "${events[@]}"
