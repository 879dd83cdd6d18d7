# Every target installs what it needs into .venv first, once. Nothing has to be activated.
VENV ?= .venv
export VENV PYTHON
# Tests start thousands of Python processes; without their bytecode each would compile our modules again.
export PYTHONDONTWRITEBYTECODE :=
BIN := $(VENV)/bin
CMAKE := cd openmpq_runtime && PATH="$(abspath $(BIN)):$$PATH" cmake
LOCKED := pyproject.toml requirements/lock.txt requirements/install
CPP = $(shell git ls-files '*.c' '*.cpp' '*.h' '*.hpp')
# Three processes, a file of tests in one of them: much of the time is waiting for services.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
RUN := runs/maxcut7-$(shell date +%Y%m%d-%H%M%S)

.DEFAULT_GOAL := help
.PHONY: help vqe openmpq test check drill lint format bench beside parsl-suite wheel lock clean distclean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 12

vqe: $(VENV)/.vqe  ## install, then run the multi-start VQE on the shipped 7-vertex graph, to its figure
	$(BIN)/conqure vqe maxcut --site workstation --engine parsl --starts 6 --plot --out $(RUN)
	@echo "The figures are in $(RUN):" && ls $(RUN)/*.png

openmpq: $(VENV)/.dev  ## build the OpenMP-Q runtime into build/openmpq/install, and its unit tests
	requirements/system
	$(CMAKE) --preset dev --log-level=WARNING
	$(CMAKE) --build --preset dev --target install -- --quiet

test: openmpq lint  ## install, then lint and run every test
	$(PYTEST)

check: openmpq lint  ## the quick half of `make test`: lint and the tests that are not slow
	$(PYTEST) -m "not slow"

lint: $(VENV)/.dev  ## ruff, mypy and clang-format
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@$(BIN)/clang-format --dry-run -Werror $(CPP)

format: $(VENV)/.dev  ## sort imports, fix what ruff can fix, lay out the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	@$(BIN)/clang-format -i $(CPP)

bench: $(VENV)/.dev  ## measure against the goals: make bench ARGS="NAME --json FILE --plot DIR"
	$(BIN)/python -m benchmarks $(ARGS)

drill: openmpq  ## the tests that take long: sanitizers, older compilers, faults on Slurm, every way to die
	$(PYTEST) -m drill

beside: $(VENV)/.dev  ## test with IQM's, AQT's and Mitiq's packages, in environments of their own (they hold back ours)
	$(BIN)/python -m pytest -m beside

parsl-suite: $(VENV)/.dev  ## run Parsl's own tests on our executors, in an environment of their own (docs/parsl.md)
	$(BIN)/python tools/parsl_suite.py $(ARGS)

wheel: $(VENV)/.dev  ## build dist/*.whl and the source archive
	$(BIN)/python -m build --no-isolation

lock: $(VENV)/.dev  ## take the newest versions that pyproject.toml allows into requirements/lock.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra all --extra test --extra dev --upgrade \
	    --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --output-file requirements/lock.txt

clean:  ## remove what builds and tools left behind (not .venv, not runs/)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -exec rm -rf {} +

distclean: clean  ## the same, and .venv and runs/
	rm -rf $(VENV) runs

$(VENV)/.vqe: $(LOCKED)
	requirements/install parsl,dask,vqe
	@touch $@

$(VENV)/.dev: $(LOCKED)
	requirements/install test,dev
	@touch $@
