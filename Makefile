# SPDX-License-Identifier: GPL-2.0
# For people. The module's own build file is Kbuild, the tool's tools/Makefile.

SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/daxcow
STOCK_HEADERS = /usr/src/linux-headers-$$(cat build/kernels/stock)
SOURCES := $(shell find drivers include Kbuild -type f)
GUEST_PROGRAMS := $(patsubst tests/guest/src/%.c,build/guest/bin/%,$(wildcard tests/guest/src/*.c))

help:
	@echo 'make all      everything that is built here'
	@echo 'make demo     set everything up and show what daxcow does, in a guest (minutes)'
	@echo 'make check    set everything up and run all tests (builds kernels: an hour)'
	@echo 'make guest    a shell in a guest (KERNEL=live, patched, debug or stock)'
	@echo 'make module KDIR=DIR   the module for a kernel, in build/module/user'
	@echo 'make tools    the command daxcow, in build/tools'
	@echo 'make install  the tool, its manual page and its units (DESTDIR, PREFIX)'
	@echo 'make deb      Debian packages of both, in build/deb'
	@echo 'make fuzz     feed pools, operations and text to fuzzers (SECONDS=60)'
	@echo 'make soak     everything at once on the debug kernel (MINUTES=30)'
	@echo 'make torture  programs that others wrote, beside dm-linear (MINUTES=30)'
	@echo 'make bench-core        what the engine costs with many snapshots and clones (SIZES="10000 10000 90000")'
	@echo 'make bench-dedupe      what dedupe frees of Debian packages (SETS="C A D")'
	@echo 'make boot-test    the packages in Debian 12 and 13, booted (RELEASES="12 13"; an hour)'
	@echo 'make bench-faults      what page faults and I/O take, beside dm-linear and others'
	@echo 'make lint     style and static checks'
	@echo 'make clean    remove build/; make distclean also the cached kernels'

setup:
	@tests/guest/setup

kernels: build/kernels/patched build/kernels/debug build/kernels/stock

# What a guest kernel was made from. It changes when the kernel does, and then
# the module for it has to be built again.
build/kernels/patched build/kernels/debug: build/kernels/%: setup
	@mkdir -p build/kernels
	@dir=$$(tests/guest/kernel $*) && \
	{ cmp -s "$$dir/daxcow.key" $@ || cp "$$dir/daxcow.key" $@; }

build/kernels/stock: setup
	@mkdir -p build/kernels
	@tests/guest/stock >/dev/null
	@. tests/guest/env.sh && stock_name >$@.new
	@cmp -s $@.new $@ || cp $@.new $@
	@rm $@.new

# A kernel builds a module where its sources are: a farm of links for each.
define build_module
	@mkdir -p build/module/$(1)
	@find build/module/$(1) -xtype l -delete
	@cp -asf $(CURDIR)/Kbuild $(CURDIR)/drivers $(CURDIR)/include build/module/$(1)
	@$(MAKE) --no-print-directory -s -C $(2) M=$(CURDIR)/build/module/$(1) $(3) modules
endef

ifdef KDIR
module:
	$(call build_module,user,$(KDIR),)
	@echo 'build/module/user/dm-daxcow.ko'
else
module: build/module/patched/dm-daxcow.ko build/module/debug/dm-daxcow.ko \
	build/module/stock/dm-daxcow.ko build/module/stock-force-dax/dm-daxcow.ko \
	build/live/dm-daxcow-dax.ko build/other-live/other-live.ko
endif

build/module/patched/dm-daxcow.ko build/module/debug/dm-daxcow.ko: \
build/module/%/dm-daxcow.ko: $(SOURCES) build/kernels/%
	$(call build_module,$*,$$(tests/guest/kernel $* --path),)
	@touch $@

build/module/stock/dm-daxcow.ko: $(SOURCES) build/kernels/stock
	$(call build_module,stock,$(STOCK_HEADERS),W=1)
	@touch $@

# The series, for Debian's kernel while it runs.
LIVE := $(shell find livepatch -type f)
build/live/dm-daxcow-dax.ko: $(LIVE) $(wildcard patches/linux-6.12/*) build/kernels/stock
	@echo 'module: the live patch for Debian'"'"'s kernel (a minute)'
	@rm -rf build/live
	@livepatch/build $(STOCK_HEADERS) build/live

# Somebody else's, for tests.
build/other-live/other-live.ko: $(wildcard tests/guest/livepatch/*) build/kernels/stock
	@mkdir -p build/other-live
	@cp -f tests/guest/livepatch/* build/other-live
	@$(MAKE) --no-print-directory -s -C $(STOCK_HEADERS) M=$(CURDIR)/build/other-live modules
	@strip -g $@

# For the negative control: DAX on a kernel that cannot do it right.
build/module/stock-force-dax/dm-daxcow.ko: $(SOURCES) build/kernels/stock
	$(call build_module,stock-force-dax,$(STOCK_HEADERS),DAXCOW_FORCE_DAX=y)
	@touch $@

tools: setup
	@$(MAKE) --no-print-directory -s -C tools O=$(CURDIR)/build/tools

unit: setup tools
	@$(MAKE) --no-print-directory -s -C tests/unit
	@$(MAKE) --no-print-directory -s -C tests/fuzz replay

build/guest/bin/%: tests/guest/src/%.c $(wildcard tests/guest/src/*.h)
	@mkdir -p build/guest/bin
	@$(CC) -O2 -g -Wall -Wextra -Iinclude/uapi -o $@ $< -lpthread -laio

guest-programs: setup
	@$(MAKE) --no-print-directory -s $(GUEST_PROGRAMS)

all: ready unit

ready: module tools guest-programs

check: how-long ready unit
	@tests/check

how-long:
	@echo 'check: some 40 minutes on two idle cores, 25 where it has passed before; two kernels, when they have to be built, are 20 more'

demo: build/module/stock/dm-daxcow.ko build/live/dm-daxcow-dax.ko tools guest-programs
	@tests/demo/run

guest: ready
	@tests/guest/run --kernel $(or $(KERNEL),patched) --shell

fuzz: setup
	@$(MAKE) --no-print-directory -C tests/fuzz run

soak: ready
	@KERNEL=$(or $(KERNEL),debug) tests/guest/host/soak $(or $(MINUTES),30)

torture: build/module/$(or $(KERNEL),patched)/dm-daxcow.ko tools guest-programs
	@tests/torture/run $(or $(MINUTES),30)

bench-dedupe: build/module/patched/dm-daxcow.ko tools guest-programs
	@tests/bench/run $(SETS)

bench-core: setup
	@tests/bench/core/run $(SIZES)

boot-test: setup guest-programs
	@for release in $(or $(RELEASES),12 13); do tests/deb/run $$release || exit 1; done

bench-faults: build/module/patched/dm-daxcow.ko build/module/stock/dm-daxcow.ko \
	build/live/dm-daxcow-dax.ko tools guest-programs
	@tests/bench/faults/run

lint: setup
	@for t in tests/lint/*; do $$t || exit 1; done

install: tools
	@$(MAKE) --no-print-directory -C tools O=$(CURDIR)/build/tools install

deb:
	@tools/make-deb

clean:
	rm -rf build

distclean: clean
	rm -rf $(CACHE)

.PHONY: all help setup kernels module tools unit guest-programs ready check how-long demo \
	guest fuzz soak torture bench-core bench-dedupe bench-faults lint boot-test install deb clean \
	distclean
