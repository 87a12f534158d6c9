# Skufleet: `make help` lists what there is. Needs GNU make, a POSIX shell and Python 3.11; sets up everything else itself.

MAKEFLAGS += --no-print-directory --no-builtin-rules
SHELL := /bin/sh
UV := 0.13.8
PY := .venv/bin/python
LOCAL := $(PY) -m include.skufleet.local
CLI := $(PY) -m include.skufleet

# Values come from the command line; quoting them here keeps spaces and $ out of the shell's hands.
quoted = '$(subst ','\'',$(1))'

.DEFAULT_GOAL := help
.PHONY: help demo up down status trigger import backfill scorecard check format test lock bench-accuracy bench-rivals bench-fleet bench-m5-fleet bench-backfill bench-gating bench-rollback chaos clean setup setup-dev

help: ## this list
	@echo "Skufleet retrains one demand model per SKU of a whole catalogue. The targets:"
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: setup ## start everything, load the demo catalogue, retrain it, show where to look
	@$(CLI) demo

up: setup ## start the embedded stack, or whatever of it is not running
	@$(LOCAL) up

down: ## stop the embedded stack; its data stays
	@if [ -e .venv/ready ]; then $(LOCAL) down; else echo "Nothing was set up here, so nothing runs."; fi

status: ## say how each process of the stack is
	@if [ -e .venv/ready ]; then $(LOCAL) status; else echo "Nothing was set up here. Start with: make up"; exit 1; fi

trigger: setup ## CATALOGUE=m5 [AS_OF=2016-05-22] [SKUS=...] [FORCE=1] [DRY_RUN=1]: retrain a catalogue and watch it
	@$(if $(CATALOGUE),,echo "Which catalogue? For example: make trigger CATALOGUE=demo" >&2; exit 1;) \
	$(CLI) trigger --catalogue $(call quoted,$(CATALOGUE)) $(if $(AS_OF),--as-of $(call quoted,$(AS_OF))) \
	$(if $(SKUS),--skus $(call quoted,$(SKUS))) $(if $(FORCE),--force) $(if $(DRY_RUN),--dry-run)

import: setup ## CATALOGUE=m5 FROM=file-or-folder [STORES=CA_1,CA_2]: put a catalogue's data on S3
	@$(if $(CATALOGUE),,echo "Which catalogue? For example: make import CATALOGUE=m5 FROM=m5.zip" >&2; exit 1;) \
	$(CLI) import --catalogue $(call quoted,$(CATALOGUE)) $(if $(FROM),--from $(call quoted,$(FROM))) \
	$(if $(STORES),--stores $(call quoted,$(STORES)))

backfill: setup ## CATALOGUE=m5 FROM=2016-03-06 TO=2016-04-24 [EVERY=7] [SKUS=...] [AGAIN=1]: retrain as of past dates, one by one
	@$(if $(and $(CATALOGUE),$(FROM),$(TO)),,echo "For example: make backfill CATALOGUE=m5 FROM=2016-03-06 TO=2016-04-24 EVERY=7" >&2; exit 1;) \
	$(CLI) backfill --catalogue $(call quoted,$(CATALOGUE)) --from $(call quoted,$(FROM)) --to $(call quoted,$(TO)) \
	$(if $(EVERY),--every $(call quoted,$(EVERY))) $(if $(SKUS),--skus $(call quoted,$(SKUS))) $(if $(AGAIN),--again)

scorecard: setup ## CATALOGUE=m5 [SVG=file]: what the forecasts of past dates turned out to be worth
	@$(if $(CATALOGUE),,echo "Which catalogue? For example: make scorecard CATALOGUE=m5" >&2; exit 1;) \
	$(CLI) scorecard --catalogue $(call quoted,$(CATALOGUE)) $(if $(SVG),--svg $(call quoted,$(SVG)))

check: setup-dev ## lint, formatting, types and layering
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports

format: setup-dev ## format the code and mend what ruff can mend
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

# Tests of different files run side by side, those first that need a whole platform: they take longest and wait most.
test: setup-dev ## the whole test suite [ARGS='-k name']
	@$(PY) -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadfile --no-loadscope-reorder tests/dags tests/integration tests/unit)

lock: setup ## resolve the *.in files into requirements*.txt again [UPGRADE=1]
	@for name in requirements requirements-dev requirements-s3 requirements-rivals; do \
	  $(PY) -m uv pip compile --quiet --python-version 3.11 --custom-compile-command "make lock" \
	    $(if $(UPGRADE),--upgrade) $$name.in -o $$name.txt || exit 1; \
	done

# One thread per process: two workers share the machine. Freed memory goes back to the system at once (glibc).
bench-accuracy: setup ## M5=zip-or-folder ORIGIN=2016-04-24 OUT=forecasts.parquet [CANDIDATES=...] [SELECT=1] [ITEMS=100]: forecast all of M5
	@$(if $(and $(M5),$(ORIGIN),$(OUT)),,echo "For example: make bench-accuracy M5=m5.zip ORIGIN=2016-04-24 OUT=forecasts.parquet" >&2; exit 1;) \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MALLOC_TRIM_THRESHOLD_=1000000 $(PY) -m benchmarks.accuracy --m5 $(call quoted,$(M5)) \
	--origin $(call quoted,$(ORIGIN)) --out $(call quoted,$(OUT)) \
	$(if $(CANDIDATES),--candidates $(call quoted,$(CANDIDATES))) $(if $(SELECT),--select) $(if $(ITEMS),--items $(call quoted,$(ITEMS)))

bench-rivals: setup .venv-rivals/ready ## [M5=zip-or-folder] [RETAIL=online-retail-zip] [SKUS=300] [KEEP=folder]: accuracy and CPU beside other tools
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.rivals $(if $(M5),--m5 $(call quoted,$(M5))) \
	$(if $(RETAIL),--retail $(call quoted,$(RETAIL))) $(if $(SKUS),--skus $(call quoted,$(SKUS))) $(if $(KEEP),--keep $(call quoted,$(KEEP)))

bench-fleet: setup ## SKUS=1000 [RUNS=first,next_day,unchanged,unchanged_later] [DAILY=28] [VERSIONS=5] [KEEP=1]: a run end to end, beside other loops
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.fleet --skus $(call quoted,$(or $(SKUS),1000)) \
	$(if $(RUNS),--runs $(call quoted,$(RUNS))) $(if $(DAILY),--daily $(call quoted,$(DAILY))) \
	$(if $(VERSIONS),--versions $(call quoted,$(VERSIONS))) $(if $(KEEP),--keep)

bench-m5-fleet: setup ## M5=zip-or-folder [KEEP=1]: the whole of M5 end to end
	@$(if $(M5),,echo "For example: make bench-m5-fleet M5=m5.zip" >&2; exit 1;) \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.fleet --m5 $(call quoted,$(M5)) $(if $(KEEP),--keep)

bench-backfill: setup ## M5=zip-or-folder [STORES=CA_1] [DATES=8] [EVERY=7] [SKUS='FOODS_1_*'] [SVG=file] [KEEP=1]: the scorecard of past dates
	@$(if $(M5),,echo "For example: make bench-backfill M5=m5.zip STORES=CA_1 DATES=8 EVERY=7" >&2; exit 1;) \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.backfill --m5 $(call quoted,$(M5)) \
	$(if $(STORES),--stores $(call quoted,$(STORES))) $(if $(DATES),--dates $(call quoted,$(DATES))) \
	$(if $(EVERY),--every $(call quoted,$(EVERY))) $(if $(SKUS),--skus $(call quoted,$(SKUS))) \
	$(if $(SVG),--svg $(call quoted,$(SVG))) $(if $(KEEP),--keep)

bench-gating: setup ## M5=zip-or-folder [STORE=CA_1] [DATES=8] [EVERY=7] [ITEMS=100] [SVG=file]: what the SKU gate is worth
	@$(if $(M5),,echo "For example: make bench-gating M5=m5.zip" >&2; exit 1;) \
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.gating --m5 $(call quoted,$(M5)) \
	$(if $(STORE),--store $(call quoted,$(STORE))) $(if $(DATES),--dates $(call quoted,$(DATES))) \
	$(if $(EVERY),--every $(call quoted,$(EVERY))) $(if $(ITEMS),--items $(call quoted,$(ITEMS))) \
	$(if $(SVG),--svg $(call quoted,$(SVG)))

bench-rollback: setup ## [SKUS=10000] [KEEP=1]: take a release back, timed, and killed half-way
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m benchmarks.rollback --skus $(call quoted,$(or $(SKUS),10000)) $(if $(KEEP),--keep)

chaos: setup-dev ## [SEED=1] [FAULTS=chunk_killed,...]: break a platform of its own in every way, and see what is left
	@$(PY) -m tests.chaos --seed $(call quoted,$(or $(SEED),1)) $(if $(FAULTS),--faults $(call quoted,$(FAULTS)))

clean: down ## remove environments and caches; the data in .local stays
	@rm -rf .venv .venv-s3 .venv-rivals .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find include dags plugins tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# -- set-up: done again only when a requirements file changed ----------------------------------------------------------

setup: .venv/ready .venv-s3/ready
	@:

setup-dev: .venv/ready-dev .venv-s3/ready
	@:

.venv/ready: requirements.txt
	@$(call build,.venv,requirements.txt,Installing the packages (a minute or two the first time) ...)

# Development packages join the same environment; what is listed in requirements.txt stays as it is.
.venv/ready-dev: requirements.txt requirements-dev.txt
	@$(call build,.venv,requirements.txt requirements-dev.txt,Installing the packages for development ...)
	@touch .venv/ready .venv/ready-dev

# The S3 server pins a botocore of its own, hence its own environment.
.venv-s3/ready: requirements-s3.txt
	@$(call build,.venv-s3,requirements-s3.txt,Installing the S3 server ...)

# What the benchmark compares with. StatsForecast needs an older pandas than ours, hence an environment of its own.
.venv-rivals/ready: requirements-rivals.txt
	@$(call build,.venv-rivals,requirements-rivals.txt,Installing the tools to compare with ...)

# $(1) environment, $(2) requirements files, $(3) what to say. One set-up at a time: a second `make` waits for the first.
define build
	set -e; \
	if command -v flock >/dev/null 2>&1; then exec 9<.; flock 9; fi; \
	files="$(2)"; \
	if [ -e $(1)/ready-dev ]; then files="requirements.txt requirements-dev.txt"; fi; \
	if ! $(1)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	  $(find-python) \
	  $(check-disk) \
	  rm -rf $(1); \
	  "$$python" -m venv $(1) || { \
	    rm -rf $(1); \
	    echo "$$python cannot make virtual environments. On Debian or Ubuntu: apt install python3.11-venv" >&2; exit 1; }; \
	fi; \
	echo "$(3)"; \
	log=$(1)/setup.log; \
	sync() { \
	  "$(1)/bin/python" -m pip install --quiet --disable-pip-version-check uv==$(UV) \
	  && "$(1)/bin/python" -m uv pip sync --quiet --python "$(1)/bin/python" $$files; \
	}; \
	plain() { \
	  echo "uv did not work here; pip takes longer ..."; \
	  "$(1)/bin/python" -m pip install --quiet --disable-pip-version-check \
	    $$(for file in $$files; do echo "-r $$file"; done) >>"$$log" 2>&1; \
	}; \
	sync >"$$log" 2>&1 || plain || { \
	  tail -n 5 "$$log" >&2; \
	  echo "The packages could not be installed (log: $$log). Check the network and the disk, then run make again." >&2; \
	  exit 1; }; \
	touch $(1)/ready
endef

define find-python
	python=; \
	  for candidate in $(PYTHON) python3.11 python3 python; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then \
	      python=$$candidate; break; \
	    fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "Python 3.11 is needed and was not found. Debian: apt install python3.11 python3.11-venv;" \
	         "elsewhere: uv python install 3.11, or pyenv install 3.11; then: make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi;
endef

define check-disk
	if [ "$$(df -Pk . | awk 'NR == 2 { print int($$4 / 1048576) }')" -lt 4 ]; then \
	    echo "Less than 4 GiB are free here; the packages and the demo need that much. Free some, then run make again." >&2; \
	    exit 1; \
	  fi;
endef
