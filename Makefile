# Everything sets itself up: a virtual environment in .venv, made again when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench docs clean

.venv/demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo]'
	touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[demo,dev]'
	touch $@

demo: .venv/demo  ## the shop: brought up, tested, gone
	$(BIN)/envctl run shop -- $(BIN)/python -m pytest environments/shop/tests
	$(BIN)/envctl gc --images

test: .venv/dev lint  ## the whole suite; engines that are not here are skipped and named
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: .venv/dev  ## the generated pages, and the picture
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.picture

clean:
	rm -rf .venv dist build
