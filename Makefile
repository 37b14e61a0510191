# `make` alone lists the targets. Each does its own set-up; that is quick when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit engine wheel docs bench venv clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## see thinkctl work on this machine, with a real model
	@.venv/bin/thinkctl demo

test: venv ## every check there is, quick ones first
	@tools/check.sh

lint: venv ## style and layers
	@tools/check.sh lint imports

types: venv ## mypy and pyright
	@tools/check.sh types

unit: venv ## tests that need no engine, and the pages and examples
	@tools/check.sh unit evals worker pages

engine: venv ## tests on a real engine
	@tools/check.sh engine

wheel: venv ## build the wheel, install it elsewhere and test it there
	@tools/check.sh wheel

docs: venv ## the documentation, in site/
	@tools/check.sh docs

bench: venv ## how long the hot paths take, and what the loop costs on the real engine
	@.venv/bin/python -m pytest --benchmark-enable --benchmark-only
	@.venv/bin/python tests/benchmarks/throughput.py
	@.venv/bin/python -m tests.benchmarks.engines

venv: ## create or renew .venv
	@tools/setup.sh

clean: ## remove what was built (.venv stays)
	@rm -rf site build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	@find thinkctl strategies evals tests -name __pycache__ -type d -prune -exec rm -rf {} +
