# Two commands do everything on a fresh Debian or Ubuntu machine with Python 3.11+: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
XVFB := xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX"
LINT := $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

RUN := $(BIN)/spams

.DEFAULT_GOAL := help
.PHONY: help demo test docs catalogue lint format bench bench-gui fuzz model clean system system-headless

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

demo: system $(VENV)/.app  ## Install, open the window on the bundled recording and fit; results in out/demo
	@rm -rf out/demo
	@if [ -n "$$DISPLAY" ]; then $(BIN)/python -m app.demo --out out/demo; \
	else $(XVFB) $(BIN)/python -m app.demo --out out/demo --close; fi

test: system-headless $(VENV)/.dev  ## Install, then lint, types and the whole suite
	@status=0; { $(LINT); } || status=1; \
	$(XVFB) $(BIN)/python -m pytest || status=1; exit $$status

docs: $(VENV)/.dev  ## Build the documentation as a site in out/docs; any warning is an error
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going -d out/doctrees docs out/docs
	@echo "Open out/docs/index.html"

catalogue: $(VENV)/.dev  ## Write app/locale/studio.pot, the texts of the window for a translator
	$(BIN)/python -m app.catalogue

lint: $(VENV)/.dev  ## Style and types
	$(LINT)

format: $(VENV)/.dev  ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Time the hot paths
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only

bench-gui: system-headless $(VENV)/.dev  ## Measure how the window feels; some ten minutes, a minute with QUICK=1; parts with ONLY="scrub memory"
	$(XVFB) $(BIN)/python tests/benchmarks/bench_gui.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

FUZZED := record3d scannet ros_bag azure_kinect pc2 npz ply pcd

fuzz: $(VENV)/.dev  ## Break files of every binary format for SECONDS each (300); an input that fails stays in out/fuzz
	$(PIP) --editable '.[dev,synthetic,fuzz]'
	@mkdir -p out/fuzz; for format in $(FUZZED); do echo "$$format"; \
	    PYTHONPATH=. $(BIN)/python tests/fuzz_readers.py $$format -artifact_prefix=out/fuzz/ \
	    -max_total_time=$(or $(SECONDS),300) || exit 1; done

model: $(VENV)/.dev  ## Train the bundled model and the baseline anew into runs/; hours. CLIPS="a.bvh b.bvh" adds motions
	[ -d runs/subjects ] || $(RUN) generate --out runs/subjects --seed 0 $(if $(CLIPS),--motion $(CLIPS))
	[ -d runs/clouds ] || $(RUN) clouds runs/subjects --out runs/clouds --train 12000 --views-per-instance 2 --seed 0
	for network in shape parts pose; do \
	    $(RUN) train $$network --data runs/subjects --out runs/human || exit 1; done
	for network in segmenter encoder; do \
	    $(RUN) train $$network --data runs/clouds --out runs/human || exit 1; done
	for network in shape pose; do \
	    $(RUN) train $$network --data runs/subjects --out runs/one_part --one-part || exit 1; done
	$(RUN) train encoder --data runs/clouds --out runs/one_part --one-part

clean:  ## Remove what was built, not the environment and not your runs
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis *.egg-info
	find app spams_core tests -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@PYTHON=$(PYTHON) .ci/system_packages.sh

system-headless:
	@PYTHON=$(PYTHON) .ci/system_packages.sh --headless

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "$(PYTHON) is older than 3.11. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,synthetic]'
	@echo "Building the body model's cache, once"
	@$(BIN)/python -c 'from spams_core.data.synthetic_bodies import BodyGenerator; BodyGenerator()'
	@touch $@ $(VENV)/.app
