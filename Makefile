# SPDX-License-Identifier: Apache-2.0
#
# Two commands do everything on a fresh machine with Swift, Python 3 and git: `make demo` and `make test`.
# V=1 shows every compiler command; PYTHON=... picks the Python; LIBTORCH=... names a libtorch of your own.

SHELL := /bin/bash
PYTHON ?= python3
override ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
VERBOSE := $(if $(filter-out 0,$(V)),--verbose)
SWIFT_SOURCES = $(wildcard $(addprefix $(ROOT)/,Package.swift Sources Tests Examples Fuzz Benchmarks/Package.swift Benchmarks/Sources))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help python setup build test torture fuzz demo bench docs dist format lint clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' '$(ROOT)/Makefile' | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

python:
	@command -v $(PYTHON) > /dev/null || { echo 'error: Python is missing ($(PYTHON)).' \
	  'Install Python 3.9 or newer with pip (Debian, Ubuntu: apt-get install python3 python3-pip).' >&2; exit 1; }

setup: python ## install libtorch and the other parts into .deps (0.5 GB to download)
	@cd '$(ROOT)' && $(PYTHON) scripts/setup.py

build: setup ## release build; leaves .build/release/coherent
	@cd '$(ROOT)' && export COHERENT_COMMIT="$$(GIT_CEILING_DIRECTORIES="$$PWD/.." git describe --always --dirty --abbrev=12 --exclude '*' 2> /dev/null)" && \
	  swift build -c release $(VERBOSE)

test: python ## the whole test suite; COHERENT_TEST_DATA=DIR adds the tests on real data
	@cd '$(ROOT)' && $(PYTHON) scripts/setup.py --venv test
	@cd '$(ROOT)' && swift build --build-tests $(VERBOSE)
	@cd '$(ROOT)' && scripts/run-tests $(TESTFLAGS)

torture: build ## kill trainings, grids and audits at random moments and compare how they end; ROUNDS=N
	@cd '$(ROOT)' && $(PYTHON) scripts/torture $(if $(ROUNDS),--rounds '$(ROUNDS)') $(TORTUREFLAGS)

fuzz: setup ## feed the readers of files, and the tensor interface, with inputs made up under sanitizers; SECONDS=N each
	@cd '$(ROOT)' && $(PYTHON) scripts/fuzz $(if $(SECONDS),--seconds '$(SECONDS)') $(FUZZFLAGS)

demo: build ## train on built-in data with 0 %, 50 % and 100 % label noise, and write demo/report.html
	@cd '$(ROOT)' && .build/release/coherent demo --out demo

bench: python ## measure against PyTorch on this machine (several GB to download)
	@cd '$(ROOT)' && $(PYTHON) scripts/setup.py --venv bench
	@cd '$(ROOT)/Benchmarks' && swift build -c release $(VERBOSE)
	@cd '$(ROOT)' && $(PYTHON) Benchmarks/compare.py $(BENCHFLAGS)

docs: setup ## the documentation of the libraries as a site, in site/; its examples are compiled and run
	@cd '$(ROOT)' && $(PYTHON) scripts/docs

dist: setup ## pack the program for machines without Swift, into dist/ (see docs/gpu.md)
	@cd '$(ROOT)' && $(PYTHON) scripts/make-dist

format: ## format the Swift sources in place
	@swift format format --in-place --parallel --recursive --configuration '$(ROOT)/.swift-format' $(SWIFT_SOURCES)

lint: ## check the formatting, without changing anything
	@swift format lint --strict --parallel --recursive --configuration '$(ROOT)/.swift-format' $(SWIFT_SOURCES)

clean: ## remove what builds and runs left behind; .deps stays
	@cd '$(ROOT)' && rm -rf .build .build-dist Benchmarks/.build demo dist site
