# concmagic: `make demo` shows it, `make test` checks it, `make lab` opens it.
# Each needs only Python 3.11+, pip and make; `make test` also apt (for Chromium), node and npm.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BUILD := build
PYTHONS ?= 3.11 3.12 3.13 3.14
SECONDS ?= 600
SEED ?= 1
CELL ?=
PROGRAMS ?= 500
PART ?= unit
WORKERS ?= auto
RERUNS ?= 0

# Kernels and children read what is compiled, as those of a user do, whatever the environment of CI says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo lab test test-busy test-all-pythons test-python test-js lint types types-js scripts-js schema soak truth stress bench broken-world pictures changelog chromium clean help

help:
	@echo "make demo      run the tour in a real kernel; text pictures here, interactive ones in $(BUILD)/tour.html"
	@echo "make lab       open the tour in JupyterLab"
	@echo "make test      lint, types, all tests (unit, kernel, browser, JavaScript)"
	@echo "make test-busy PART=unit|kernel|browser   a part beside eight busy loops; appends to $(BUILD)/busy.log"
	@echo "make test-all-pythons   unit and kernel tests on each of Python $(PYTHONS) that is here"
	@echo "make soak      SECONDS=$(SECONDS) SEED=$(SEED): random cells, interrupts and faults, shared by the same Pythons"
	@echo "make truth     PROGRAMS=$(PROGRAMS) SEED=$(SEED): is what is said right, and the same each time? Half an hour of real cells"
	@echo "make stress    500 cells of every kind in ten kernels, most past the budget of calls: what dies is printed"
	@echo "make bench     what tracing costs, beside plain, bare VizTracer and other tools"
	@echo "make broken-world   cells in interpreters in which a name that concmagic borrows is not what it was"
	@echo "make pictures  draw sample pictures in light and dark into $(BUILD)/pictures"
	@echo "make changelog      what the next release will say, from newsfragments/"

# One stamp a set of packages: an environment made for the demo is completed for the tests.
$(VENV)/made:
	$(PYTHON) -c 'import sys; sys.exit("concmagic needs Python 3.11 or newer; say PYTHON=python3.12 or the like" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

$(VENV)/demo: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/test: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/demo

$(VENV)/bench: $(VENV)/test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(VENV)/release: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[release]'
	@touch $@

demo: $(VENV)/demo
	$(BIN)/python examples/demo.py examples/tour.ipynb $(BUILD)/tour.html

# As root, which is who one is in a container, Jupyter starts only where it is told to.
lab: $(VENV)/demo
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 --allow-root examples/tour.ipynb

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || { \
	  echo "installing Chromium for the browser tests"; \
	  SUDO=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	  $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test
	$(BIN)/mypy

# By several workers (tests/workers.py), then one after the other what asks what samples met, and wants the cores.
# WORKERS=0 runs all one after the other; RERUNS=1 gives what failed a second try, and tells of the first.
test-python: $(VENV)/test chromium
	@failed=0; \
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --reruns $(RERUNS) --durations 30 -m "not sampled" || failed=1; \
	$(BIN)/python -m pytest --numprocesses 0 --durations 5 -m sampled || failed=1; \
	exit $$failed

# TypeScript, at the version of the lock file; it only checks.
node_modules/made: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# The picture's scripts as one, as they stand in an output.
scripts-js: $(VENV)/test
	@$(BIN)/python tests/js/write_scripts.py $(BUILD)/js

types-js: scripts-js node_modules/made
	node_modules/.bin/tsc --project tsconfig.json

test-js: scripts-js node_modules/made
	node --test tests/js/*.test.js

# The fields of the picture's payload for its scripts, from renderers/schema.py.
schema: $(VENV)/test
	$(BIN)/python tests/picture_schema.py

# Every Python that is here, each in an environment of its own; a lost test of one does not stop the others.
test-all-pythons:
	@failed=""; \
	for version in $(PYTHONS); do \
	  found=$$(tests/find_python.sh $$version) || { echo "Python $$version was not found"; continue; }; \
	  python=$(BUILD)/venvs/$$version/bin/python; \
	  echo "Python $$version: $$found"; \
	  { [ -x $$python ] || "$$found" -m venv $(BUILD)/venvs/$$version; } && \
	  $$python -m pip install --quiet --disable-pip-version-check --editable '.[test]' && \
	  $$python -m pytest --numprocesses $(WORKERS) tests/unit tests/kernel || failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed on:$$failed"; exit 1; fi

test-busy: $(VENV)/test chromium
	$(BIN)/python tests/run_busy.py $(PART) $(BUILD)/busy.log

test: lint types types-js test-js test-python

# The default Python; for another say PYTHON=, or run the script by that Python.
stress: $(VENV)/test
	$(BIN)/python tests/stress/many_cells.py --seed $(SEED)

# `make soak SEED=3 CELL=17` runs one cell again. A Python given as a path is used as it is, with its packages.
soak:
	@tests/soak/every_python.sh $(BUILD)/venvs $(SECONDS) $(SEED) "$(CELL)" $(PYTHONS)

# Of one kind: `make truth TRUTH="--part rows --only lock"`.
truth: $(VENV)/test
	$(BIN)/python -m tests.truth --programs $(PROGRAMS) --seed $(SEED) $(TRUTH)

bench: $(VENV)/bench
	$(BIN)/python benchmarks/run.py

# Each borrowed name missing, a builtin, wrapped: a cell of each model there, plain and traced.
broken-world: $(VENV)/test
	cd tests/broken && ../../$(BIN)/python run_all.py

pictures: $(VENV)/test chromium
	$(BIN)/python examples/make_pictures.py

changelog: $(VENV)/release
	@$(BIN)/towncrier build --draft --version "the next release"

clean:
	rm -rf $(VENV) $(BUILD)
