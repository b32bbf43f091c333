# Two commands for a newcomer: `make demo` and `make test`. Each sets up what it needs in .venv.
PYTHON ?= python3
VENV ?= .venv
PHOTO ?= examples/astronaut.jpg
BIN := $(VENV)/bin
.PHONY: demo test lint types imports unit data bench-identity bench-action-units bench-speed train-sight schema clean

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

# The embedded vision-language model from labelled photos alone: some hours on two cores with AVX-512, else PRECISION=no.
DATA ?= ../shared/data
WORK ?= build/sight
PRECISION ?= bf16
TRAIN := $(BIN)/python -m facewitness.finetune
train-sight:
	for kind in nearest transposed shuffle; do \
	  $(TRAIN).autoencoder --data $(DATA) --out $(WORK)/ae/$$kind --set kind=$$kind || exit; done
	$(TRAIN).forgery_set --data $(DATA) --out $(WORK)/forgeries --autoencoders $(WORK)/ae/nearest $(WORK)/ae/transposed $(WORK)/ae/shuffle
	$(TRAIN).vlm_tower --data $(DATA) --forgeries $(WORK)/forgeries --cache $(WORK)/cache --out $(WORK)/tower
	$(TRAIN).data --data $(DATA) --out $(WORK)/data/expression --engine expression --limit 2600 --seed 22
	$(TRAIN).data --data $(DATA) --out $(WORK)/data/forgery --engine forgery --limit 2200 --seed 20
	$(TRAIN).data --data $(DATA) --out $(WORK)/data/attributes --engine attributes --limit 600 --seed 23
	$(TRAIN).data --data $(DATA) --out $(WORK)/data/reference --engine reference --limit 700 --seed 21
	$(TRAIN).data.short --out $(WORK)/short --whole 0.05 \
	  --sets $(addprefix $(WORK)/data/,expression forgery attributes reference)
	$(TRAIN).vlm.words --data $(WORK)/short --out $(WORK)/words --set tower=$(WORK)/tower/tower
	$(TRAIN).vlm --recipe embedded --data $(WORK)/short --out $(WORK)/run \
	  --set tower=$(WORK)/tower/tower --set projector=$(WORK)/words --set precision=$(PRECISION)
	$(TRAIN).vlm.ship --run $(WORK)/run --out $(WORK)/ship

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
