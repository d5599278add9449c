# Prologue: the code before a kernel's first line.
#
#   make setup run      install what is missing, boot the demonstration kernel
#   make setup check    ... and run all tests
#   make help           all targets and their variables

BUILD ?= build
CLANG ?= clang
CLANGXX ?= clang++
LLD ?= ld.lld
AR := llvm-ar
OBJCOPY := llvm-objcopy
PYTHON ?= /usr/bin/python3
QEMU ?= qemu-system-x86_64
export BUILD CLANG CLANGXX LLD QEMU

# One line a file; V=1 shows the commands.
ifndef V
MAKEFLAGS += --silent
endif

.DELETE_ON_ERROR:
.SUFFIXES:

# What a kernel's author wants; `make check` makes the test kernels besides.
.PHONY: all
all: library check-tool demos

include arch/x86/library.mk
include arch/x86/payload/payload.mk
include linker/check/check.mk
include linker/install.mk
include qemu/kernels/kernels.mk
include qemu/sevhost/sevhost.mk
include qemu/feeder/feeder.mk
include hosttests/hosttests.mk
include qemu/qemu.mk
include qemu/sevhost/check.mk

# What is built depends on how it is built.
$(OBJECTS32) $(SEV_OBJECTS32) $(OBJECTS64) $(KERNEL_OBJECTS): Makefile arch/x86/library.mk

.PHONY: setup
setup:
	@qemu/setup.sh
	@$(MAKE) debian-guests-if-there zig-if-there

.PHONY: clean
clean:
	rm -rf $(BUILD)

.PHONY: help
help:
	@sed -n '/^## /s///p' docs/commands.md
