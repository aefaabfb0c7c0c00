# SPDX-License-Identifier: Apache-2.0
# The front door of aril. CMakePresets.json holds the configurations behind it.
#
# make              build the library and the command      build/release
# make demo         two tenants of one llama.cpp, sealed   (no arguments, no GPU)
# make test         build and run all tests                build/gcc
# make check        format, rules, both compilers, sanitizers, valgrind, all tests
# make bench        measure this machine                   build/bench.json
# make fuzz         fuzz each parser for FUZZ_SECONDS      build/fuzz
# make install      install below DESTDIR and prefix       (default /usr/local)
# make format       rewrite the sources with clang-format
# make clean        remove build/ (not the cached OpenSSL)
# make help         print this list

prefix       ?= /usr/local
DESTDIR      ?=
FUZZ_SECONDS ?= 30
JOBS         ?= $(shell nproc)
DEMO_FLAGS   ?=
BENCH_FLAGS  ?=

# cmake starts a make of its own, which must not look for the job server of this one.
CMAKE := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake
CTEST := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL ctest

all: setup-build build-release

demo: setup-demo build-release
	@tools/demo.sh build/release/aril $(DEMO_FLAGS)

test: setup-test build-gcc
	@tools/run_tests.sh build/gcc $(JOBS)

check: setup-check
	@JOBS=$(JOBS) tools/check.sh

bench: setup-build build-release
	build/release/aril_bench --json build/bench.json $(BENCH_FLAGS)

fuzz: setup-check build-fuzz
	@tools/fuzz.sh build/fuzz $(FUZZ_SECONDS)

# Under sudo nothing is built: root has another cache folder, and would own build/.
install: $(if $(SUDO_USER),,all)
	@test -e build/release/libaril.so || { echo 'run "make" first, without sudo' >&2; exit 1; }
	@DESTDIR='$(DESTDIR)' $(CMAKE) --install build/release --prefix '$(prefix)'

format:
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

clean:
	rm -rf build

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup-%:
	@tools/setup.sh $*

build/%/Makefile: CMakePresets.json
	@$(CMAKE) --preset $* --log-level=WARNING >/dev/null
	@touch $@

build-%: build/%/Makefile
	@$(CMAKE) --build build/$* --parallel $(JOBS)

build-release: setup-build
build-gcc: setup-test
build-fuzz: setup-check

.PHONY: all demo test check bench fuzz install format clean help
.NOTPARALLEL:
.SECONDARY:
