# Two commands matter: `make demo` and `make test`. Both make their own virtual environment.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := $(shell find rust hmm_rs \( -name '*.rs' -o -name '*.py' -o -name '*.pyi' -o -name '*.toml' \
	-o -name '*.npz' -o -name '*.safetensors' -o -name '*.json' \)) Cargo.toml Cargo.lock pyproject.toml

.PHONY: help install demo gallery test test-all test-rust test-python trust coverage coverage-rust bench profile scaling lint docs \
	dist audit notices release-notes clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/made: requirements/run.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/run.txt
	touch $@

# The wheel is what is installed and tested, never the source tree.
$(VENV)/installed: $(VENV)/made $(SOURCES)
	rm -rf target/wheels
	$(BIN)/maturin build --release --locked --quiet --out target/wheels
	$(PIP) --no-deps --force-reinstall target/wheels/*.whl
	touch $@

$(VENV)/made-%: requirements/%.txt $(VENV)/made
	$(PIP) -r $<
	touch $@

install: $(VENV)/installed ## build the wheel and install it into .venv

demo: $(VENV)/installed ## hidden-manifold learning curve, simulation against theory, into out/
	$(BIN)/python examples/hidden_manifold.py out

gallery: $(VENV)/installed $(VENV)/made-test ## every published figure at small scale, on one page, into gallery/
	$(BIN)/python -P -m hmm_rs reproduce --all --out gallery

test: test-rust test-python ## everything quick: Rust, then Python on the installed wheel

# The release profile, so that the wheel's build is not done twice.
test-rust: $(VENV)/installed
	cargo test --release --locked --quiet

test-python: $(VENV)/installed $(VENV)/made-test
	$(BIN)/python -P -m pytest -q

test-all: test-rust $(VENV)/made-test $(VENV)/made-docs ## the slow physics and the manual too
	$(BIN)/python -P -m pytest -q -m "slow or not slow"

trust: $(VENV)/installed $(VENV)/made-test ## kills, inputs, files, threads: tried, counted, put into docs/trust.md
	rm -f target/trust.jsonl
	HMM_RS_TRUST=$(CURDIR)/target/trust.jsonl $(BIN)/python -P -m pytest -q -m counted
	$(BIN)/python -P tests/trust_table.py target/trust.jsonl docs/trust.md

# Tests about timing may fail at this pace; they are judged by the targets above.
coverage: $(VENV)/installed $(VENV)/made-test ## lines of hmm_rs that the quick tests run, and which they do not
	rm -rf target/coverage
	mkdir -p target/coverage
	-$(BIN)/python -P -m coverage run -m pytest -q
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report --show-missing --skip-covered

coverage-rust: $(VENV)/installed $(VENV)/made-test ## lines of the pure crates that the quick tests of both languages run
	$(BIN)/python -P tests/rust_coverage.py

# One measurement, ours and the rivals' alike; BENCH passes options, as in `make bench BENCH="--quick"`.
bench: $(VENV)/installed $(VENV)/made-test $(VENV)/made-bench ## speed beside the machine's limits and rivals (BENCH=--quick: roughly)
	cargo build --release --locked --quiet --examples -p hmm-core -p hmm-sim
	$(BIN)/python benches/run.py $(BENCH)

profile: $(VENV)/installed $(VENV)/made-test $(VENV)/made-bench ## where the rows of the last bench that missed spend their time (perf)
	$(BIN)/python benches/profiling.py

scaling: $(VENV)/installed $(VENV)/made-test ## time and memory against sizes and threads, as a picture
	$(BIN)/python benches/scaling.py $(BENCH)

lint: $(VENV)/installed $(VENV)/made-test $(VENV)/made-lint ## rustfmt, clippy, rustdoc, ruff, mypy, stubtest
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace --quiet
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd $(VENV) && bin/python -m mypy.stubtest hmm_rs._lib --allowlist ../tests/stubtest-allowlist.txt

docs: $(VENV)/installed $(VENV)/made-test $(VENV)/made-docs ## the manual, its pages executed, into site/
	$(BIN)/sphinx-build -W --keep-going -j auto -q docs site/html
	@echo wrote site/html/index.html

dist: $(VENV)/made-dist ## wheel for old Linux systems and source archive, checked, into dist/
	rm -rf dist
	PATH=$(BIN):$$PATH $(BIN)/maturin build --release --locked --zig --compatibility manylinux_2_28 --out dist
	$(BIN)/maturin sdist --out dist
	$(BIN)/auditwheel show dist/*.whl
	$(BIN)/abi3audit --strict dist/*.whl
	$(BIN)/twine check --strict dist/*

# `make audit CHECKS="bans licenses sources"` needs no network; advisories are fetched.
CHECKS ?= advisories bans licenses sources
audit: ## licences, sources and known holes of all crates, by cargo-deny
	@cargo deny --version || { echo "install it: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --locked --all-features check $(CHECKS)

notices: ## the licences of all crates inside a wheel into THIRD-PARTY.md, by cargo-about
	@cargo about --version || { echo "install it: cargo install --locked --features cli cargo-about"; exit 1; }
	cargo about generate --locked --fail --manifest-path rust/hmm-py/Cargo.toml --output-file THIRD-PARTY.md about.hbs

release-notes: ## what CHANGELOG.md says of VERSION, of the newest without it
	@awk -v v="$(VERSION)" '/^## /{p = v == "" ? !seen++ : $$2 == v} p{print; n = 1} END{exit !n}' CHANGELOG.md

clean: ## remove everything built
	rm -rf $(VENV) target out gallery site dist docs/api docs/gallery docs/works/*.ipynb
