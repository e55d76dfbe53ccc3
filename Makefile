# One command for each thing to do here; `make` alone lists them. The work is done by cargo and by
# the scripts in scripts/.

# The profile of the host: release to serve and to measure, dev to test, where building wasmtime a
# second time would be most of the wait. Guests are always built in release.
PROFILE ?= release
# The address that `make run` listens on, and further flags for `modelcell serve`.
BIND ?= 127.0.0.1:8080
ARGS ?=
# The parts of `make bench` with many models: spread, cold, density, trace; all if it is empty.
FLEET ?=
# For how long `make fuzz` runs each target, and which; all if it is empty.
FUZZ_SECONDS ?= 60
FUZZ ?=
# What `make image` builds. Its ENGINE is docker, podman or buildah; PREBUILT=1 compiles here and not in the
# image; RUST_IMAGE and BASE_IMAGE replace the images that deploy/Dockerfile begins from.
IMAGE ?= modelcell:$(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml)
PREBUILT ?=

TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
MODELCELL = $(TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/modelcell

EXAMPLES := iris breast-cancer-xgboost digits sentiment
TEST_GUESTS := $(patsubst tests/guests/%/Cargo.toml,%,$(wildcard tests/guests/*/Cargo.toml))
PYTHON_GUEST := python-nearest-centroid
RUNTIMES := xgboost lightgbm onnx

.PHONY: help run test guests python-guest runtimes host image lint fuzz bench clean

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS='	' read -r name text; do printf '  make %-14s %s\n' "$$name" "$$text"; done

run: guests ## Serve the examples on BIND=127.0.0.1:8080; ARGS='...' adds flags of modelcell serve
	@scripts/print-requests.sh $(BIND)
	@exec $(MODELCELL) serve --repository target/repository --cache-dir target/cache --bind $(BIND) $(ARGS)

test: ## The gate: lints, every test, the end-to-end tests over real sockets
	@scripts/setup.sh
	@scripts/test.sh $(TARGET_DIR)/debug/modelcell

guests: host ## Build the runtimes, the examples and the test guests; pack the examples into target/repository
	@scripts/build-guests.sh $(EXAMPLES) $(TEST_GUESTS) $(RUNTIMES:%=runtime-%)
	@scripts/install-runtimes.sh $(dir $(MODELCELL))runtimes $(RUNTIMES)
	@scripts/package-examples.sh $(MODELCELL)

python-guest: host ## Build and pack the Python example too; needs PyPI
	@scripts/build-python-guest.sh $(PYTHON_GUEST)
	@scripts/package-examples.sh $(MODELCELL)

runtimes: host ## Build the server and its runtimes: what an installation needs
	@scripts/build-guests.sh $(RUNTIMES:%=runtime-%)
	@scripts/install-runtimes.sh $(dir $(MODELCELL))runtimes $(RUNTIMES)

image: $(if $(PREBUILT),runtimes) ## Build the container image IMAGE=modelcell:VERSION; PREBUILT=1 compiles outside of it
	@scripts/image.sh $(IMAGE) $(if $(PREBUILT),$(MODELCELL))

# In dev everything that the tests need is built at once, so that cargo resolves features once and
# does not compile dependencies again for the tests.
host: ## Build the server alone (PROFILE=release or dev)
	@scripts/setup.sh
	cargo build --locked $(if $(filter dev,$(PROFILE)),--workspace --all-targets,--profile $(PROFILE) --package modelcell)

lint: ## Check formatting, lints and documentation
	cargo fmt --all --check
	rustfmt --check --edition 2024 fuzz/src/*.rs fuzz/targets/*.rs
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --package modelcell --package modelcell-guest --package modelcell-guest-macros

fuzz: ## Feed what reads outside bytes with mutated ones; FUZZ_SECONDS=60 each, FUZZ='unpack config' only some
	@scripts/setup.sh
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh $(FUZZ)

bench: guests ## Measure on this machine: hook calls, cells, requests over HTTP, hostile models, runtimes, many models
	cargo bench --locked --package modelcell-bench
	cargo run --locked --release --package modelcell-bench --bin cells -- fresh memory
	MODELCELL_BIN=$(MODELCELL) cargo run --locked --release --package modelcell-bench
	MODELCELL_BIN=$(MODELCELL) cargo run --locked --release --package modelcell-bench --bin beside
	@scripts/bench-native.sh
	@scripts/bench-fleet.sh $(MODELCELL) $(FLEET)

clean: ## Delete what was built here; what is cached for the machine stays
	cargo clean
	rm -rf target
