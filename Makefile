# Two commands matter: `make demo` and `make test`. Both make their own virtual environment.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export CARGO_TERM_COLOR ?= auto
SOURCES := $(shell find rust hmm_rs -name '*.rs' -o -name '*.py' -o -name '*.pyi' -o -name Cargo.toml) Cargo.toml Cargo.lock pyproject.toml

.PHONY: help demo test test-all test-rust test-python bench lint docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/made: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# The wheel is what is installed and tested, never the source tree.
$(VENV)/installed: $(VENV)/made $(SOURCES)
	rm -rf target/wheels
	$(BIN)/maturin build --release --locked --out target/wheels
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall target/wheels/*.whl
	touch $@
