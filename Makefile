# One command each: `make run` needs nothing but Python 3.11 or newer.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Where it is set, each process that a test starts would compile everything anew.
export PYTHONDONTWRITEBYTECODE =

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A stamp is newer than what it was made from: a second `make run` starts at once.
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed
# What taskapi is compared with has an environment of its own.
RIVALS := benchmarks/.rivals/.installed
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_COMPILE = CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/pip-compile --quiet --no-config --strip-extras \
	--no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade
LIST_DEV = $(BIN)/python -c 'import configparser as c; f = c.ConfigParser(); f.read("setup.cfg"); \
	print(f["options.extras_require"]["dev"])'

.PHONY: help install run test coverage soak lint audit bench bench-guard docs image requirements

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(RUNTIME) ## Create .venv with what taskapi needs to run

run: $(RUNTIME) ## Run everything on this machine; Ctrl-C stops it
	@exec $(BIN)/flask up

test: lint ## Run all checks and tests
	$(BIN)/pytest -n 3 -m "not e2e and not contract and not quiet" --ignore tests/e2e --ignore tests/contract
	@# Each process of a test run collects all of its tests, which takes long where they are made from the
	@# OpenAPI document: one process has those, two have what starts processes.
	$(MAKE) --jobs 2 --output-sync=target test-contract test-processes
	@# By themselves: they measure how late work starts, which a busy machine would spoil.
	$(BIN)/pytest -m quiet tests/e2e tests/schedules/timing

.PHONY: test-contract test-processes
test-contract:
	$(BIN)/pytest -m "contract and not quiet" tests/contract

test-processes:
	$(BIN)/pytest -n 2 --maxschedchunk 1 -m "e2e and not quiet" tests/e2e tests/docs/test_readme.py

coverage: $(DEVELOPMENT) ## Run the tests that reach every line, and tell which they did not
	$(BIN)/pytest -n 2 -m "not e2e and not contract and not quiet" --cov --cov-branch --cov-fail-under=90

soak: $(DEVELOPMENT) ## Run the tests that take long
	$(BIN)/pytest -m soak

lint: $(DEVELOPMENT) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(BIN)/python ## Ask for known vulnerabilities of all that is pinned
	@$(BIN)/python -m venv $(VENV)/audit
	@$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@# Strict: what nothing is known of is no success.
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements-dev.txt

bench: $(DEVELOPMENT) $(RIVALS) ## Measure what docs/benchmarks.md tells; BENCH=quick only tries all
	$(BIN)/python -m benchmarks.http $(if $(filter quick,$(BENCH)),--quick)
	$(BIN)/python -m benchmarks.queues $(if $(filter quick,$(BENCH)),--quick)
	$(BIN)/python -m benchmarks.memory $(if $(filter quick,$(BENCH)),1000)
	$(BIN)/python -m benchmarks.starting $(if $(filter quick,$(BENCH)),--rounds 1)
	$(BIN)/python -m benchmarks.growth $(if $(filter quick,$(BENCH)),--quick)
	$(BIN)/python -m benchmarks.history $(if $(filter quick,$(BENCH)),1000 2000)
	$(BIN)/python -m benchmarks.tasks $(if $(filter quick,$(BENCH)),1000 2000)
	$(if $(filter quick,$(BENCH)),,$(BIN)/python -m benchmarks.report)

bench-guard: $(DEVELOPMENT) ## Count what a request, a job and a run cost, and compare with what is kept
	$(BIN)/python -m benchmarks.guard

docs: $(DEVELOPMENT) ## Write what the documents list of settings and endpoints
	$(BIN)/python -m tests.docs.pages

image: ## Build the Docker image, as taskapi:latest
	docker build --tag taskapi:latest \
		--build-arg VERSION="$$(sed -n 's/^VERSION = "\(.*\)"/\1/p' taskapi/version.py)" .

requirements: $(DEVELOPMENT) ## Pin the newest versions that setup.cfg allows
	$(PIP_INSTALL) pip-tools
	$(PIP_COMPILE) --output-file requirements.txt setup.cfg
	@# redis needs it on the first releases of Python 3.11 only, so pip-compile does not see it.
	@echo 'async-timeout==5.0.1 ; python_full_version < "3.11.3"' >> requirements.txt
	@echo '-r requirements.txt' > requirements-dev.txt
	$(LIST_DEV) | $(PIP_COMPILE) --no-header --no-annotate --constraint requirements.txt --output-file - - \
		| grep -vxFf requirements.txt >> requirements-dev.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "taskapi needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUNTIME): requirements.txt setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): this takes a minute, once"
	@$(PIP_INSTALL) --requirement requirements.txt
	@$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(RUNTIME)
	@$(PIP_INSTALL) --requirement requirements-dev.txt
	@touch $@

$(RIVALS): benchmarks/requirements-rivals.txt | $(BIN)/python
	@$(BIN)/python -m venv benchmarks/.rivals
	@benchmarks/.rivals/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
