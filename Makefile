.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
ONCE ?=
WORKERS ?= 2

.PHONY: help demo test check bench lock clean

help: ## Show what can be made
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: .venv/.runtime ## Run the main job on a month of simulated traffic; ONCE=1 ends after the summary
	$(BIN)/candor demo $(if $(ONCE),--once)

test: .venv/.dev ## Run the whole test suite; WORKERS=N processes share it (2)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: .venv/.dev ## Run every gate but the tests: format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev ## Measure the budgets and print them as ratios
	for benchmark in benchmarks/*.py; do $(BIN)/python $$benchmark || exit 1; done

lock: .venv/.dev ## Resolve the dependencies anew into the lock files
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-annotate --no-header --quiet --no-emit-package pandas --no-emit-package pyarrow \
	  -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --extra kafka --constraint requirements.lock --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-annotate --no-header --quiet --no-emit-package pandas --no-emit-package pyarrow \
	  -o requirements-dev.lock

clean: ## Remove what the other targets made
	rm -rf .venv .candor .coverage* .mypy_cache .ruff_cache .pytest_cache

.venv/.runtime: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	touch $@
