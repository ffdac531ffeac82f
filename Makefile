# Tributary. make builds bin/tributary; make test runs every test that this
# machine can run, and says what it could not.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
GO      ?= go
PREFIX  ?= /usr/local
DESTDIR ?=
LAB     ?=
FUZZTIME ?= 30s

.PHONY: build lab test check unit guests interop fuzz bench install uninstall clean

# One static binary.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/tributary ./cmd/tributary

# An ISP, a gateway and dialling users in one process, without privileges.
# LAB='--users 50 --for 1m' changes it.
lab: build
	bin/tributary lab $(LAB)

# Everything. As root it installs what is missing (test/deps.sh says what).
# Ends with one line that counts: N passed, N failed.
test:
	test/run.sh

# Parts of it.
check unit guests interop:
	test/run.sh $@

# Every fuzz target for FUZZTIME, one after the other.
fuzz:
	FUZZTIME=$(FUZZTIME) test/fuzz.sh

# The data path next to rp-pppoe and to a bare forwarder, as root; writes
# bench/RESULTS.md and, where perf is installed, profiles. BENCH='-lines 64' changes it.
BENCH ?= $(if $(shell command -v perf),-profile bench)
bench:
	$(GO) run ./bench -o bench/RESULTS.md $(BENCH)

install: build
	install -D -m 755 bin/tributary $(DESTDIR)$(PREFIX)/bin/tributary
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|' packaging/systemd/tributary.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/tributary.service
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	bin/tributary completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tributary

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/tributary $(DESTDIR)$(PREFIX)/lib/systemd/system/tributary.service \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tributary

clean:
	rm -rf bin test/guests/.work test/.out
