# Every target makes the virtual environment it needs; a machine with Python 3.11 to 3.13, a C++20
# compiler and CMake 3.20 or newer is enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export PIP_QUIET ?= 1

PACKAGES := server engines index commands evaluation training benchmarks
PYTHON_SOURCES := $(shell find $(PACKAGES) -name '*.py')
CORE_SOURCES := $(shell find core -name '*.h' -o -name '*.cc') CMakeLists.txt
CLIENT_SOURCES := $(shell find client -name '*.py') client/pyproject.toml $(wildcard protos/twopass/v1/*)
MODEL_FILES := $(shell find models -type f)

.PHONY: help install dev demo test test-python test-cpp test-tensorrt crash check format bench gate clean
.PHONY: overload mixed budget soak fuzz-rpc engine-faults

help:
	@echo "make demo     see both passes at work on the documentation of your own Python"
	@echo "make install  a virtual environment in $(VENV) with the command twopass"
	@echo "make test     all tests: Python, and C++ under sanitizers"
	@echo "make crash    kill a server KILLS times (200), and look for what it lost"
	@echo "make test-tensorrt  plans of both default models by the real builder, which needs no GPU"
	@echo "make check    style, types, layering, protos"
	@echo "make bench    what the server costs on top of its engine, and its latency under load"
	@echo "make gate     what int8 costs in quality; SETS=folders of test collections in BEIR form"
	@echo "make overload, mixed, budget, soak, fuzz-rpc, engine-faults"
	@echo "              what becomes of requests when there are too many, or strange ones, or the engine fails"
	@echo "make format   put every file into shape"

# --- installation -------------------------------------------------------------------------------

install: $(VENV)/.twopass

dev: $(VENV)/.dev $(VENV)/.twopass

$(VENV)/.venv:
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), \
	  f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; set PYTHON="'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip
	@touch $@

$(VENV)/.models: $(VENV)/.venv $(MODEL_FILES)
	$(PIP) install ./models
	@touch $@

$(VENV)/.client: $(VENV)/.venv $(CLIENT_SOURCES)
	$(PIP) install ./client
	@touch $@

$(VENV)/.twopass: $(VENV)/.models $(VENV)/.client $(PYTHON_SOURCES) $(CORE_SOURCES) pyproject.toml
	$(PIP) install .
	@touch $@

# Once for the packages it names; the code itself is kept fresh by .twopass.
$(VENV)/.dev: pyproject.toml | $(VENV)/.twopass
	$(PIP) install '.[dev,evaluation,bench]'
	@touch $@

# --- use ----------------------------------------------------------------------------------------

demo: install
	$(BIN)/twopass demo

bench: dev
	$(BIN)/python -m twopass.benchmarks.overhead

# --- proof --------------------------------------------------------------------------------------

test: test-cpp test-python

test-python: dev
	$(BIN)/python -m pytest -q

test-cpp:
	cmake -S . -B build/cpp -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTWOPASS_BUILD_MODULE=OFF \
	  -DTWOPASS_BUILD_TESTS=ON -DTWOPASS_WERROR=ON -DTWOPASS_SANITIZE=address,undefined
	cmake --build build/cpp --parallel 2
	ctest --test-dir build/cpp --output-on-failure

KILLS ?= 200

crash: dev
	$(BIN)/python -m tests.crash --kills $(KILLS)

# The wheel is 95 MB and for Linux on x86-64; elsewhere the tests skip and say why.
test-tensorrt: dev
	-$(PIP) install '.[tensorrt-rtx]'
	$(BIN)/python -m pytest -q tests/unit/engines/gpu/test_tensorrt_*.py \
	  tests/unit/engines/onnx/test_half_precision.py

gate: dev
	$(BIN)/python -m twopass.evaluation.precision $(SETS)

# --- under load: figures are printed, statuses and memory are asserted ----------------------------

# Longer: make soak LOAD='--seconds 1800'; `--help` has the options of each.
LOAD ?=

overload mixed budget soak fuzz-rpc engine-faults: dev
	$(BIN)/python -m tests.load.$(subst -,_,$@) $(LOAD)

PYTHON_TREES := $(PACKAGES) client tests
CPP_FILES := $(shell find core benchmarks tests -name '*.h' -o -name '*.cc')

check: dev
	$(BIN)/ruff check $(PYTHON_TREES)
	$(BIN)/ruff format --check $(PYTHON_TREES)
	$(BIN)/mypy $(PACKAGES:%=-p twopass.%) -p twopass.client
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code

format: dev
	$(BIN)/ruff check --fix $(PYTHON_TREES)
	$(BIN)/ruff format $(PYTHON_TREES)
	$(BIN)/clang-format -i $(CPP_FILES)
	cd protos && ../$(BIN)/buf format -w

clean:
	rm -rf $(VENV) build .cache
