# One short command per need; each makes what it stands on, and only what has changed.
#   make serve [ARGS="--port 18065 --data-dir DIR"]   run everything; Ctrl-C stops it
#   make test [ARGS="-k word"]                        every test, in the stages of tests/stages.py
#   make fast | lint | bench | docs | lock
#   make autobahn | chaos | fuzz | sanitize | soak    the long forms of what `make test` does briefly

SHELL := /bin/bash
PYTHON := .venv/bin/python
STAMPS := .venv/stamps
NODE := tests/conformance/node
BOTS := tests/conformance/bots
# Kept in the environment's folder, so that removing .venv starts afresh.
COMPILED_SOURCES := $(wildcard $(foreach folder,hotpath loadtest/swarm,$(addprefix $(folder)/,*.pyx *.pxd *.h))) \
	setup.py pyproject.toml

# Set to keep a tree clean, it makes every process compile every module again: 1.9 against 0.8 s CPU for the API.
unexport PYTHONDONTWRITEBYTECODE

# Node 18 or later of the machine, else the one that requirements-dev.lock brings.
ifneq ($(shell npm --version >/dev/null 2>&1 && node -p 'process.versions.node.split(".")[0] >= 18' 2>/dev/null),true)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
endif

.PHONY: serve test fast lint bench autobahn chaos fuzz sanitize soak docs lock build
.DELETE_ON_ERROR:

serve: build
	@exec $(PYTHON) -m tidewire serve $(ARGS)

test: build $(STAMPS)/dev $(STAMPS)/node $(STAMPS)/bots
	@$(PYTHON) -m tests.stages $(ARGS)

fast: build $(STAMPS)/dev
	@$(PYTHON) -m pytest -q tests/unit $(ARGS)

lint: build $(STAMPS)/dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	PATH="$(CURDIR)/.venv/bin:$$PATH" cython-lint hotpath loadtest
	.venv/bin/lint-imports --no-cache

bench: build $(STAMPS)/dev
	$(PYTHON) -m bench $(ARGS)

# All 216 of Autobahn's cases of compression: some ten minutes.
autobahn: build $(STAMPS)/dev
	$(PYTHON) -m tests.protocol.autobahn $(ARGS)

# Every fault twenty times, 5,000 edits, databases frozen for 30 s: some 15 minutes.
chaos: build $(STAMPS)/dev
	$(PYTHON) -m pytest -q tests/chaos --rounds 20 --timeout 3600 $(ARGS)

# The frame parser under generated inputs, ten minutes: ARGS="--seconds 3600" for more.
fuzz: build $(STAMPS)/dev
	$(PYTHON) -m tests.fuzz.fuzz $(ARGS)

# hotpath's tests and Autobahn's cases under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer.
sanitize: build $(STAMPS)/dev
	$(PYTHON) -m tests.fuzz.sanitize $(ARGS)

# 100,000 connections that come and go, then an hour of use and misuse: ARGS="--seconds 600" for less.
soak: build $(STAMPS)/dev
	$(PYTHON) -m tests.protocol.cycles 100000
	$(PYTHON) -m tests.soak.soak $(ARGS)

docs: build
	$(PYTHON) -m tidewire settings docs
	$(PYTHON) -m api.compatibility
	$(PYTHON) -m tidewire loadtest size --docs

# The newest versions that pyproject.toml allows, with hashes and without addresses.
LOCK := .venv/bin/uv pip compile --universal --python-version 3.11 \
	--upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
RUN := pyproject.toml --extra embedded --extra build
lock: $(STAMPS)/dev
	$(LOCK) $(RUN) --output-file requirements.lock
	$(LOCK) $(RUN) --extra dev --extra loadtest --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) $(BOTS)/requirements.in --output-file $(BOTS)/requirements.lock

build: $(STAMPS)/build

.venv/bin/python:
	@python=$$(.ci/prerequisites) && "$$python" -m venv .venv

$(STAMPS)/run: requirements.lock | .venv/bin/python
	@echo "installing what requirements.lock lists"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: $(STAMPS)/run $(COMPILED_SOURCES)
	@echo "building hotpath and swarm"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: requirements-dev.lock $(STAMPS)/run
	@echo "installing what requirements-dev.lock lists"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--use-pep517 --no-build-isolation -r requirements-dev.lock
	@touch $@

$(STAMPS)/node: $(NODE)/package-lock.json $(NODE)/package.json $(STAMPS)/dev
	@echo "installing the official JavaScript client"
	@cd $(NODE) && npm ci --silent --no-audit --no-fund
	@touch $@

# An environment of its own: mmpy_bot needs an httpx that is older than ours.
$(STAMPS)/bots: $(BOTS)/requirements.lock $(STAMPS)/run
	@echo "installing mmpy_bot"
	@$(PYTHON) -m venv --clear --without-pip .venv/bots
	@$(PYTHON) -m pip --python .venv/bots install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r $(BOTS)/requirements.lock
	@touch $@
