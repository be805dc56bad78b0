# Everything runs in a virtual environment that these targets create: Python 3.10 or newer is enough.
#
#   make demo                     encode and decode the recordings of demo/examples
#   make demo INPUT=any.wav       the same with a file, a folder or a glob of your own
#   make test                     the tests (make test ARGS="-k container" for some of them)
#   make test-slow                also those that need several GB of memory or many minutes
#   make fuzz TARGET=container      look for inputs that break it, 10 minutes (or config, manifests)
#   make lint | make format       ruff, pyright, import-linter, vulture | let ruff rewrite
#   make docs                     the documentation site: build/docs/index.html (Python 3.11)
#   make docs-links               whether its links to the Internet lead somewhere
#   make audit                    whether PyPI knows weaknesses of the pinned versions
#   make sbom                     the pinned versions as CycloneDX: build/sbom.json
#   make clean                    removes the environment and what the targets wrote
#
# TORCH_INDEX=URL installs PyTorch from another package index, for instance one of CPU builds.

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
INPUT ?= demo/examples
OUTPUT ?= demo-output
ARGS ?=
# More than two test processes gain little and each may hold a model.
TEST_PROCESSES ?= 2

BIN := $(VENV)/bin
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SPHINX := OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -c docs --quiet --fail-on-warning --keep-going
INPUTS_OF_SETUP := pyproject.toml constraints.txt

.PHONY: help demo test test-slow fuzz lint format python-of-docs docs docs-links audit sbom clean setup
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/.stamp-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; choose one with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# PyTorch comes in a call of its own: it is the largest part, and one of its several builds may
# already be there.
$(VENV)/.stamp-torch: constraints.txt $(VENV)/.stamp-python
	@echo "installing $(TORCH) (the largest download, once)"
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@touch $@

$(VENV)/.stamp-demo: $(INPUTS_OF_SETUP) $(VENV)/.stamp-torch
	$(PIP) install -c constraints.txt -e ".[plot]"
	@touch $@

$(VENV)/.stamp-dev: $(INPUTS_OF_SETUP) $(VENV)/.stamp-torch
	$(PIP) install -c constraints.txt -e ".[plot,train,peers,hf,onnx,corpus,listening,demo,serve,docs,dev]"
	@$(PIP) install -c constraints.txt -e ".[eval]" || \
	    echo "no C++ compiler, which visqol-python and pesq need: tests that measure with them are skipped"
	@touch $@ $(VENV)/.stamp-demo

setup: $(VENV)/.stamp-dev

demo: $(VENV)/.stamp-demo
	@$(BIN)/python demo/demo.py "$(INPUT)" --output "$(OUTPUT)"

test: $(VENV)/.stamp-dev
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

test-slow: $(VENV)/.stamp-dev
	@$(BIN)/python -m pytest -m "slow or not slow" $(ARGS)

fuzz: $(VENV)/.stamp-dev
	$(PIP) install -c constraints.txt -e ".[fuzz]"
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(TARGET) $(ARGS)

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/vulture

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Sphinx needs it; below, the extra [docs] is empty.
python-of-docs: $(VENV)/.stamp-python
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed for the site; choose one with PYTHON=..., and a new VENV=...")'

docs: python-of-docs $(VENV)/.stamp-dev
	@rm -rf build/docs
	@$(SPHINX) . build/docs

docs-links: python-of-docs $(VENV)/.stamp-dev
	@$(SPHINX) -b linkcheck . build/docs-links

# Tools of their own environment: what they need is no part of what they describe.
build/.audit/.stamp:
	$(PYTHON) -m venv build/.audit
	build/.audit/bin/python -m pip --disable-pip-version-check --quiet install "pip-audit>=2.10" "cyclonedx-bom>=7.5"
	@touch $@

audit: build/.audit/.stamp
	@build/.audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

sbom: build/.audit/.stamp
	@build/.audit/bin/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml -o build/sbom.json

clean:
	rm -rf $(VENV) $(OUTPUT) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
