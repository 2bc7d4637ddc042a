# SPDX-License-Identifier: BSD-3-Clause
# A thin front for meson and the scripts in tools/. `make help` lists what there is.

BUILD ?= build
DESTDIR ?=

all: build

help:
	@echo 'make            builds into $(BUILD)/'
	@echo 'make setup      installs the Debian packages that are missing, prepares the cache'
	@echo '                folder ($${VIO4WD_CACHE:-/var/cache/vio4wd}); as root'
	@echo 'make demo       a VM pings and moves TCP through vio4wd, about a minute; as root;'
	@echo '                KEEP=1 leaves it running to look around'
	@echo 'make check      all tests; as root. T="..." passes arguments to pytest,'
	@echo '                ONLY=format,unit,valgrind,peer,package,trixie,vm,asan-unit,asan-peer some'
	@echo '                stages (trixie: built and unit-tested in a Debian 13),'
	@echo '                ASAN=1 those of the AddressSanitizer build'
	@echo 'make vm         a shell in the virtual machine with SR-IOV; MACHINE=igb-noiommu another one'
	@echo 'make bench      the benchmark, side by side with testpmd and OVS-DPDK, half an hour; as root;'
	@echo '                QUICK=1 a short one, below three minutes'
	@echo 'make deb        Debian packages, in build-deb/'
	@echo 'make install    installs; DESTDIR= for packagers'

setup:
	@tools/setup

build:
	@tools/setup build
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson compile -C $(BUILD)

demo:
	@tools/setup demo
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson compile -C $(BUILD)
	@demo/run --build $(BUILD) $(if $(filter-out 0 no,$(KEEP)),--keep)

check:
	@tools/setup
	@/usr/bin/python3 tools/check.py --build $(BUILD) $(if $(filter-out 0 no,$(ASAN)),--asan) \
		$(if $(ONLY),--only $(ONLY)) -- $(T)

vm:
	@tools/setup
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson compile -C $(BUILD)
	@tests/vm/run --build $(BUILD) --shell $(if $(MACHINE),--machine $(MACHINE))

bench:
	@tools/setup bench
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD)
	@meson compile -C $(BUILD)
	@bench/run --build $(BUILD) $(if $(filter-out 0 no,$(QUICK)),--quick)

deb:
	@tools/setup deb
	@tools/deb

install: build
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild

.PHONY: all help setup build demo check vm bench deb install
