# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of this checkout. Each installs the distribution packages that it lacks (Debian, Ubuntu).

CARGO = cargo

.PHONY: help demo test bench soak chaos fuzz check deb packages

# Each prints its own table; `make bench BENCHES=bench_collector` runs one.
BENCHES = bench_edit bench_postfix bench_collector bench_report

help:
	@echo "make demo    one message from a mail program to a number on a page, on real servers"
	@echo "make test    every test"
	@echo "make bench   ratios of speed and memory, measured beside peers and limits in one run"
	@echo "make soak    twenty minutes of mail and hits: memory, descriptors and queue stay flat"
	@echo "make chaos   2,000 messages while milter, database, disk and collector fail: none is lost, doubled or untrue"
	@echo "make fuzz    half a minute of damaged input for each of the milter's readers"
	@echo "make deb     Debian packages, in target/deb"
	@echo "make check   format, lints, import rules, documentation"

# Ends by itself if CI is true or nobody watches; else it keeps running until Ctrl-C.
demo: packages
	$(CARGO) build --locked --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --package tests --bin demo

# One PostgreSQL cluster serves all test programs.
test: packages
	$(CARGO) build --locked --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --package tests --bin with-cluster -- $(CARGO) test --locked --workspace --no-fail-fast

# Built for release, and only run when nothing else does: a busy machine moves the ratios. All run; the status is 1 if one
# missed a bar or could not measure it.
bench:
	@tests/install-packages bench
	$(CARGO) build --locked --release --workspace --bins
	@failed=; for bench in $(BENCHES); do \
		printf '\n== %s\n' "$$bench"; \
		FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --release --package tests --bin "$$bench" || failed="$$failed $$bench"; \
	done; \
	[ -z "$$failed" ] || { printf '\nbars missed or not measured:%s\n' "$$failed"; exit 1; }

check: packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	.ci/boundaries
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private-intra-doc-links" $(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet

# SOAK_SECONDS=60 shortens it.
soak: packages
	$(CARGO) build --locked --release --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --release --package tests --bin soak

# What `make test` does too, alone. It prints the seed, which FAIRTRACK_CHAOS_SEED repeats; FAIRTRACK_CHAOS_MESSAGES says
# how many. The full disk takes root's rights.
chaos: packages
	$(CARGO) build --locked --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --package tests --bin with-cluster -- $(CARGO) test --locked -p tests --test postfix chaos:: -- --nocapture

# From the seeds beside it, with the stable compiler; FUZZ_SECONDS is for each target. What is found stays in
# milter/fuzz/artifacts.
FUZZ_SECONDS = 30
fuzz:
	@tests/install-packages fuzz
	milter/fuzz/run $(FUZZ_SECONDS)

# FAIRTRACK_DEB_PROFILE=dev takes programs that are built faster and run slower.
deb:
	@tests/install-packages deb
	deploy/deb/build
	lintian --fail-on error $${CARGO_TARGET_DIR:-target}/deb/*.deb

packages:
	@tests/install-packages
