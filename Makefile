# The targets a user or CI calls; `make` lists them. The logic is in tools/, each program of which
# can be run by itself. The variables are PREFIX (install) and SECONDS (fuzz).
SHELL := /bin/bash
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
SECONDS ?= 300

.PHONY: help deps build build-cuda test test-gpu test-sanitize test-aarch64 test-full fuzz demo \
        demo-check install format lint clean

help: ## print this list
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

deps: ## install the packages that all targets below but lint need
	@tools/deps build test fuzz cross

build: ## the program, at build/release/gallop
	@tools/deps build
	@tools/build release

test: ## build, then every test that needs no GPU (up to 12 minutes on 2 cores)
	@tools/deps build test
	@tools/build release
	@tools/run_tests.py test

test-sanitize: ## units, commands and server under ASan + UBSan; engine and server under TSan
	@tools/deps build test
	@tools/run_tests.py sanitize

test-aarch64: ## units up to the ops, cross-compiled, under qemu-user
	@tools/deps build cross
	@tools/run_tests.py aarch64

test-full: ## every promised test at its full size; takes hours, a second call goes on where it ended
	@tools/deps build test fuzz cross
	@tools/build release
	@tools/run_tests.py full

fuzz: ## each fuzz target for SECONDS (300)
	@tools/deps build fuzz
	@tools/fuzz $(SECONDS)

demo: ## build, then serve the model that ships on port 8000
	@tools/deps build
	@tools/build release
	@tools/demo

demo-check: ## start the demo, run the lines it prints once, stop it
	@tools/deps build
	@tools/build release
	@tools/demo-check

install: ## copy the program and its notices to PREFIX (/usr/local)
	@tools/deps build
	@tools/build release
	@cmake --install build/release --prefix "$(PREFIX)"

build-cuda test-gpu:
	@echo "make $@: this version has the CPU backend only" >&2; exit 1

format: ## clang-format over the C++ files
	@tools/deps test
	@git ls-files -co --exclude-standard '*.cc' '*.h' | xargs clang-format-14 -i

lint: ## the clang-tidy checks of .clang-tidy over src/
	@tools/deps build lint
	@tools/lint

clean: ## remove build/
	@rm -rf build
