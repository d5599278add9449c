# `make install` and `make uninstall`. What is installed finds its other parts by
# their place beside it, so that a staged or moved tree works as it is.

PREFIX ?= /usr/local
INSTALL_ROOT = $(DESTDIR)$(PREFIX)
VERSION := $(strip $(file < VERSION))

TEMPLATE_FILES := $(wildcard $(addprefix qemu/templates/*/,\
	Makefile README.md *.txt *.cmake *.ld *.h *.c *.cpp *.S *.rs *.zig))

# FILE:DIRECTORY, the directory below PREFIX.
installed_in = $(patsubst %,%:$(strip $(1)),$(2))
INSTALLED = $(call installed_in, lib, $(BUILD)/installed/libprologue.a) \
	$(call installed_in, lib/prologue-debug, $(LIBRARY)) \
	$(call installed_in, include/prologue, $(wildcard boot/include/prologue/*.h)) \
	$(call installed_in, share/prologue, $(wildcard linker/prologue*.ld)) \
	$(call installed_in, share/prologue, $(LINUX16) $(LINUX32) $(EFI_STUB) $(LOADER_IMAGES)) \
	$(call installed_in, share/prologue/rust, rust/Cargo.toml) \
	$(call installed_in, share/prologue/rust/src, $(wildcard rust/src/*.rs)) \
	$(call installed_in, lib/pkgconfig, $(BUILD)/prologue.pc) \
	$(call installed_in, lib/cmake/Prologue, linker/PrologueConfig.cmake \
		$(BUILD)/PrologueConfigVersion.cmake) \
	$(foreach file,$(TEMPLATE_FILES),\
		$(call installed_in, $(patsubst qemu/%/,share/prologue/%,$(dir $(file))), $(file))) \
	$(call installed_in, share/doc/prologue, README.md LICENSE) \
	$(call installed_in, share/doc/prologue/docs, $(wildcard docs/*.*)) \
	$(call installed_in, share/doc/prologue/docs/loaders, $(wildcard docs/loaders/*))
INSTALLED_TOOLS = $(call installed_in, bin, linker/prologue-bzimage linker/prologue-elf32 \
	linker/prologue-igvm linker/prologue-pack linker/prologue-picture $(CHECK_TOOL))

# What `make uninstall` removes stands in a file that is installed too.
INSTALLED_LIST := share/prologue/installed
INSTALLED_PATHS = $(INSTALLED_LIST) $(foreach entry,$(INSTALLED) $(INSTALLED_TOOLS),\
	$(lastword $(subst :, ,$(entry)))/$(notdir $(firstword $(subst :, ,$(entry)))))
INSTALLED_OWN := include/prologue lib/cmake/Prologue lib/prologue-debug share/prologue share/doc/prologue

$(BUILD)/prologue.pc $(BUILD)/PrologueConfigVersion.cmake: $(BUILD)/%: linker/%.in VERSION
	@mkdir -p $(@D)
	@echo "  $@"
	sed 's/@VERSION@/$(VERSION)/' $< > $@

# What a kernel links has no debug sections, which are five times what is loaded of it. Who debugs
# Prologue itself finds them in the other.
$(BUILD)/installed/libprologue.a: $(LIBRARY)
	@mkdir -p $(@D)
	@echo "  $@"
	$(OBJCOPY) --strip-debug $< $@

# Takes the place of an earlier version, with all its files.
.PHONY: install
install: $(BUILD)/installed/libprologue.a library check-tool $(BUILD)/prologue.pc \
		$(BUILD)/PrologueConfigVersion.cmake
	[ ! -e "$(INSTALL_ROOT)/$(INSTALLED_LIST)" ] || $(REMOVE_INSTALLED)
	set -e; \
	copy() { install -D -m $$1 -t "$(INSTALL_ROOT)/$${2#*:}" "$${2%%:*}"; }; \
	for entry in $(INSTALLED); do copy 644 $$entry; done; \
	for entry in $(INSTALLED_TOOLS); do copy 755 $$entry; done
	printf '%s\n' $(INSTALLED_PATHS) > "$(INSTALL_ROOT)/$(INSTALLED_LIST)"

.PHONY: uninstall
uninstall:
	$(REMOVE_INSTALLED)

# What somebody has put beside our files stays, and so does its directory.
define REMOVE_INSTALLED
( cd "$(INSTALL_ROOT)" && xargs rm -f < $(INSTALLED_LIST) && \
	{ find $(INSTALLED_OWN) -depth -type d -empty -delete 2> /dev/null || true; } )
endef
