# make run    install what the console needs (first time: some 8 GB), then start it; arguments: make run ARGS="--port 9000"
# make test   install what the tests need too, then run everything
# make lock   write constraints.txt anew from the requirements

SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: run test check install install-internlm2 install-dev lock clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv
export UV_LINK_MODE ?= hardlink
# Certificates that the machine trusts: schools and companies often add their own.
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
INSTALL = $(UV) pip install --quiet --python

run: install install-internlm2
	@$(BIN)/python app.py $(ARGS)

test: install-dev install-internlm2 check
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Style and types
check: install-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

install: .venv/.installed
install-internlm2: .venv-internlm2/.installed
install-dev: .venv/.installed-dev

$(UV):
	@bash assets/setup/make_venv.sh "$(PYTHON)" .venv

.venv/.installed: requirements.txt constraints.txt | $(UV)
	@echo "Installing the console's environment into .venv (some 8 GB the first time) …"
	@$(INSTALL) $(BIN)/python -r requirements.txt -c constraints.txt
	@touch $@

.venv-internlm2/.installed: requirements-internlm2.txt .venv/.installed
	@echo "Installing the second environment, for InternLM2's own code, into .venv-internlm2 …"
	@[ -x .venv-internlm2/bin/python ] || $(UV) venv --quiet --python $(BIN)/python .venv-internlm2
	@$(INSTALL) .venv-internlm2/bin/python -r requirements-internlm2.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@$(INSTALL) $(BIN)/python -r requirements-dev.txt -c constraints.txt
	@bash assets/setup/find_chromium.sh
	@touch $@

lock: | $(UV)
	@bash assets/setup/lock.sh $(UV)

clean:
	rm -rf .venv .venv-internlm2 .mypy_cache .ruff_cache .pytest_cache
