# Every target installs what it lacks and says so. Figures and tests come from release builds.
SWIFT ?= swift
RELEASE := -c release
# Building and testing in release undo each other's objects: each has its own folder.
TEST := --scratch-path .build-test

.PHONY: setup build demo test test-kernels test-arm test-sanitized examples docs lint bench interop clean

setup:
	@Scripts/setup

build: setup
	$(SWIFT) build $(RELEASE)

demo: build
	.build/release/deepseek-quant --bits 8 --overwrite

# The kernels' tests force instruction sets for their whole process: the others, which compare bits, run without them.
test: setup lint examples test-kernels
	$(SWIFT) test $(RELEASE) $(TEST) --skip CKernelsTests
	$(SWIFT) test $(RELEASE) $(TEST) --filter CKernelsTests
	@Scripts/check-docs .build-test/release
	@Scripts/build-docs

# Every variant of every kernel against the portable one, in C alone: here, on AArch64, and under the sanitizers.
test-kernels:
	@Scripts/test-kernels

test-arm:
	@Scripts/test-kernels arm

test-sanitized:
	@Scripts/test-kernels sanitized

examples: setup
	$(SWIFT) build $(RELEASE) --package-path Examples
	@Examples/run

# What the documents say is done: commands run, Swift compiled, recipes read. Then the catalogue becomes pages for a browser.
docs: build
	@Scripts/check-docs .build/release
	@Scripts/build-docs

lint:
	@Scripts/check-imports
	@Scripts/check-sources
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Examples Benchmarks

# Instructions of the kernels against committed limits, then the rates of this machine.
bench: setup
	Scripts/count-instructions
	$(SWIFT) run $(RELEASE) --package-path Benchmarks kernel-benchmark

interop: build
	Tests/Interop/run.sh

clean:
	rm -rf .build .build-test .build-kernels Benchmarks/.build Examples/.build
