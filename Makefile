# Two commands for a newcomer: `make demo` and `make test`. Both set everything up first.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
MEMBERS := shared services/ingest services/rating services/invoicing services/psa-connector \
           services/tax services/payments tests/simulators deploy/local
NOT_LOCKED := $(addprefix --no-emit-package tieout-,shared ingest rating invoicing psa-connector tax payments simulators stack)

.PHONY: help setup demo test check fmt slow properties bench bench-licences schemas lock up down

help:     ## what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: .venv/.installed  ## install everything into .venv, nothing else

.venv/.installed: requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || { grep -A60 '^uv==' requirements.lock | awk 'NR>1 && /^[a-z]/ {exit} {print}' > .venv/uv.txt && $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt; }
	@echo "Installing the locked packages …"
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

demo: setup  ## a partner's month through the real system, every figure checked
	@$(BIN)/tieout demo

test: setup  ## all tests but the long fault injections
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

PROPERTIES := tests/unit/rating/test_rating_properties.py tests/unit/rating/test_rating_tiers.py \
              tests/unit/rating/test_rating_reductions.py tests/unit/shared/test_conventions.py

slow: setup  ## the long fault injections
	@$(BIN)/python -m pytest -m slow

properties: setup  ## 10,000 examples of every property of money; takes its time
	@$(BIN)/python -m pytest -n 2 --timeout 3600 --hypothesis-profile=long $(PROPERTIES)

check: setup  ## format, lint, types, import rules, unit tests
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary shared/src services/*/src tests/simulators/src deploy/local/src
	@$(BIN)/lint-imports --no-cache > .venv/imports.txt || { cat .venv/imports.txt; exit 1; }
	@$(BIN)/python -m pytest tests/unit

fmt: setup  ## format and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench-licences: setup  ## licence histories rated per second, and a month of 25,000 subscriptions
	@cd tests && ../$(BIN)/python -m benchmarks.relicensing

bench: setup  ## how soon a seat change is in Autotask, at growing rates
	@$(BIN)/python -m tests.benchmarks.latency

schemas: setup  ## write event schemas from the contracts and schema.sql from the migrations
	@$(BIN)/python -m shared.contracts.export
	@$(BIN)/python -m tests.migrations.snapshot

lock: setup  ## resolve anew and pin with hashes
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(NOT_LOCKED) --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml deploy/toolchain.in -o requirements.lock

up: setup  ## start the local stack and leave it running
	@$(BIN)/tieout up

down: setup  ## stop it; data stays
	@$(BIN)/tieout down
