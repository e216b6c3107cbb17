# Two commands: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
# Where torch comes from; empty = pip's own settings. Without a GPU elsewhere:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
DEMO ?=
PYTEST ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
THREADS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# tests write and sync thousands of small files: in memory where there is room for them
THREADS += $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8000000 {print "TMPDIR=/dev/shm"}')

.PHONY: demo test test-system test-gate test-slow test-lowest mutants lint pages clean
demo: .venv/installed
	$(BIN)/fusefront demo $(DEMO)

test: .venv/installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not timed and not slow" $(PYTEST)

# the fast tests with the lowest versions that pyproject.toml allows, in a .venv-lowest of their own; what
# old packages deprecate in each other is no failure there, nor in a pytest that a test starts
test-lowest: .venv-lowest/installed
	$(THREADS) PYTEST_ADDOPTS="-W default::DeprecationWarning -W default::PendingDeprecationWarning \
	  -W default::FutureWarning" .venv-lowest/bin/python -m pytest -q -n 2 --dist worksteal \
	  -m "not timed and not slow" $(PYTEST)

.venv-lowest/installed: constraints-lowest.txt pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install -q --upgrade pip
	.venv-lowest/bin/python -m pip install -q -c constraints-lowest.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	.venv-lowest/bin/python -m pip install -q -c constraints-lowest.txt -e ".[pdf]" --group test
	touch $@

# what needs Chromium, poppler or pango; fails where they are missing, as `make test` skips
test-system: .venv/installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "needs and not timed" --skip-nothing $(PYTEST)

# what CI adds: the slow tests that guard the main job, then what reads a clock, alone
test-gate: .venv/installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal -m gate $(PYTEST)
	$(THREADS) $(BIN)/python -m pytest -q -m timed $(PYTEST)

# minutes of simulations and trainings, then what reads a clock and wants a quiet machine
test-slow: .venv/installed-test
	$(THREADS) $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "slow and not timed" $(PYTEST)
	$(THREADS) $(BIN)/python -m pytest -q -m timed $(PYTEST)

lint: .venv/installed-test .typing
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	MYPYPATH=.typing $(BIN)/mypy $(addprefix .typing/fusefront/,harness baselines fusion_variants datasets reports)

# which small changes of meaning the fast tests let live: N of them, drawn from the files changed
# since a commit, or since the last tag (docs/development.md)
SINCE ?=
N ?= 30
JOBS ?= 1
SEED ?= 0
mutants: .venv/installed-test
	$(BIN)/python tools/mutants.py --changed $(SINCE) -n $(N) --seeds $(SEED) --jobs $(JOBS) $(MUTANTS)

# the pages of docs/ that are made from the program
pages: .venv/installed-test
	PYTHONPATH=tools $(BIN)/python -m pages

.typing:
	mkdir -p .typing/fusefront
	for folder in harness baselines fusion_variants datasets reports; do ln -sfn ../../$$folder .typing/fusefront/$$folder; done

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("fusefront needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) install -q --upgrade -c constraints.txt pip

# torch first and alone: a build with CUDA packages is refused on a machine without a GPU
.venv/torch: .venv/bin/python constraints.txt
	$(BIN)/python .ci/torch_without_cuda.py $(TORCH_INDEX)
	$(PIP) install -q -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	touch $@

.venv/installed: .venv/torch pyproject.toml
	$(PIP) install -q -c constraints.txt -e ".[pdf]"
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) install -q -c constraints.txt -e ".[pdf]" --group dev
	touch $@

clean:
	rm -rf .venv .venv-lowest .typing out build *.egg-info
