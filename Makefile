# make demo   draw a gallery (or PICS=folder), embed, index, search and show it
# make test   everything that must hold; `make bench` measures, `make soak` breaks things for longer
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs bench soak clean

demo: .venv/run
	@PATH="$(CURDIR)/$(BIN):$$PATH" PICS="$(PICS)" bash mmr/demo/tour.sh demo

test: lint
	$(BIN)/python -m pytest -q

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python man/generate.py --check

docs: .venv/test
	$(BIN)/python man/generate.py

bench: .venv/test
	$(BIN)/python -m pytest -q -s -m bench tests/benchmarks

soak: .venv/test
	$(BIN)/python -m pytest -q -m soak

.venv/run: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/test: .venv/run
	$(PIP) torch
	$(PIP) -e '.[clip,dev]'
	@touch $@

clean:
	rm -rf .venv demo build dist
