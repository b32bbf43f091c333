# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
VENV ?= .venv
PHOTO ?= examples/astronaut.jpg
BIN := $(VENV)/bin
.PHONY: demo test lint types imports unit data bench-identity bench-action-units bench-speed schema clean

demo: $(VENV)/.installed
	$(BIN)/facewitness examine examples/astronaut.jpg

test: $(VENV)/.installed-dev lint types imports unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	mkdir -p build/types && ln -sfn ../.. build/types/facewitness
	MYPYPATH=build/types $(BIN)/mypy -p facewitness

imports:
	$(BIN)/lint-imports

unit:
	$(BIN)/pytest -m "not data"

data: $(VENV)/.installed-dev
	$(BIN)/pytest -m data

bench-identity: $(VENV)/.installed-dev
	$(BIN)/python -m facewitness.evals.identity --data ../shared/data --out evals/results/identity.json
	$(BIN)/python -m facewitness.evals.reference_verdict --data ../shared/data --out evals/results/reference_verdict.json

bench-action-units: $(VENV)/.installed-dev
	$(BIN)/python -m facewitness.evals.action_units --data ../shared/data --out evals/results/action_units.json

bench-speed: $(VENV)/.installed-dev
	$(BIN)/python -m facewitness.evals.speed --photo $(PHOTO) --out evals/results/speed.json

schema: $(VENV)/.installed
	$(BIN)/facewitness schema > docs/verdict.schema.json

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
