# Everything a user or a developer runs. `make help` lists it.
#
# PYTHON picks the interpreter (3.11 to 3.13); VENV the environment's folder.
VENV ?= .venv
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if $(shell $(p) -c "import sys; print((3,11) <= sys.version_info < (3,14) or '')" 2>/dev/null | grep True),$(p))))
BIN := $(VENV)/bin
CMAKE := $(BIN)/cmake
SOURCES := pyproject.toml CMakeLists.txt $(shell find src kernels web packaging -type f \
	-not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/__pycache__/*' -not -name '*.so' 2>/dev/null)

.PHONY: help run test test-clients lint sanitize bench bench-peers dev clean check-python
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check-python:
	@test -n "$(PYTHON)" || { echo "pagoda: no Python 3.11 to 3.13 was found; install one, or name it: make run PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { echo "pagoda: $(PYTHON) cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "pagoda: no C++ compiler was found; install one (Debian: apt-get install g++)"; exit 1; }

$(BIN)/python: | check-python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.2"

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ".[test]"
	@touch $@

run: $(VENV)/.installed ## Set up .venv, fetch the default model, start the service and the page
	$(BIN)/pagoda up

test: $(VENV)/.tested ## Set up what the tests need and pass them all
	$(MAKE) --no-print-directory lint
	$(CMAKE) -S kernels -B build/kernels -DCMAKE_BUILD_TYPE=Release >/dev/null
	$(CMAKE) --build build/kernels -j 2
	$(BIN)/ctest --test-dir build/kernels --output-on-failure
	$(BIN)/python packaging/web_build.py npm run check
	$(BIN)/python packaging/web_build.py npm test
	$(BIN)/pagoda pull smollm2:135m
	$(BIN)/pagoda pull all-minilm:l6-v2
	$(BIN)/python -m pytest

test-clients: $(VENV)/.tested ## Real clients against real servers: openai, anthropic, langchain, litellm, lm-eval, guidellm, ...
	$(BIN)/pagoda pull smollm2:135m
	$(BIN)/pagoda pull all-minilm:l6-v2
	$(BIN)/python -m tests.clients $(CLIENTS)

lint: $(VENV)/.tested ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sanitize: $(VENV)/.tested ## Kernel tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(CMAKE) -S kernels -B build/sanitize -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPAGODA_SANITIZE=ON
	$(CMAKE) --build build/sanitize -j 2
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure

bench: $(VENV)/.installed ## Every figure of the README, beside the machine's measured limits
	$(BIN)/python -m benchmarks

bench-peers: $(VENV)/.installed ## The same against llama.cpp on the same file (builds llama-cpp-python)
	test -x build/llamacpp/bin/python || $(BIN)/python -m venv build/llamacpp
	CMAKE_ARGS=-DGGML_NATIVE=ON build/llamacpp/bin/pip install --quiet llama-cpp-python
	$(BIN)/python -m benchmarks --llamacpp build/llamacpp/bin/python

dev: | $(BIN)/python ## An environment for development: sources in place, kernels rebuilt on import
	$(BIN)/python -m pip install --quiet scikit-build-core nanobind ninja cmake
	$(BIN)/python -m pip install --quiet --no-build-isolation -Ceditable.rebuild=true -Ceditable.verbose=false -e ".[test]"

clean: ## Remove everything that was built
	rm -rf $(VENV) build dist web/dist web/node_modules artifacts
