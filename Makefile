# make quickstart: set up and run the default example. make test, make check: what CI runs. make docs: the site.
# make test-lowest: the tests with the lowest versions that pyproject.toml promises, whose use of names that newer
# libraries deprecate is not looked at.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints.txt
INSTALLED := $(VENV)/.installed
LOWEST := .venv-lowest
# Where that version of torch cannot be had, another: make test-lowest TORCH=2.13.0
TORCH := $(shell sed -n 's/^torch==//p' constraints-lowest.txt)
# Errors are printed, and nothing else: no advice on pip's own version, no remark on an index that is not there.
INSTALL = $(BIN)/pip install -qq --disable-pip-version-check --no-input --constraint $(CONSTRAINTS)

PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-lowest check docs format clean

quickstart: $(INSTALLED)  ## set up, train the bundled example, print its table
	@$(BIN)/python train.py

test: $(INSTALLED)  ## run the tests, two files at a time
	$(PYTEST)

test-lowest: BIN := $(LOWEST)/bin
test-lowest: CONSTRAINTS := $(LOWEST)/constraints.txt
test-lowest: $(LOWEST)/.installed-torch-$(TORCH)  ## run the tests with the lowest versions, in an environment of their own
	$(PYTEST) -W ignore::DeprecationWarning

check: $(INSTALLED)  ## lint, formatting, types, which room imports which, and the links of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zensical build --strict --clean

docs: $(INSTALLED)  ## write the page of all keys anew, and build the site into site/; fails on a broken link
	$(BIN)/python tools/configuration_page.py
	$(BIN)/zensical build --strict --clean

format: $(INSTALLED)  ## mend lint and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	@echo "installing into $(VENV), which takes a few minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) torch
	@$(INSTALL) --editable '.[dev]'
	@touch $@

$(LOWEST)/.installed-torch-$(TORCH): pyproject.toml constraints-lowest.txt
	@echo "installing the lowest versions into $(LOWEST), which takes a few minutes"
	@$(PYTHON) -m venv --clear $(LOWEST)
	@sed 's/^torch==.*/torch==$(TORCH)/' constraints-lowest.txt > $(CONSTRAINTS)
	@$(INSTALL) torch
	@$(INSTALL) --editable '.[dev]'
	@touch $@

clean:  ## remove the environments and caches; outputs/ stays
	rm -rf $(VENV) $(LOWEST) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache site .cache
