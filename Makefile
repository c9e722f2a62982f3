# Everything a newcomer needs: `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint bench soak docs clean

demo: .venv/.installed
	$(BIN)/jobman submit --follow -- sh -c 'echo hello from $$(hostname); ls -al /'

# Three at a time on two cores: the end-to-end tests wait for much of their time.
test: $(READY)
	$(BIN)/pytest -n 3 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/pytest tests/bench -m slow -s

soak: $(READY)
	$(BIN)/pytest tests/soak -m slow -s

docs: $(READY)
	$(BIN)/python -m jobman.cli.reference docs/commands.md
	$(BIN)/python -m jobman.config.schema settings/settings.schema.json
	$(BIN)/python -m jobman.config.reference docs/settings.md
	PYTHONPATH=tests $(BIN)/python -m plugins.replay_report docs/local-cluster.md

clean:
	rm -rf .venv build dist

.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jobman needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(READY): .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@
