# Tidewater: build, demonstrate, test, measure, install. `make help` lists the targets.

# A static musl binary starts in a third of the time of a static glibc one: used where rustup can provide it.
ARCH   := $(shell uname -m)
MUSL   := $(ARCH)-unknown-linux-musl
TARGET ?= $(shell sh deploy/build-target.sh $(MUSL))

CNI_PLUGINS := bridge ptp loopback portmap firewall bandwidth tuning host-local static
PROGRAMS    := net-ctl
BUILD       := -p bridge -p ptp -p loopback -p portmap -p firewall -p bandwidth -p tuning -p ipam -p net-ctl
CARGO       ?= cargo
OUT         := target/$(TARGET)/release

# Where `make install` copies to.
PREFIX  ?= /usr/local
CNI_DIR ?= /opt/cni/bin

# A plugin lives for a millisecond. Loaded at a fixed address it has no relocations to work off at each start: 5 % of
# an ADD. What reads its input is safe Rust; whoever wants position-independent programs sets FIXED= to nothing.
FIXED ?= -C relocation-model=static
# Without musl, glibc is linked in statically: a plugin must run wherever a runtime copies it.
ifeq ($(findstring musl,$(TARGET)),)
STATIC := -C target-feature=+crt-static
endif
BUILD_RELEASE := RUSTFLAGS="$(RUSTFLAGS) $(FIXED) $(STATIC)" $(CARGO) build --release --locked --target $(TARGET)

.PHONY: help build demo test test-packages lint nightly bench install clean

help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## Release binaries: plugins in dist/cni, net-ctl in dist/bin
	$(BUILD_RELEASE) $(BUILD)
	@mkdir -p dist/cni dist/bin
	@for b in $(CNI_PLUGINS); do install -m 0755 $(OUT)/$$b dist/cni/.$$b.new && mv dist/cni/.$$b.new dist/cni/$$b; done
	@for b in $(PROGRAMS); do install -m 0755 $(OUT)/$$b dist/bin/.$$b.new && mv dist/bin/.$$b.new dist/bin/$$b; done
	@echo "built for $(TARGET): $(addprefix dist/cni/,$(CNI_PLUGINS)) $(addprefix dist/bin/,$(PROGRAMS))"

demo: ## Wire two containers on one bridge, show it, take it down again
	@$(MAKE) --no-print-directory build CNI_PLUGINS="bridge host-local" BUILD="-p bridge -p ipam -p net-ctl --bin bridge --bin host-local --bin net-ctl"
	sh deploy/demo.sh dist

test-packages: ## Install the Debian packages that the tests need
	sh tests/packages.sh

test: test-packages build ## Every test (as root; without root, in a user and network namespace)
	sh tests/run.sh

lint: ## Formatting, clippy, licences and advisories
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo "skipped: cargo deny (cargo install cargo-deny)"; fi

nightly: build ## The tests in full depth: every system call, many more random cases
	TIDEWATER_NIGHTLY=1 PROPTEST_CASES=2000 sh tests/run.sh

bench: build ## Ours, the reference plugins and the floor, interleaved in one run
	$(BUILD_RELEASE) -p tests --bins
	$(OUT)/bench --ours dist/cni --out bench-out $(BENCH_ARGS)

install: build ## Copy plugins to CNI_DIR and net-ctl to PREFIX/bin
	install -d $(DESTDIR)$(CNI_DIR) $(DESTDIR)$(PREFIX)/bin
	@for b in $(CNI_PLUGINS); do install -m 0755 dist/cni/$$b $(DESTDIR)$(CNI_DIR)/.$$b.new && mv $(DESTDIR)$(CNI_DIR)/.$$b.new $(DESTDIR)$(CNI_DIR)/$$b; done
	install -m 0755 dist/bin/net-ctl $(DESTDIR)$(PREFIX)/bin/net-ctl

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf dist bench-out
