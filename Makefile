# SPDX-License-Identifier: GPL-2.0-only
# The kernel's build reads Kbuild; this file is for people. See "make help".

# The running kernel, or without its headers the newest that has some here
KDIR ?= $(patsubst %/.config,%,$(or $(wildcard /lib/modules/$(shell uname -r)/build/.config), \
	$(lastword $(shell printf '%s\n' $(wildcard /lib/modules/*/build/.config) | sort -V))))
RELEASE = $(shell awk -F'"' '/UTS_RELEASE/ { print $$2 }' $(KDIR)/include/generated/utsrelease.h)

# Type information of the module would ask for pahole and serve nobody
NO_BTF = CONFIG_DEBUG_INFO_BTF_MODULES=

.PHONY: all module install clean check-config iproute2 check check-full check-steady kunit demo bench help
all: module

module: check-config
	$(MAKE) -C $(KDIR) M=$(CURDIR) $(NO_BTF) modules

# Debian's headers have no System.map, without which modules_install runs no depmod
install:
	@test -e xfrm_ext.ko || { echo "no xfrm_ext.ko: run make first" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) CONFIG_MODULE_SIG_ALL= INSTALL_MOD_DIR=extra modules_install
	depmod -b $(or $(INSTALL_MOD_PATH),/) $(RELEASE)
	@test -n '$(INSTALL_MOD_PATH)' || test '$(RELEASE)' = "$$(uname -r)" || \
		echo "installed for $(RELEASE); the running kernel is $$(uname -r)" >&2

clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean

check-config:
	@scripts/check-config.sh '$(KDIR)'

iproute2:
	@scripts/iproute2.sh

check:
	@TESTS='$(TESTS)' KERNELS='$(KERNELS)' JOBS='$(JOBS)' exec scripts/check.sh

check-full:
	@FULL=1 TESTS='$(TESTS)' KERNELS='$(KERNELS)' JOBS='$(JOBS)' exec scripts/check.sh

check-steady:
	@ROUNDS='$(ROUNDS)' exec scripts/check-steady.sh

kunit:
	@TESTS='kunit' KERNELS='$(or $(KERNELS),7.3-uml)' exec scripts/check.sh

demo:
	@scripts/setup.sh
	@tools/testing/demo/demo.sh

bench:
	@scripts/setup.sh
	@tools/testing/bench/run.sh $(BENCH)

help:
	@echo 'make                 build xfrm_ext.ko here, against KDIR'
	@echo 'make install         install it for modprobe, as root (INSTALL_MOD_PATH=...)'
	@echo 'make check-config    name what the kernel of KDIR lacks'
	@echo 'make iproute2        build the patched ip; prints where it is'
	@echo 'make check           does it work? Ten minutes, and the set-up that it needs'
	@echo 'make check-full      all tests, on all kernels: an hour or two'
	@echo '                     TESTS="static selftests/basic kunit" only these (globs)'
	@echo '                     KERNELS="6.1" or "6.1-cloud 6.1-debug" only on these'
	@echo '                     JOBS=1 one guest at a time, instead of one per CPU and one'
	@echo 'make check-steady    make check ten times (ROUNDS), every other time on a busy machine'
	@echo 'make kunit           the unit tests, on 7.3-uml: seconds, once that is built'
	@echo 'make demo            two gateways in a guest, and what subspaces are good for'
	@echo 'make bench           what packets, windows, trailers cost: Documentation/bench.rst; half an hour'
	@echo '                     BENCH="quick" only instructions per packet: half a minute'
	@echo 'make clean           remove what make built here'
	@echo
	@echo 'KDIR=$(KDIR)'
	@echo 'The cache, safe to delete: $${XDG_CACHE_HOME:-$$HOME/.cache}/xfrm_ext'
