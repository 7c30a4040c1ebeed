# Everything that is done with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help venv services drill airflow simulator mwaa test test-airflow check lint format mutation campaign requirements release clean

BIN := .venv/bin
READY := .venv/.ready
# End-to-end tests mostly wait: three at a time, each process with an Airflow of its own, and a fourth one for other tests
# (tests/conftest.py shares them out).
PYTEST := $(BIN)/python -m pytest -n 4 --no-loadscope-reorder --durations 10
# What requirements.txt is made by, and compared with.
EXPORT := $(BIN)/uv export --quiet --locked --no-dev --extra airflow --no-emit-project
options = $(foreach name,$(1),$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) '$($(name))'))

help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

venv: $(READY) ## install everything, at the versions of uv.lock, into .venv

services: ## install PostgreSQL and Redis for the tests of docker-compose.yaml (Debian)
	@.ci/services

drill: $(READY) ## run a drill from start to end against a simulated DRS      [PLAN= FLEET= SPEED=]
	@$(BIN)/python -m demo drill $(call options,PLAN FLEET SPEED)

airflow: $(READY) ## start Airflow and a simulated DRS, for the browser         [PORT= FLEET= SPEED=]
	@$(BIN)/python -m demo airflow $(call options,PORT FLEET SPEED)

simulator: $(READY) ## start the simulated DRS alone                              [PORT= FLEET= SPEED=]
	@$(BIN)/python -m simulator $(call options,PORT FLEET SPEED)

mwaa: $(READY) ## write what Amazon MWAA needs into dist/mwaa, and check it  [PLANS= EVIDENCE=s3://...]
	@deploy/mwaa/build $(call options,PLANS EVIDENCE)

test: lint ## run the linters, then every test
	$(PYTEST)

test-airflow: $(READY) ## test the package installed on another Airflow                [VERSION=3.2.1]
	@.ci/test-airflow $(VERSION)

check: lint ## run the linters, then every test that starts no Airflow: for the daily round
	$(PYTEST) -n 3 -m 'not e2e'

lint: $(READY) ## run the linters and the type checker
	@$(EXPORT) | diff requirements.txt - > /dev/null || { echo 'requirements.txt is not what uv.lock pins: run `make requirements`.' >&2; exit 1; }
	@.ci/shellcheck
	@.ci/github
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

mutation: $(READY) ## change the code in small ways; show what no unit test notices   [MODULE=]
	@$(BIN)/uv sync --frozen --inexact --group mutation
	@$(BIN)/python -m bench.mutation $(MODULE)

campaign: $(READY) ## run 20,000 drills with seeded faults; count the promises they break      [DRILLS= MIX=]
	@$(BIN)/python -m bench.campaign $(call options,DRILLS MIX)

requirements: $(READY) ## write requirements.txt, with all pins and hashes of uv.lock
	$(EXPORT) > requirements.txt

release: $(READY) ## build the distributions, check them, and tag the version
	@.ci/release

clean: ## remove what the other targets made
	rm -rf .venv .drill .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist

$(READY): pyproject.toml uv.lock plugins/drs/version.py
	@.ci/install
	@touch $@
