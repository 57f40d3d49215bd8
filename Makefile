# Everything a person types. Set-up happens by itself and is quick when nothing changed.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

VENV := .venv
PYTHON_BIN := $(VENV)/bin/python
AGENT := $(VENV)/agent.stamp
DEV := $(VENV)/dev.stamp
# What every environment follows from.
SOURCES := $(PYTHON_BIN) requirements/build.txt pyproject.toml natobs/__init__.py scripts/venv.sh

# Debian keeps ip, nft and conntrack where an ordinary user's PATH does not look; .tools holds what scripts/programs.sh fetched.
export PATH := $(CURDIR)/.tools/bin:$(PATH):/usr/sbin:/sbin

.PHONY: help up down test check lint format bench bench-flows bench-probes bench-added bench-fleet selffaults mutants lab gameday soak generate lock clean programs

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(AGENT) ## Run agent and probes in the background, and say where; ARGS="--probes FILE" names your own probes.
	@$(VENV)/bin/natobs up $(ARGS)

down: ## Stop that agent.
	@if [ -x $(VENV)/bin/natobs ]; then $(VENV)/bin/natobs down; fi

# Two at a time, since most of a test is waiting, and file by file in order, the long ones first.
test: programs $(DEV) ## Run all tests, those in network namespaces too; ARGS="-k name" chooses.
	@$(PYTHON_BIN) -m pytest --durations=10 $(or $(ARGS),-m "not alone" -n 2 --dist loadfile --no-loadscope-reorder)
	@$(if $(ARGS),,$(PYTHON_BIN) -m pytest -m alone)

check: $(DEV) ## Lint, types, layers, sizes, and freshness of generated files.
	@$(PYTHON_BIN) scripts/check.py

lint: $(DEV) ## The quick part of check.
	@$(PYTHON_BIN) scripts/check.py --only ruff --only format --only length

format: $(DEV) ## Format the code, and mend what ruff can mend safely.
	@$(PYTHON_BIN) scripts/check.py --mend

bench: programs $(DEV) ## Compare the agent with node_exporter, in the lab.
	@$(PYTHON_BIN) -m benchmarks.agent $(ARGS)

bench-flows: programs $(DEV) ## Compare the flow census with conntrack -L and the kernel floor, and what accounting costs, in the lab.
	@$(PYTHON_BIN) -m benchmarks.flows $(ARGS)
	@$(PYTHON_BIN) -m benchmarks.accounting

bench-probes: $(DEV) ## Compare the probes with other probers and with the truth, in the lab; ARGS=--quick in a minute.
	@bash scripts/programs.sh bench
	@$(PYTHON_BIN) -m benchmarks.probes $(ARGS)

bench-added: programs $(DEV) ## Compare the time that the NAT adds, as natobs says it, with the truth; ARGS=--quick in two minutes.
	@$(PYTHON_BIN) -m benchmarks.added $(ARGS)
	@$(PYTHON_BIN) -m benchmarks.taps

mutants: programs $(DEV) ## Make every rule wrong in every way, and see whether its promtool tests notice.
	@$(PYTHON_BIN) -m tests.mutation $(ARGS)

bench-fleet: programs $(DEV) ## What rules and dashboards cost one Prometheus that watches 10, 100, 1000 NATs; ARGS=--quick in ten minutes.
	@$(PYTHON_BIN) -m benchmarks.fleet $(ARGS)

selffaults: programs $(DEV) ## Kill, stop, flood and starve natobs itself in the lab; ARGS="--quick" or names.
	@$(VENV)/bin/natobs lab selftest $(ARGS)

lab: programs $(DEV) ## Build a NAT in network namespaces, with traffic and the agent; ends with Ctrl-C.
	@$(VENV)/bin/natobs lab demo

gameday: programs $(DEV) ## Break a NAT in every way and see what reaches the pager, an hour; ARGS="--jobs 2" in half of it, --quick in ten minutes.
	@$(VENV)/bin/natobs lab gameday --html gameday.html $(ARGS)

soak: programs $(DEV) ## Ordinary noise for a quarter of an hour, of which nobody must be told.
	@$(VENV)/bin/natobs lab soak $(ARGS)

generate: $(DEV) ## Write the files that follow from the catalogue.
	@$(VENV)/bin/natobs generate all

lock: $(DEV) ## Write requirements/*.txt anew; ARGS=--upgrade takes the newest versions.
	@bash scripts/lock.sh $(ARGS)

clean: ## Stop the agent, and remove the environment and all caches.
	-@$(MAKE) down
	@rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .grimp_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

programs:
	@bash scripts/programs.sh

$(PYTHON_BIN):
	@bash scripts/venv.sh create

$(AGENT): $(SOURCES) requirements/agent.txt
	@bash scripts/venv.sh install requirements/agent.txt requirements/build.txt
	@touch $@

$(DEV): $(SOURCES) requirements/dev.txt
	@bash scripts/venv.sh install requirements/dev.txt
	@touch $@
