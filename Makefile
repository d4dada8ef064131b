# Everything from a bare clone with Python 3.11 and make. `make help` lists the commands.
PYTHON ?= python3.11
BIN := .venv/bin
export NIGHTGLASS_HOME ?= $(CURDIR)/var
export PORT ?= 8080
# Nothing here reports to anybody.
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup demo drill up stack env sbom test test-stack test-faults check bench lock

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: .venv/.installed ## make .venv with everything pinned

demo: .venv/.installed-demo ## real photographs through a real Airflow: change, new model, proof, rollback; then stop
	@$(BIN)/python demo/run.py

drill: .venv/.installed-demo ## rehearse an incident: a lamp fades, a wrong model is promoted and rolled back; with times
	@$(BIN)/python demo/drill.py

up: .venv/.installed ## serve the Airflow UI with these DAGs until Ctrl-C
	@$(BIN)/python demo/up.py

stack: .venv/.installed-dev ## run the services of docker-compose.yaml on this machine without Docker, until Ctrl-C
	@$(BIN)/python -m deploy.native

env: ## write .env with fresh secrets for docker-compose.yaml; refuses to overwrite one
	@$(PYTHON) deploy/make_env.py

sbom: .venv/.installed ## list every package and container image of the stack with its version (CycloneDX)
	@$(BIN)/python deploy/sbom.py

# Two at a time: one waits for Airflow while the other computes. Libraries that start more threads than there are cores
# free would wait for each other most of the time.
TEST_WORKERS ?= 2

test: .venv/.installed-dev .venv/.installed-demo ## run every test; TEST_WORKERS=0 one after the other
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

test-stack: .venv/.installed-dev .venv/.installed-demo ## test the services of docker-compose.yaml together: PostgreSQL, Redis, S3, MLflow, two workers
	$(BIN)/python -m pytest tests/stack

test-faults: .venv/.installed-dev ## break the services of docker-compose.yaml in the middle of nights and compare these with a calm one
	$(BIN)/python -m pytest tests/faults

check: .venv/.installed-dev .venv/.installed-demo ## format, lint, types, and whether all packages fit each other
	$(BIN)/python -m pip check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

BENCHMARKS := 'throughput --large' fit quality memory scale pages search predict retraining s3_reads distributed decisions 'decisions --replay'

bench: .venv/.installed-dev .venv/.installed-demo ## measure speed, accuracy and memory, peers side by side (two hours and more)
	@failed=0; for benchmark in $(BENCHMARKS); do \
	  echo "== $$benchmark"; $(BIN)/python -m benchmarks.$$benchmark || failed=1; \
	done; exit $$failed

# A stamp file a step: newer than what it was installed from means that there is nothing to do.
.venv/.installed: requirements.txt requirements.in pyproject.toml
	@echo 'Installing into .venv (once; some minutes)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq -r requirements.txt
	$(BIN)/python -m pip install -qq --no-deps -e .
	@touch $@

.venv/.installed-demo: .venv/.installed requirements-demo.txt
	$(BIN)/python -m pip install -qq -r requirements-demo.txt
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-stack.txt requirements-dev.txt
	$(BIN)/python -m pip install -qq -r requirements-stack.txt -r requirements-dev.txt
	@touch $@

# "+cpu" and the like say which build of a release this machine has; the lock names the release.
PINS = $(LOCK)/bin/python -m pip freeze | sed 's/+[a-z0-9.]*$$//'
LOCK := build/lock

lock: ## pin requirements*.txt anew from the .in files
	rm -rf $(LOCK) && $(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install -qq -r requirements.in
	(echo '# Made by `make lock` from requirements.in.'; $(PINS)) > requirements.txt
	$(LOCK)/bin/python -m pip install -qq -r requirements-stack.in
	(echo '# Made by `make lock` from requirements-stack.in.'; echo '-r requirements.txt'; \
	 $(PINS) | grep -vxFf requirements.txt) > requirements-stack.txt
	$(LOCK)/bin/python -m pip install -qq -r requirements-demo.in
	(echo '# Made by `make lock` from requirements-demo.in.'; echo '-r requirements.txt'; \
	 $(PINS) | grep -vxFf requirements.txt | grep -vxFf requirements-stack.txt) > requirements-demo.txt
	$(LOCK)/bin/python -m pip install -qq -r requirements-dev.in
	(echo '# Made by `make lock` from requirements-dev.in.'; echo '-r requirements.txt'; \
	 $(PINS) | grep -vxFf requirements.txt | grep -vxFf requirements-stack.txt | grep -vxFf requirements-demo.txt) \
	 > requirements-dev.txt
	rm -rf $(LOCK)
