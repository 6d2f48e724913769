# `make demo` and `make test` need Python 3.11+ and make; each sets up what it needs in .venv.
.PHONY: demo lab test lint test-containers acceptance bench bench-peers notebooks picture clean
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
METADATA := pyproject.toml setup.py
WORKERS ?= 2
# The build for processors: others take several gigabytes. `TORCH=` leaves its tests out.
TORCH ?= torch==2.13.0+cpu
NBVAL := -p nbval --nbval-lax --nbval-cell-timeout=120 --nbval-sanitize-with notebooks/sanitize.cfg

demo: $(VENV)/.for-demo
	$(BIN)/nbdeploy demo

lab: $(VENV)/.for-demo
	$(BIN)/nbdeploy lab

# Whoever reads the course in Chinese tests it in English.
test acceptance: export NBDEPLOY_LANG = en

test: $(VENV)/.for-test lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile
	$(BIN)/pytest $(NBVAL) -n $(WORKERS) --dist loadfile notebooks

lint: $(VENV)/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A Docker engine of its own in build/engine, as root, with `apt-get install docker.io mmdebstrap`; or
# the one that DOCKER_HOST names. Where there is none the tests are skipped and say so.
ENGINE := build/engine
WITH_ENGINE = tests/containers/engine/run.sh $(ENGINE) $(BIN)/python
test-containers: $(VENV)/.for-test
	$(WITH_ENGINE) $(BIN)/pytest -n 2 --dist loadfile -rs -m 'containers and not acceptance' tests/containers

acceptance: $(VENV)/.for-test $(VENV)/.for-torch
	$(WITH_ENGINE) $(BIN)/pytest -m acceptance -rs

# Each compares in one run; `make bench BENCH=--write` also writes the figures into benchmarks/README.md.
bench: $(VENV)/.for-test
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/bench.py $(BENCH)
	$(BIN)/python benchmarks/busy_cell.py $(filter --quick,$(BENCH))
	$(BIN)/python benchmarks/formats.py $(filter --write,$(BENCH))
	$(BIN)/python benchmarks/profile_request.py $(filter --write,$(BENCH))
	$(BIN)/python benchmarks/ensemble.py
	$(BIN)/python benchmarks/dashboard.py $(filter --write,$(BENCH))
	$(BIN)/python benchmarks/monitor_cost.py $(filter --write --strict,$(BENCH))

bench-peers: $(VENV)/.for-test
	$(BIN)/python benchmarks/peers.py $(BENCH)

notebooks: $(VENV)/.for-test
	$(BIN)/python notebooks/build.py

# The pictures in the README, of a real JupyterLab in Chromium.
picture: $(VENV)/.for-test
	$(BIN)/pytest tests/browser/test_readme_picture.py tests/browser/test_dashboard.py -k "fits or Light"
	$(BIN)/python -c "from PIL import Image; \
	  [Image.open(f'build/screenshots/{shot}.png').convert('RGB').quantize(256, method=2).save(f'docs/{name}.png', optimize=True) \
	    for shot, name in (('readme', 'card'), ('dashboard-light', 'dashboard'))]"

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The stamps are older than the metadata when a dependency changed: then, and only then, pip runs again.
$(VENV)/.for-demo: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[notebooks]'
	touch $@

$(VENV)/.for-test: $(METADATA) | $(VENV)/.created
	$(BIN)/python -m pip install --quiet --editable '.[notebooks,test]'
	touch $@ $(VENV)/.for-demo

# Only here, because it is most of a gigabyte; without it the acceptance tests say what they skip.
$(VENV)/.for-torch: | $(VENV)/.for-test
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH) || echo 'PyTorch could not be installed: its tests are skipped')
	touch $@

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo 'nbdeploy needs Python 3.11 or newer with its module venv (Debian,' \
	  'Ubuntu: apt install python3-venv); or set PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@
