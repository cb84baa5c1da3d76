# The first use of any target makes .venv and installs k8sfsm with what the target needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECORDING := examples/recordings/03-rolling-default

.PHONY: demo test lint format bench docs docs-test mutation fuzz fuzz-input properties defects clean help

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "k8sfsm needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

demo: $(VENV)/.installed ## Replay a recorded rolling update of a real cluster
	$(BIN)/k8sfsm replay $(RECORDING)

test: $(VENV)/.installed ## Run the tests
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed ## Check style, types and specs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/k8sfsm spec lint

format: $(VENV)/.installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed ## Measure speed and memory, up to the largest cluster and a log of a million events (ten minutes)
	$(BIN)/python -m benchmarks --large

mutation: $(VENV)/.installed ## Remove or invert each row of specs/ in turn: do the tests notice?
	$(BIN)/python -m benchmarks.mutation

FUZZ_STEPS ?= 1000000
KNOWN := specs/scenarios/pitfall-%.yaml specs/scenarios/avalanche-memory.yaml

fuzz: $(VENV)/.installed ## FUZZ_STEPS (a million) steps with faults over the shipped scenarios but those made to break
	$(BIN)/k8sfsm fuzz $(filter-out $(KNOWN),$(wildcard specs/scenarios/*.yaml)) --steps $(FUZZ_STEPS)

properties: $(VENV)/.installed ## All invariants under all faults in PROPERTY_RUNS (2000) random stories
	$(BIN)/python -m pytest -m campaign tests/fuzz/test_properties.py

defects: $(VENV)/.installed ## Which share of a random sample of mutants does fuzz find?
	$(BIN)/python -m benchmarks.defects --each 3 --seed 2026

fuzz-input: $(VENV)/.installed ## Feed spoilt files to every reader for FUZZ_SECONDS (600) seconds
	$(BIN)/python -m benchmarks.fuzz_input

docs: $(VENV)/.installed ## Build the book into site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/python docs/render.py book
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file build/mkdocs.yml

docs-test: $(VENV)/.installed ## Build the book and look at it in headless Chromium (which must be installed)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	K8SFSM_BOOK=1 $(BIN)/python -m pytest -m book tests/project/test_book.py

clean: ## Remove what the other targets made
	rm -rf $(VENV) site build .mutation .pytest_cache .mypy_cache .ruff_cache .hypothesis
