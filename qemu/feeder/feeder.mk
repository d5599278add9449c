# The feeder: a Multiboot 1 kernel that plays an arbitrary loader (see script.h).
# Uses CLANG, LLD and BUILD; makes $(BUILD)/feeder.elf and $(BUILD)/feeder-high.elf.

CLANG ?= clang
LLD ?= ld.lld
BUILD ?= build

FEEDER_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
FEEDER_OBJECTS := $(addprefix $(BUILD)/feeder/,start.o feed.o leave.o refuse.o)
FEEDER_FLAGS := --target=i386-unknown-none-elf -march=i386 -ffreestanding -fno-pic -mno-sse
FEEDER_CXXFLAGS := $(FEEDER_FLAGS) -std=c++20 -O2 -Wall -Wextra -Werror -fno-exceptions \
  -fno-rtti -fno-stack-protector -fno-asynchronous-unwind-tables

FEEDERS := $(BUILD)/feeder.elf $(BUILD)/feeder-high.elf

# Out of the way of what the tests place: at 80 MiB, or at 768 MiB for tests that want 80 MiB.
$(BUILD)/feeder.elf: FEEDER_BASE := 0x05000000
$(BUILD)/feeder-high.elf: FEEDER_BASE := 0x30000000

$(FEEDERS): $(FEEDER_OBJECTS) $(FEEDER_DIR)/feeder.ld
	$(LLD) -m elf_i386 -static --orphan-handling=error --defsym=FEEDER_BASE=$(FEEDER_BASE) \
	  -T $(FEEDER_DIR)/feeder.ld -o $@ $(FEEDER_OBJECTS)

$(BUILD)/feeder/%.o: $(FEEDER_DIR)/%.cpp $(FEEDER_DIR)/feeder.mk
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANG) $(FEEDER_CXXFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/feeder/%.o: $(FEEDER_DIR)/%.S $(FEEDER_DIR)/feeder.mk
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANG) $(FEEDER_FLAGS) -MMD -MP -c -o $@ $<

-include $(FEEDER_OBJECTS:.o=.d)
