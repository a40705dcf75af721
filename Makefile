# make demo and make test are all a fresh machine needs; they make their environment first.
#
#   make test PYTHON=python3.12 VENV=.venv312      another interpreter, another environment
#   make test ARGS="-k restart -x"                 arguments for pytest
#   make test JOBS=0                               one test after the other, as a debugger needs it
#   make demo ARGS="--seconds 10"                  arguments for the demo
#   make bench ARGS="ask tell --repeats 5"         arguments for the benchmarks (--help)
#   make bench-peers PEERS="ray distributed"       the same beside further libraries
#   make mutants ARGS="routing --sample 50"        arguments for the mutants (--help)
#   make storm ARGS="--minutes 5 --seed 7"         arguments for the storm

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
JOBS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINS := .ci/constraints.txt
# A stamp is older than what it was made from exactly when the environment is outdated.
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help demo test check format-check lint types imports house docs wheel bench bench-peers bench-page soak storm mutants coverage format clean

help:
	@echo "make demo      run the superfluid demo (about 20 s)"
	@echo "make test      run the tests"
	@echo "make check     format, lint, types, imports, house rules, documentation, wheel"
	@echo "make bench     measure this machine"
	@echo "make bench-peers  the same beside other libraries, in an environment of their own"
	@echo "make bench-page  put what both have measured into docs/explanation/performance.md"
	@echo "make soak      an hour beside 32 busy processes: nobody may be judged wrongly"
	@echo "make mutants   change the deciders' code a little, again and again: do the tests notice?"
	@echo "make storm     half an hour in which everything is killed, stopped and cut, under load"
	@echo "make coverage  run the tests and show which lines they miss, child processes included"
	@echo "make format    let ruff lay out the code"
	@echo "make clean     remove everything that was made here, the environment included"

demo: $(RUN_READY)
	$(BIN)/understudy demo $(ARGS)

test: $(DEV_READY)
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

bench: $(DEV_READY)
	$(BIN)/python -m tests.benchmarks $(ARGS)

bench-peers: $(DEV_READY)
	test -d .venv-peers || $(BIN)/python -m venv .venv-peers
	.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install \
	  Pyro5 msgpack rpyc thespian xoscar iceoryx2 numpy $(PEERS)
	UNDERSTUDY_PEERS=.venv-peers/bin/python $(BIN)/python -m tests.benchmarks peers rings \
	  --out .benchmarks/peers $(ARGS)

bench-page: $(RUN_READY)
	$(BIN)/python -m tests.benchmarks.page .benchmarks $(wildcard .benchmarks/peers)

# Valkyrie's test programs under both their names, such as run-test-05-speed.
test-0% run-test-0%: $(DEV_READY)
	$(BIN)/python -m pytest -q -s tests/streams/test_seed_programs.py -k 0$(subst -,_,$*)

soak: $(DEV_READY)
	$(BIN)/python -m tests.soak $(ARGS)

mutants: $(DEV_READY)
	$(BIN)/python -m tests.mutation $(ARGS)

storm: $(DEV_READY)
	$(BIN)/python -m tests.storm --minutes 30 $(ARGS)

coverage: $(DEV_READY)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: format-check lint types imports house docs wheel

format-check: $(DEV_READY)
	$(BIN)/ruff format --check .

lint: $(DEV_READY)
	$(BIN)/ruff check .

types: $(DEV_READY)
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

imports: $(DEV_READY)
	$(BIN)/lint-imports

house: $(DEV_READY)
	$(BIN)/python -m pytest -q tests/test_house.py tests/test_exports.py

docs: $(DEV_READY)
	$(BIN)/python -m sphinx -q -W -n --keep-going -d $(VENV)/docs-cache docs docs/_build

wheel: $(DEV_READY)
	$(BIN)/python -m pytest -q tests/test_packaging.py

format: $(DEV_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

clean:
	rm -rf $(VENV) build dist docs/_build .benchmarks .coverage* .hypothesis \
	  .import_linter_cache .mypy_cache .pytest_cache .ruff_cache superfluid.png
	find actors supervisor tests examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------- environments

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "understudy needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(RUN_READY): pyproject.toml $(PINS) | $(BIN)/python
	$(PIP) install --constraint $(PINS) --upgrade pip
	$(PIP) install --constraint $(PINS) --build-constraint $(PINS) --editable '.[demo,notebook,testing]'
	@touch $@

$(DEV_READY): pyproject.toml $(PINS) $(RUN_READY)
	$(PIP) install --constraint $(PINS) --group dev --editable '.[demo,notebook,testing]' \
	  --build-constraint $(PINS)
	@touch $@
