# make demo   draw a gallery (or PICS=folder), embed, index, search and show it
# make test   everything that must hold; `make bench` measures (bench-large: millions of vectors), `make soak` breaks things for longer
# make builtin-data builtin-train builtin-eval   the built-in encoder's weights, PICTURES=folder of photographs
PYTHON ?= python3
PICTURES ?= ../shared/data/pictures
BUILTIN_WORK ?= builtin-training
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

TRAINING = $(BIN)/python -m mmr.encoders.builtin.training --work $(BUILTIN_WORK) --photographs $(PICTURES)

.PHONY: demo test lint docs bench bench-large soak clean builtin-data builtin-train builtin-eval

demo: .venv/run
	@PATH="$(CURDIR)/$(BIN):$$PATH" PICS="$(PICS)" bash mmr/demo/tour.sh demo

test: lint
	$(BIN)/python -m pytest -q -n auto --dist loadfile

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

bench-large: .venv/test
	$(BIN)/python -m pytest -q -s -m large tests/benchmarks/test_large.py tests/benchmarks/test_plan.py

soak: .venv/test
	$(BIN)/python -m pytest -q -m soak

builtin-data: .venv/train
	$(TRAINING) fetch text languages draw samples

builtin-train: .venv/train
	$(TRAINING) tune photographs export

builtin-eval: .venv/train
	$(TRAINING) measure
	cp $(BUILTIN_WORK)/measured/figures.jsonl man/builtin.jsonl

.venv/run: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/test: .venv/run
	$(PIP) torch
	$(PIP) -e '.[clip,dev]'
	@touch $@

.venv/train: .venv/test
	$(PIP) -e '.[train]'
	@touch $@

clean:
	rm -rf .venv demo build dist
