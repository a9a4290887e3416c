# What a newcomer types: `make demo`, `make test`. Each target makes its own .venv; nothing is installed elsewhere but,
# where none is found, a browser (Debian: the package chromium-headless-shell; otherwise Playwright's own download).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BROWSER := $(VENV)/.browser
CODE := policies supervisors scorewise_actors tests bench

.PHONY: help demo test check coverage bench format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    scrape the built-in site, kill a browser in mid-run, print the report"
	@echo "make test    run the test suite"
	@echo "make check   format, lint, types, import contracts"
	@echo "make coverage  every branch of policies is tested"
	@echo "make bench   what it costs, side by side with bare threads, stock Pykka and a bare Playwright loop"

demo: $(READY) $(BROWSER)
	$(BIN)/scorewise demo $(ARGS)

test: $(READY) $(BROWSER)
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: $(READY)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) $(BROWSER)
	$(BIN)/python -m bench $(ARGS)

# Every decision is pure, so no branch of one has an excuse; without mutants and browsers it takes seconds.
coverage: $(READY)
	$(BIN)/coverage run -m pytest -q tests/policies -k "not planted and not chromium"
	$(BIN)/coverage report

format: $(READY)
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean:
	rm -rf demo-results.jsonl $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo missing)."; \
	  echo "Install it, or name another one: make PYTHON=python3.12 ..."; exit 5; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module does not work here; on Debian: apt-get install python3-venv"; exit 5; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[terminal]' --group dev
	@touch $@

$(BROWSER): $(READY)
	$(BIN)/scorewise doctor --install
	@touch $@
