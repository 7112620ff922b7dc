# The commands of the README. Everything they need is installed into .venv, once.
#
#   make sweep                      set up, then run sweeps/quick.yaml
#   make sweep SWEEP=sweeps/X.yaml  set up, then run another sweep
#   make test                       set up, then run the tests (PYTEST_ARGS='-k store -x' narrows them)
#   make test-fast                  set up, then run the files that start no process and load nothing that takes seconds
#   make coverage                   set up, then run the tests and count what they cover; below the floor in pyproject.toml it fails
#   make test-slow                  set up, then run those that take a minute each, or are many alike
#   make test-cuda                  run the tests that need a CUDA device, by .venv or else by a Python with torch, pytest and hypothesis
#   make check                      set up, then lint, format and types
#   make bench                      set up, then time the training steps beside the peers: docs/performance.md
#   make bench WORKLOAD=X           the same of one workload (BENCH_ARGS='--rounds 10' gives each more turns)
#   make lock                       pin the newest dependencies that pyproject.toml allows in requirements.lock

PYTHON ?= python3
SWEEP ?= sweeps/quick.yaml
SWEEP_ARGS ?=
PYTEST_ARGS ?=
WORKLOAD ?=
BENCH_ARGS ?=
BIN := .venv/bin
export UV_HTTP_TIMEOUT ?= 300

# The machine's own uv when it has a working one, else the one that is put into .venv.
UV = $$(uv --version >/dev/null 2>&1 && echo uv || echo $(BIN)/uv)

.DEFAULT_GOAL := help
.PHONY: help setup sweep test test-fast coverage test-slow test-cuda check bench lock

help:
	@sed -n 's/^#   //p' Makefile

setup: .venv/complete

# Made anew only when one of the files it comes from has changed; the stamp is the last thing written.
# Byte code is compiled here, on all processors at once, as pip does by itself: else the first command compiles alone what it imports,
# and where Python may write none (PYTHONDONTWRITEBYTECODE) every command and every worker does. A file of another Python is left out.
.venv/complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) --version 2>&1): Python 3.11, 3.12 or 3.13 is needed (make PYTHON=python3.12)" >&2; exit 2; }
	@if uv --version >/dev/null 2>&1; then \
		test -x $(BIN)/python || uv venv --quiet --python "$$(command -v $(PYTHON))" .venv; \
	elif ! test -x $(BIN)/uv; then \
		$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet uv; \
	fi
	@echo "installing the dependencies into .venv (about 7 GB)" >&2
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@echo "compiling their byte code" >&2
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' .venv/lib || true
	@touch $@

# The outcome goes beside the runs: only a plain `fsl run` writes ./results, where committed tables are.
sweep: setup
	@$(BIN)/fsl run $(SWEEP) --results-root runs/results -y $(SWEEP_ARGS)

test: setup
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-fast: setup
	$(BIN)/python -m pytest --fast -m "not slow" $(PYTEST_ARGS)

coverage: setup
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term $(PYTEST_ARGS)

test-slow: setup
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# Without the setup: a machine with a GPU often has a torch of its own, whose warnings are not ours, and neither ray nor mlflow.
test-cuda:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m pytest -m cuda -W default -o addopts="-ra --strict-markers" $$(grep -rl 'mark\.cuda' tests --include='*.py') $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Peers that cannot be installed are absent from the tables, and the others are timed.
benchmarks/.peers/complete: benchmarks/requirements.txt | setup
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --target benchmarks/.peers -r benchmarks/requirements.txt \
		&& touch $@ || echo "the peers are not all installed: the tables will say which are absent" >&2

bench: setup benchmarks/.peers/complete
	@$(BIN)/python -m benchmarks $(if $(WORKLOAD),steps profile $(WORKLOAD:%=--workload %)) $(BENCH_ARGS)

lock: setup
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--all-extras pyproject.toml -o requirements.lock
