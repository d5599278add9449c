# prologue.elf, the loader image: a kernel of its own, linked with the library as any other.

# QEMU's -kernel takes the second by Multiboot 1, and then more than one -initrd. The third takes
# payloads that are compressed.
LOADER_IMAGES := $(addprefix $(BUILD)/prologue,.elf -multiboot1.elf -unpack.elf)
loader_objects = $(patsubst %,$(BUILD)/64/%.o,$(basename $(1)))
UNPACK_OBJECTS := $(call loader_objects,$(addprefix boot/payload/,inflate.cpp lz4.cpp) \
	arch/x86/payload/unpack.cpp)
NO_UNPACK_OBJECTS := $(call loader_objects,arch/x86/payload/no_unpack.cpp)
LOADER_OBJECTS := $(filter-out $(UNPACK_OBJECTS) $(NO_UNPACK_OBJECTS),$(call loader_objects,$(wildcard \
	arch/x86/payload/*.cpp boot/payload/*.cpp) arch/x86/payload/depart.S))

$(BUILD)/prologue-multiboot1.elf: LOADER_HEADERS := -u prologue_multiboot1
$(filter-out %-unpack.elf,$(LOADER_IMAGES)): $(NO_UNPACK_OBJECTS)
$(BUILD)/prologue-unpack.elf: $(UNPACK_OBJECTS)
$(LOADER_IMAGES): $(LOADER_OBJECTS) $(LIBRARY) $(wildcard linker/prologue*.ld)
	@echo "  $@"
	$(LLD) -static -z max-page-size=4096 $(LOADER_HEADERS) -L linker -T prologue.ld -o $@ \
		$(filter %.o,$^) $(LIBRARY)

.PHONY: library
library: $(LIBRARY) $(LINUX16) $(LINUX32) $(EFI_STUB) $(LOADER_IMAGES)

-include $(patsubst %.o,%.d,$(LOADER_OBJECTS) $(UNPACK_OBJECTS) $(NO_UNPACK_OBJECTS))
