# Each target does its own set-up: a fresh clone needs make and Python 3.11 or later (PYTHON=... names another one).

READY := .venv/.ready
BIN := .venv/bin
TESTS ?=
FUZZ ?= 400
SHORT ?=
ROWS ?=
MINUTES ?= 10
SEED ?=

.PHONY: help demo serve test fuzz faults soak check format lint docs bench audit image-test constraints clean

help: ## What can be made here
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: $(READY) ## Start a service, run the sample flows against a stub peer, show what they did, stop
	@$(BIN)/python deploy/demo.py

serve: $(READY) ## Run the service on data/ (API_PORT, API_TOKEN and DATA_PATH are obeyed)
	@$(BIN)/python -P deploy/serve.py

test: $(READY) ## Run the tests (TESTS=tests/engine for some of them)
	@$(BIN)/python -m pytest $(or $(TESTS),-m "not slow_fault" --numprocesses=3 --dist=loadfile)

fuzz: $(READY) ## Ask a service what its API allows and forbids, at random (FUZZ=400 tries for each operation)
	@OCTOFLOW_TEST_FUZZ=$(FUZZ) $(BIN)/python -m pytest -rP tests/acceptance/test_schemathesis.py

faults: $(READY) ## Bring every fault about that the documents promise to survive, and tell of each whether it did
	@$(BIN)/python tests/kit/fault_report.py

soak: $(READY) ## Two services under load, killed and starved at random (MINUTES=10, SEED=... for the same choices again)
	@MINUTES=$(MINUTES) SEED=$(SEED) $(BIN)/python tests/soak

check: lint test ## All that must hold before a commit: format, lint, types, floors, tests

lint: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --cache-dir .import_linter_cache > .venv/floors.txt || { cat .venv/floors.txt; exit 1; }

format: $(READY) ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

docs: $(READY) ## Write docs/reference/ from the code
	@$(BIN)/python docs/generate.py

bench: $(READY) ## Measure, each figure beside its floor (SHORT=1 in a minute, ROWS="lists steps" some of them)
	@$(BIN)/python benchmarks/bench.py $(if $(SHORT),--short) $(ROWS)

audit: $(READY) ## Look the versions of constraints.txt up among known vulnerabilities (AUDIT=required fails where no service can be reached)
	@$(BIN)/python deploy/audit.py

image-test: ## Build the image and run the sample flows in it, where docker, podman or buildah works (PYTHON_IMAGE=... names another base)
	@sh deploy/image_test.sh || [ $$? = 77 ]

constraints: $(READY) ## Renew constraints.txt with the newest versions that pyproject.toml allows
	@sh deploy/constraints.sh

clean: ## Remove what make and the sample runs left behind
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	rm -rf data/.octoflow data/logs data/output data/jobs.sqlite*
	find engine functions tests deploy -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@sh deploy/setup.sh

# The environment holds its own folder's name, so it is made again after the folder was moved or copied.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif
