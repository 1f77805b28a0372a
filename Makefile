# Every target installs what it lacks and says so. Figures and tests come from release builds. `make help` lists them.
SWIFT ?= swift
RELEASE := -c release
# Building and testing in release undo each other's objects: each has its own folder. Tests have MPI where it is, for with a trait everything is
# compiled anew; that the package does without, examples show.
TEST = --scratch-path .build-test $(MPI)
MPI = $(shell pkg-config --exists "$${DSO_MPI:-ompi-c}" 2>/dev/null && echo --traits MPI)
# So has what is handed out, for it has the Swift runtime linked into it. `make install STATIC=1` takes that.
STATIC ?=
PREFIX ?= /usr/local
STATIC_BUILD := .build-static
ifeq ($(STATIC),)
FROM := .build
else
FROM := $(STATIC_BUILD)
endif

.PHONY: help setup build build-mpi demo man install check-install uninstall static release deb test setup-mpi test-mpi test-kernels test-arm test-sanitized test-threads examples docs lint fuzz bench faults interop clean

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | while read -r target words; do printf '  make %-15s %s\n' "$$target" "$$words"; done

setup: ## installs the HDF5 library and pkg-config where they are missing
	@Scripts/setup

build: setup ## release build; executables in .build/release
	$(SWIFT) build $(RELEASE)

build-mpi: ## the same with MPI; executables in .build-mpi/release
	@Scripts/setup mpi
	$(SWIFT) build $(RELEASE) --scratch-path .build-mpi --traits MPI

demo: build ## quantizes the demo model to 8 bits
	.build/release/deepseek-quant --bits 8 --overwrite

man: build ## manual pages, in .build/man
	@Scripts/man-pages .build/man .build .build/release

# Installing as another user should not build as that user: what is there is taken, and what is not is built.
install: $(FROM)/release/deepseek-optimize $(FROM)/man/deepseek-optimize.1 ## to PREFIX (/usr/local), below DESTDIR; STATIC=1 with the Swift runtime linked in
	@Scripts/install-files $(FROM)/release $(FROM)/man $(PREFIX)

check-install: $(FROM)/release/deepseek-optimize $(FROM)/man/deepseek-optimize.1 ## installs in a temporary place, and runs what is there
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && Scripts/install-files $(FROM)/release $(FROM)/man "$$place" && Scripts/check-installed "$$place"

uninstall: ## takes away what install put there
	@Scripts/install-files --remove $(PREFIX)

.build/release/deepseek-optimize:
	@$(MAKE) build

.build/man/deepseek-optimize.1:
	@$(MAKE) man

$(STATIC_BUILD)/release/deepseek-optimize $(STATIC_BUILD)/man/deepseek-optimize.1:
	@$(MAKE) static

static: setup
	$(SWIFT) build $(RELEASE) --scratch-path $(STATIC_BUILD) --static-swift-stdlib
	@Scripts/man-pages $(STATIC_BUILD)/man $(STATIC_BUILD) $(STATIC_BUILD)/release

release: static ## an archive with the Swift runtime linked in, what it is made of, checksums, in dist
	@Scripts/release $(STATIC_BUILD)/release $(STATIC_BUILD)/man $(STATIC_BUILD)

deb: static ## a Debian package, in dist
	@Scripts/debian-package $(STATIC_BUILD)/release $(STATIC_BUILD)/man

# The kernels' tests force instruction sets for their whole process: the others, which compare bits, run without them.
test: setup setup-mpi lint examples test-kernels ## lint, then every test
	$(SWIFT) test $(RELEASE) $(TEST) --skip CKernelsTests --skip MPITests
	$(SWIFT) test $(RELEASE) $(TEST) --filter CKernelsTests
	$(if $(MPI),$(SWIFT) test $(RELEASE) $(TEST) --filter MPITests)
	@Scripts/check-docs .build-test/release
	@Scripts/check-added-method .build-test/release
	@Scripts/build-docs
	@Scripts/man-pages .build-test/man .build-test .build-test/release
	@$(MAKE) check-install FROM=.build-test

setup-mpi:
	@Scripts/setup mpi || echo "setup: going on without MPI; what several processes do is tried with threads alone"

test-mpi: ## several processes against one, by MPI
	@Scripts/setup mpi
	$(SWIFT) test $(RELEASE) $(TEST) --filter MPITests

# Every variant of every kernel against the portable one, in C alone: here, on AArch64, and under the sanitizers.
test-kernels: ## every variant of every kernel against the portable one
	@Scripts/test-kernels

test-arm: ## the same for AArch64
	@Scripts/test-kernels arm

test-sanitized: ## the same under the sanitizers
	@Scripts/test-kernels sanitized

# Races between threads, in a build of its own; takes most of an hour. THREADS_BUILD names another folder for it, TESTS some suites.
test-threads: setup ## the tests under the thread sanitizer (Linux)
	@Scripts/test-threads $(TESTS)

examples: setup ## builds the examples and runs them
	$(SWIFT) build $(RELEASE) --package-path Examples
	@Examples/run

# What the documents say is done: commands run, Swift compiled, recipes read. Then the catalogue becomes pages for a browser.
docs: build ## runs what the documents say, and makes pages of the tutorials
	@Scripts/check-docs .build/release
	@Scripts/build-docs

lint: ## the import table, the house rules, the format
	@Scripts/check-imports
	@Scripts/check-sources
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Examples Benchmarks Fuzz

# TARGETS="safetensors gguf" for some of the readers, JOBS=2 for two side by side.
SECONDS ?= 60
fuzz: setup ## fuzzes every reader of files for SECONDS=60 of processor time each, under sanitizers
	@Scripts/fuzz $(SECONDS)

# Instructions of the kernels against committed limits, then the rates of this machine.
bench: setup ## instructions and rates of kernels
	Scripts/count-instructions
	$(SWIFT) run $(RELEASE) --package-path Benchmarks kernel-benchmark

# 300 faults or so, in ten minutes: kills, full disks, failing calls, inputs that vanish. KILLS and SEED change the course.
KILLS ?= 100
SEED ?= 1
faults: build ## kills runs and fails their calls, and looks at what they leave
	Tests/Faults/faults.py .build/release/deepseek-optimize --kills $(KILLS) --seed $(SEED)

interop: build ## our files in the programs that they are for
	Tests/Interop/run.sh

clean: ## removes all builds
	rm -rf .build .build-mpi .build-test $(STATIC_BUILD) dist .build-kernels .build-fuzz .build-threads Benchmarks/.build Examples/.build
