# Every target makes its own .venv when there is none. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SUITE ?= celeba64
# Folder of the results; the suite's own by default, with other settings one named after them.
OUT ?=
ARGS ?=
PHOTOS ?=
WANDB ?=
WORKERS ?= 2
# Without an NVIDIA driver torch is installed without CUDA, which saves 4 GB, where the index has such wheels; CPU_ONLY= installs it.
CPU_ONLY ?= $(if $(shell command -v nvidia-smi),,yes)
# What `make test` runs; `make test-all` runs everything.
QUICK ?= not slow
# Two workers, one thread each; a file's tests on one of them, as they share what they set up.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo bench test test-all coverage check faults report train fetch lint format types clean perf browser docs

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo "  settings: SUITE=$(SUITE) OUT=DIR ARGS='key=value ...' WANDB=offline|online"

$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(if $(CPU_ONLY),$(BIN)/python .ci/without_cuda.py)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

bench: $(VENV)/.installed ## invert, score and report the suite (SUITE=celeba64; celeba64-full: everything, hours)
	-$(BIN)/python -m benchmarks fetch $(SUITE)
	$(BIN)/python -m benchmarks run $(SUITE) $(ARGS)$(if $(OUT), --out $(OUT))$(if $(WANDB), --wandb $(WANDB))

demo: $(VENV)/.installed ## three methods and two edits on photographs (PHOTOS='a.jpg b.jpg'; default: openpeople)
	$(BIN)/python -m benchmarks demo $(PHOTOS)

# Browser tests skip, saying why, where there is no Chromium. Debian's is installed when root asks for the tests.
browser: ## install Chromium for the browser tests, where apt-get can
	@command -v chromium-headless-shell chromium chromium-browser google-chrome >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium-headless-shell fonts-dejavu-core >/dev/null; } || \
	echo "no Chromium could be installed: the browser tests will be skipped"

test: $(VENV)/.installed browser ## run the quick tests (WORKERS=2 side by side)
	$(PYTEST) -m "$(QUICK)" $(ARGS)

test-all: $(VENV)/.installed browser ## run all tests: also official sizes, trainings, SLURM, Ray, faults, every page
	$(PYTEST) -m "" $(ARGS)

coverage: $(VENV)/.installed ## line coverage of the quick tests, by file
	$(PYTEST) -m "$(QUICK)" --cov --cov-report=term $(ARGS)

lint: $(VENV)/.installed ## ruff and ruff format, without changing files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed ## mypy
	$(BIN)/mypy

check: lint types test ## everything that must be clean before a commit

format: $(VENV)/.installed ## rewrite files as ruff formats them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

report: $(VENV)/.installed ## write the tables again from stored rows
	$(BIN)/python -m benchmarks report $(SUITE) $(ARGS)$(if $(OUT), --out $(OUT))

fetch: $(VENV)/.installed ## download and verify the suite's assets
	$(BIN)/python -m benchmarks fetch $(SUITE)

train: $(VENV)/.installed ## train the embedded generator (hours; resumes)
	$(BIN)/python -m benchmarks train generator $(ARGS)

faults: $(VENV)/.installed ## kill, tear and starve runs of the smoke suite, resume them, compare their tables
	$(BIN)/python -m tests.faults smoke --rounds 10 --out runs/faults $(ARGS)

perf: $(VENV)/.installed ## time every stage on this machine
	$(BIN)/python -m benchmarks.perf.stages $(ARGS)

docs: $(VENV)/.installed ## the documentation as a site, in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

clean: ## remove results, caches of tools and the .venv
	rm -rf runs build $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
