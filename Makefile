# Every target makes its own environment when there is none: Python >= 3.11 and make are all that a machine needs.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests wait for processes of their own half of the time, so more of them than cores run at once.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); n=$$(( (n * 3 + 1) / 2 )); \
	if [ $$n -gt 6 ]; then n=6; fi; echo $$n)
# Tests and the demo start hundreds of processes of ours: each would compile all of its modules anew.
unexport PYTHONDONTWRITEBYTECODE
PROTOS := $(shell find protos -name '*.proto' 2>/dev/null)

.PHONY: help setup demo test node fuzz matrix conformance check bench generate lock clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Make .venv from requirements.lock

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "countersign needs Python 3.11 or newer on the PATH (or PYTHON=/path/to/python)"; exit 1; }
	@echo "making $(VENV) with $(PYTHON) from requirements.lock ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sh .ci/install
	@touch $@

demo: $(READY)  ## The main job on real input, everything embedded (ONCE=1: end after the walk)
	@$(BIN)/countersign demo $(if $(ONCE),--once)

test: $(READY) node  ## All tests, several files at once (ARGS="-n0 -k ...": chosen ones, one after the other)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

node: $(READY)  ## Others' clients and servers for Node.js, and the conformance suite (tests/node)
	@sh .ci/node

fuzz: $(READY) node  ## Framing and leaf code on made-up input for a minute (ARGS="--seconds 600 --target events"), then judge against SDKs (CASES=...)
	@mkdir -p .fuzz
	$(BIN)/python -m tests.fuzz --keep .fuzz $(ARGS)
	$(BIN)/python -m tests.differential --count $(or $(CASES),300000)

matrix: $(READY) node  ## Every client with every server, directly and through the gateway; writes docs/compatibility.md
	$(BIN)/python -m tests.matrix $(ARGS)

conformance: $(READY) node  ## The public MCP suite, directly and through the gateway; report in conformance-report/
	$(BIN)/python -m tests.conformance $(ARGS)

check: $(READY)  ## Lint, format, types, import rules, protos, generated code
	$(BIN)/ruff check services tests
	$(BIN)/ruff format --check services tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	sh .ci/protos-compatible
	sh .ci/generated-is-current

bench: $(READY)  ## Speed against direct and plain Envoy; report in bench-report/
	$(BIN)/python -m tests.bench $(ARGS)

generate: $(READY)  ## Regenerate services/countersign/api and the published schema
	sh .ci/generate services
	$(BIN)/python -m countersign.config.schema > docs/gateway.schema.json

lock: $(READY)  ## Refresh requirements.lock and tests/node/package-lock.json
	sh .ci/lock

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .demo .fuzz bench-report conformance-report .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
