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
.PHONY: help setup demo up env test check bench lock

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: .venv/.installed ## make .venv with everything pinned

demo: .venv/.installed-demo ## real photographs through a real Airflow: change, new model, proof, rollback; then stop
	@$(BIN)/python demo/run.py

up: .venv/.installed ## serve the Airflow UI with these DAGs until Ctrl-C
	@$(BIN)/python demo/up.py

env: ## write .env with fresh secrets for docker-compose.yaml; refuses to overwrite one
	@$(PYTHON) deploy/make_env.py

test: .venv/.installed-dev .venv/.installed-demo ## run every test
	$(BIN)/python -m pytest

check: .venv/.installed-dev ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

BENCHMARKS := 'throughput --large' fit quality memory scale pages search predict retraining decisions 'decisions --replay'

bench: .venv/.installed-demo ## measure speed, accuracy and memory, peers side by side (two hours and more)
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

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/python -m pip install -qq -r requirements-dev.txt
	@touch $@

# "+cpu" and the like say which build of a release this machine has; the lock names the release.
PINS = $(LOCK)/bin/python -m pip freeze | sed 's/+[a-z0-9.]*$$//'
LOCK := build/lock

lock: ## pin requirements*.txt anew from the .in files
	rm -rf $(LOCK) && $(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install -qq -r requirements.in
	(echo '# Made by `make lock` from requirements.in.'; $(PINS)) > requirements.txt
	$(LOCK)/bin/python -m pip install -qq -r requirements-demo.in
	(echo '# Made by `make lock` from requirements-demo.in.'; echo '-r requirements.txt'; \
	 $(PINS) | grep -vxFf requirements.txt) > requirements-demo.txt
	$(LOCK)/bin/python -m pip install -qq -r requirements-dev.in
	(echo '# Made by `make lock` from requirements-dev.in.'; echo '-r requirements.txt'; \
	 $(PINS) | grep -vxFf requirements.txt | grep -vxFf requirements-demo.txt) > requirements-dev.txt
	rm -rf $(LOCK)
