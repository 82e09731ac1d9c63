# Everything lands in .venv; set-up needs Python >= 3.11 and a network.
#
#   make demo                 a clip of our own, reconstructed and compared with its truth
#   make demo VIDEO=my.mp4    the same for a video of yours (OUT=folder says where to)
#   make test                 format, lint, types, tests
#
# TORCH_INDEX=https://download.pytorch.org/whl/cpu make demo   takes the CPU-only torch on Linux (200 MB instead of 3 GB).

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
TORCH ?= torch==2.13.0
OUT ?=
WORKERS ?= 2
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: demo setup test test-slow test-browser lint format clean

demo: .venv/.installed
	$(BIN)/python -m diorama demo $(if $(VIDEO),"$(VIDEO)") $(if $(OUT),--out "$(OUT)")

setup: .venv/.installed

# torch: one that the environment (or the Python that it is made from) has is kept; else it comes from TORCH_INDEX, if set.
.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: https://www.python.org/downloads/"; exit 1; }
	@test -x $(BIN)/python || { echo "creating .venv with $(PYTHON)"; \
		if $(PYTHON) -c 'import torch' 2>/dev/null; then $(PYTHON) -m venv --system-site-packages .venv; \
		else $(PYTHON) -m venv .venv; fi; }
	@echo "installing into .venv: about 260 MB to download, and torch (CPU-only 200 MB, with CUDA 3 GB) where it is not installed"
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
		$(PIP) install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH)"
	@$(PIP) install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

test: lint
	$(BIN)/python -m pytest -q -n $(WORKERS)

test-slow: .venv/.installed
	$(BIN)/python -m pytest -q -m slow

test-browser: .venv/.installed
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		if command -v apt-get >/dev/null && test "$$(id -u)" = 0; then apt-get update -q && apt-get install -q -y chromium; \
		else echo "no Chromium here: install it (Debian: sudo apt-get install chromium); its tests are skipped"; fi
	$(BIN)/python -m pytest -q -m browser

lint: .venv/.installed
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/pyright

format: .venv/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .pytest_cache .ruff_cache build dist demo_out
	find src tests -name __pycache__ -type d -exec rm -rf {} +
