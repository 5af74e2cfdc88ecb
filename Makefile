# Everything below needs only python3 (3.11 to 3.13) and make.
.DEFAULT_GOAL := help
.PHONY: help demo test test-avx2 test-slow coverage check docs docs-help benchmark clean

PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of processes: each would compile the package anew where bytecode isn't kept.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q
# Whoever has done takes half of what another has left, so that neighbours in a file stay together and
# what they share is made once.
# They are half as many again as cores, since tests wait for processes, servers and a browser.
WORKERS = $(shell $(BIN)/python -c "import os; print(min(8, (os.cpu_count() or 1) * 3 // 2))")
PARALLEL = --numprocesses $(WORKERS) --dist worksteal
INPUTS := pyproject.toml constraints.txt

define CHECK_PYTHON
import sys
if not (3, 11) <= sys.version_info[:2] < (3, 14):
    sys.exit("Python %d.%d is not supported. Run make with PYTHON=python3.11, 3.12 or 3.13." % sys.version_info[:2])
endef
export CHECK_PYTHON

# $(call install,.[extras]): an install counts once its stamp is written, so a broken one is done again.
define install
@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed. Install Python 3.11, 3.12 or 3.13."; exit 1; }
@$(PYTHON) -c "$$CHECK_PYTHON"
@echo "Installing into .venv; this happens once and takes a few minutes."
@$(PYTHON) -m venv .venv
@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '$(1)'
@touch .venv/runtime.stamp
endef

.venv/runtime.stamp: $(INPUTS)
	$(call install,.[weights])

.venv/dev.stamp: $(INPUTS)
	$(call install,.[dev])
	@touch $@

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime.stamp ## install, then transfer a pretrained model to real data, offline
	@$(BIN)/headstart demo

test: .venv/dev.stamp ## install, then run the tests, in half as many again processes as cores
	@$(PYTEST) $(PARALLEL) $(TESTS)

test-avx2: .venv/dev.stamp ## run the contract tests as on a processor that has no more than AVX2
	@ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(PYTEST) $(PARALLEL) tests/contracts $(TESTS)

test-slow: .venv/dev.stamp ## run the tests marked slow
	@$(PYTEST) -m slow $(TESTS)

coverage: .venv/dev.stamp ## run the tests, and write into htmlcov/ which lines and branches they reach
	@$(PYTEST) $(PARALLEL) --cov --cov-report=term --cov-report=html $(TESTS)

check: .venv/dev.stamp ## format, lint, types, and the diagram of imports
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py

docs: .venv/dev.stamp docs-help ## build the pages into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs-help: .venv/dev.stamp ## write the --help texts into docs/cli.md
	@$(BIN)/python docs/help_texts.py

benchmark: .venv/runtime.stamp ## compare with other libraries in one run; takes about an hour
	@$(BIN)/python -m benchmarks fast-path $(BENCHMARK)

clean: ## remove the environment and what was built
	rm -rf .venv site dist htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
