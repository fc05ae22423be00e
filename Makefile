# Two environments: .venv holds the light install that a telescope's computer gets (no torch),
# .venv-dev holds everything, with the sources as they lie here.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
FRAMES ?= 8
SEED ?= 1
JOBS ?= 2

LIGHT := .venv/bin
DEV := .venv-dev/bin
PIP := -m pip install --quiet --disable-pip-version-check -c constraints-ci.txt
SOURCES := $(shell find src -type f -not -path '*/.*' -not -path '*/__pycache__/*' 2>/dev/null)
# Two test workers share the cores: no thread pools of their own.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help demo test unit lint docs kafka default-model clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "make %-14s %s\n", $$1, $$2}'

demo: .venv/.installed  ## simulate a small night, search it, print the ranked table and the report's path
	@rm -rf demo
	$(LIGHT)/realbogus simulate --preset mini-sitian --frames $(FRAMES) --seed $(SEED) -o demo/night
	$(LIGHT)/realbogus night demo/night/frames -o demo/result --telescope mini-sitian --seed $(SEED) --jobs $(JOBS)

test: unit docs  ## unit tests, doctests, documentation (warnings are errors)

unit: .venv-dev/.installed
	$(ONE_THREAD) $(DEV)/python -m pytest -n 2 --dist loadfile -q

lint: .venv-dev/.installed  ## ruff (rules and format), mypy --strict
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy

docs: .venv-dev/.installed  ## build the documentation into docs/_build/html
	$(ONE_THREAD) $(DEV)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

kafka: .kafka/.fetched  ## fetch an Apache Kafka server for the tests that need one (Java and Maven must be there)

.kafka/.fetched: tests/serving/kafka/pom.xml
	mvn -q -B -f tests/serving/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/.kafka
	@touch $@

default-model: .venv-dev/.installed  ## make the shipped model again: simulate, train, evaluate, export
	$(DEV)/python scripts/default_model.py --jobs $(JOBS)

clean:  ## remove everything that make made
	rm -rf .venv .venv-dev .kafka demo docs/_build docs/api .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp stands for a finished install; a new dependency (or, for the light one, a new source) redoes it.
.venv/.installed: pyproject.toml constraints-ci.txt $(SOURCES)
	@test -n "$(PYTHON)" || { echo "no python3 >= 3.11 with venv found: install one (Debian: python3-venv) or set PYTHON=..."; exit 1; }
	@test -x $(LIGHT)/python || $(PYTHON) -m venv .venv
	$(LIGHT)/python $(PIP) .
	@touch $@

.venv-dev/.installed: pyproject.toml constraints-ci.txt
	@test -n "$(PYTHON)" || { echo "no python3 >= 3.11 with venv found: install one (Debian: python3-venv) or set PYTHON=..."; exit 1; }
	@test -x $(DEV)/python || $(PYTHON) -m venv .venv-dev
	$(DEV)/python $(PIP) -e '.[all]'
	@touch $@
