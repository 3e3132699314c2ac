PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
DATA ?= ../shared/data
SEED ?= 0
TOWERS := var/runs/demo-$(SEED)
FEATURES := $(shell sed -n 's/^FEATURES = \([0-9]*\).*/\1/p' models/ranking_features.py)
DEMO := $(TOWERS)-ranked-$(FEATURES)
DEMO_MODERATION := var/runs/demo-moderation

.PHONY: help setup demo serve stop train test lint check format bench clean
help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

setup: $(STAMP)  ## .venv with everything
$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[train,dev]"
	touch $@

demo: $(DEMO) $(DEMO_MODERATION) var/demo/events.jsonl  ## train, publish, serve, print feeds and verdicts
	@$(MAKE) -s stop
	$(PY) -m training.publish --bundle $(DEMO)
	$(PY) -m training.publish --bundle $(DEMO_MODERATION)
	$(PY) -m serving.demo --events var/demo/events.jsonl

$(DEMO_MODERATION): | $(STAMP)
	$(PY) -m training.demo_moderation --out $@

$(DEMO): | $(TOWERS)
	$(PY) -m training.train_ranker --bundle $(TOWERS) --dataset simulator --out $@

$(TOWERS): | $(STAMP)
	$(PY) -m training.train_two_tower --dataset simulator --seed $(SEED) --out $@

var/demo/events.jsonl: | $(STAMP)
	$(PY) -m training.demo_events --seed $(SEED) --out $@

serve: setup  ## serve the published bundle, in the foreground
	$(PY) -m serving

stop:  ## end the demo's server
	@if [ -f var/server.pid ]; then kill -TERM $$(cat var/server.pid) 2>/dev/null && \
	  while kill -0 $$(cat var/server.pid) 2>/dev/null; do sleep 0.2; done; rm -f var/server.pid; fi

train: setup  ## DATASET=kuairand DATA=folder: train a bundle into var/runs
	$(PY) -m training.train_two_tower --dataset $(DATASET) --data $(DATA) --seed $(SEED) \
	  --out var/runs/$(DATASET)-$(SEED)

test: setup  ## the whole test suite
	$(PY) -m pytest

lint: setup  ## format, lint, types, dependency rules
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-cache

check: lint test  ## everything that must hold before a change lands

format: setup  ## put right what can be put right by itself
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: setup  ## the first benchmarks, one JSON object each
	@for name in index_search feed_core feed_http; do $(PY) -m tests.benchmarks.$$name || exit 1; done

clean:  ## remove what was trained, logged and stored
	rm -rf var
