# One environment in .venv, made from requirements.lock; every other target makes it first.
PYTHON ?= python3
PACKAGES := core flows $(sort $(wildcard plugins/*))
BIN := .venv/bin
READY := .venv/.ready
DOCS_READY := .venv/.docs-ready
# What runs in Node and browsers: installed and built once for each state of these.
PAGES := $(shell git ls-files 'plugins/*package-lock.json' 'plugins/*.ts' 'plugins/*.css' 'plugins/*.html' 'core/*.ts')

# Real images and teachers beside the checkout are used where they are.
BESIDE := $(abspath ../shared)
export PUPILA_DATA ?= $(wildcard $(BESIDE)/data)
export PUPILA_TEACHERS ?= $(wildcard $(BESIDE)/teachers)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo lint test test-all check bench docs lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml $(PACKAGES:%=%/pyproject.toml) $(PAGES)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation $(PACKAGES:%=--editable ./%)
	for package in tfjs web site; do $(BIN)/python -m pupila_$$package.install || exit 1; done
	touch $@

demo: $(READY)
	$(BIN)/pupila demo

test: $(READY)
	$(BIN)/pytest -m "not long" --numprocesses 2 --dist loadfile

test-all: $(READY)
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

check: lint
	$(BIN)/pytest -m "not slow and not long" --numprocesses 2 --dist loadfile -q

bench: $(READY)
	for benchmark in benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

$(DOCS_READY): $(READY) docs/requirements.lock
	$(BIN)/pip install --quiet --require-hashes --requirement docs/requirements.lock
	touch $@

lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --group dev $(PACKAGES:%=%/pyproject.toml) pyproject.toml \
		$(foreach package,core flows $(notdir $(wildcard plugins/*)),--no-emit-package pupila-$(package)) \
		--output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --group docs --constraint requirements.lock \
		--output-file docs/requirements.lock

clean:
	rm -rf .venv .pupila build
