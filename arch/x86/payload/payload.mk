# prologue.elf, the loader image: a kernel of its own, linked with the library as any other.

# QEMU's -kernel takes the second by Multiboot 1, and then more than one -initrd.
LOADER_IMAGES := $(BUILD)/prologue.elf $(BUILD)/prologue-multiboot1.elf
LOADER_SOURCES := $(wildcard arch/x86/payload/*.cpp boot/payload/*.cpp)
LOADER_OBJECTS := $(LOADER_SOURCES:%.cpp=$(BUILD)/64/%.o) $(BUILD)/64/arch/x86/payload/depart.o

$(BUILD)/prologue-multiboot1.elf: LOADER_HEADERS := -u prologue_multiboot1
$(LOADER_IMAGES): $(LOADER_OBJECTS) $(LIBRARY) $(wildcard linker/prologue*.ld)
	@echo "  $@"
	$(LLD) -static -z max-page-size=4096 $(LOADER_HEADERS) -L linker -T prologue.ld -o $@ \
		$(LOADER_OBJECTS) $(LIBRARY)

.PHONY: library
library: $(LIBRARY) $(LINUX16) $(LINUX32) $(EFI_STUB) $(LOADER_IMAGES)

-include $(LOADER_OBJECTS:.o=.d)
