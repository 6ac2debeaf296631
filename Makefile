# SPDX-License-Identifier: GPL-3.0-or-later
# The commands of this checkout. Each installs the distribution packages that it lacks (Debian, Ubuntu).

CARGO = cargo

.PHONY: help demo test check packages

help:
	@echo "make demo    one message from a mail program to a number on a page, on real servers"
	@echo "make test    every test"
	@echo "make check   format, lints, import rules, documentation"

# Ends by itself if CI is true or nobody watches; else it keeps running until Ctrl-C.
demo: packages
	$(CARGO) build --locked --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --package tests --bin demo

# One PostgreSQL cluster serves all test programs.
test: packages
	$(CARGO) build --locked --workspace --bins
	FAIRTRACK_PROGRAMS_BUILT=yes $(CARGO) run --locked --quiet --package tests --bin with-cluster -- $(CARGO) test --locked --workspace --no-fail-fast

check: packages
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	.ci/boundaries
	RUSTDOCFLAGS="--deny warnings --allow rustdoc::private-intra-doc-links" $(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet

packages:
	@tests/install-packages
