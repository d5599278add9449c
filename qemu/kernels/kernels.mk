# The test kernels: each is linked with the library, its default linker script
# and the public headers, and nothing else of Prologue.

KERNEL_FLAGS := --target=x86_64-none-elf -mcmodel=kernel -mno-red-zone -O2 -std=c++20 \
	-ffreestanding -fno-pic -fno-exceptions -fno-rtti -fno-stack-protector \
	-fno-asynchronous-unwind-tables -Wall -Wextra -Werror -g -Iboot/include
KERNEL_LINK := $(LLD) -static -z max-page-size=4096 -T linker/prologue.ld

# One kernel a line, with the objects it is made of.
demo := demo console
demo-best := demo-best console
demo-five := demo-five console
demo-multiboot1 := demo console
KERNEL_NAMES := demo demo-best demo-five demo-multiboot1

$(BUILD)/kernels/demo-best.o: KERNEL_FLAGS += -DDEMO_PAGING=PROLOGUE_PAGING_BEST
$(BUILD)/kernels/demo-five.o: KERNEL_FLAGS += -DDEMO_PAGING=PROLOGUE_PAGING_FIVE
$(BUILD)/kernels/demo-best.o $(BUILD)/kernels/demo-five.o: SOURCE = qemu/kernels/demo.cpp
$(BUILD)/demo-multiboot1.elf: KERNEL_LINK += -u prologue_multiboot1

KERNELS := $(KERNEL_NAMES:%=$(BUILD)/%.elf)
KERNEL_OBJECTS := $(sort $(foreach name,$(KERNEL_NAMES),$($(name):%=$(BUILD)/kernels/%.o)))

$(BUILD)/kernels/%.o: $(wildcard qemu/kernels/*)
	@mkdir -p $(@D)
	$(CLANGXX) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $(or $(SOURCE),qemu/kernels/$*.cpp)

define KERNEL_RULE
$(BUILD)/$(1).elf: $($(1):%=$(BUILD)/kernels/%.o) $(LIBRARY) linker/prologue.ld
	$$(KERNEL_LINK) -Map $$(@:.elf=.map) -o $$@ $($(1):%=$(BUILD)/kernels/%.o) $(LIBRARY)
endef
$(foreach name,$(KERNEL_NAMES),$(eval $(call KERNEL_RULE,$(name))))

.PHONY: kernels
kernels: $(KERNELS)

-include $(KERNEL_OBJECTS:.o=.d)
