# Small test guests, a file of scenes each: for 64-bit mode, for 32-bit mode, or for both.

GUESTS_DIR := $(SEVHOST_DIR)/guests
GUESTS_BOTH := vc msr page page_events page_refused page_vmm memory snp probe
GUESTS_OF_PROCESSORS := creation jump_table others
GUESTS64 := $(GUESTS_BOTH) $(GUESTS_OF_PROCESSORS)
GUESTS32 := $(GUESTS_BOTH)
GUESTS_ALONE := state intercepted # in assembly, without scenes
GUESTS57 := vc memory snp # 64-bit mode with five levels of tables
GUESTS := $(GUESTS57:%=$(BUILD)/guests/%57.elf) $(GUESTS64:%=$(BUILD)/guests/%64.elf) $(GUESTS32:%=$(BUILD)/guests/%32.elf) \
	$(GUESTS_ALONE:%=$(BUILD)/guests/%32.elf)

GUEST_FLAGS := -O2 -g -ffreestanding -fno-pic -fno-stack-protector -fomit-frame-pointer \
	-fno-asynchronous-unwind-tables -mgeneral-regs-only -Wall -Wextra -Werror
GUEST64 := --target=x86_64-none-elf -mno-red-zone
GUEST32 := --target=i386-none-elf -march=i686
GUEST_CXX := $(CLANGXX) -std=c++20 -fno-exceptions -fno-rtti $(GUEST_FLAGS)
GUEST_AS := $(CLANG) $(GUEST_FLAGS)

GUEST_SHARED := bytes.o guest.o tables.o stubs.o paging.o ghcb_page.o ring3.o
GUEST_SHARED64 := $(addprefix $(BUILD)/guests/64/,pvh_note.o $(GUEST_SHARED))
GUEST_SHARED32 := $(addprefix $(BUILD)/guests/32/,start32.o $(GUEST_SHARED))

define GUEST_WIDTH
$(BUILD)/guests/$(1)/%.o: $(GUESTS_DIR)/%.cpp $(GUESTS_DIR)/guests.mk
	@mkdir -p $$(@D)
	@echo "  $$@"
	$$(GUEST_CXX) $$(GUEST$(1)) -MMD -MP -c -o $$@ $$<
$(BUILD)/guests/$(1)/%.o: $(GUESTS_DIR)/%.S $(GUESTS_DIR)/guests.mk
	@mkdir -p $$(@D)
	@echo "  $$@"
	$$(GUEST_AS) $$(GUEST$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach width,64 32,$(eval $(call GUEST_WIDTH,$(width))))

$(BUILD)/guests/64/start57.o: $(GUESTS_DIR)/start64.S $(GUESTS_DIR)/guests.mk
	@mkdir -p $(@D)
	@echo "  $@"
	$(GUEST_AS) $(GUEST64) -DFIVE_LEVELS -c -o $@ $<

$(BUILD)/guests/%64.elf: $(BUILD)/guests/64/%.o $(BUILD)/guests/64/start64.o $(GUEST_SHARED64) \
		$(GUESTS_DIR)/guest.ld
	@echo "  $@"
	$(LLD) -static -T $(GUESTS_DIR)/guest.ld -o $@ $(filter %.o,$^)
$(GUESTS_OF_PROCESSORS:%=$(BUILD)/guests/%64.elf): $(BUILD)/guests/64/other_processor.o
$(BUILD)/guests/%57.elf: $(BUILD)/guests/64/%.o $(BUILD)/guests/64/start57.o $(GUEST_SHARED64) \
		$(GUESTS_DIR)/guest.ld
	@echo "  $@"
	$(LLD) -static -T $(GUESTS_DIR)/guest.ld -o $@ $(filter %.o,$^)

$(GUESTS_ALONE:%=$(BUILD)/guests/32/%.elf): $(BUILD)/guests/32/%.elf: $(BUILD)/guests/32/%.o \
		$(GUESTS_DIR)/guest.ld
	$(LLD) -m elf_i386 -static -T $(GUESTS_DIR)/guest.ld -o $@ $<

# The host takes ELF64 files: a 32-bit image goes into one as it is.
$(BUILD)/guests/32/%.elf: $(BUILD)/guests/32/%.o $(GUEST_SHARED32) $(GUESTS_DIR)/guest.ld
	$(LLD) -m elf_i386 -static -T $(GUESTS_DIR)/guest.ld -o $@ $(filter %.o,$^)
$(BUILD)/guests/%.bin: $(BUILD)/guests/32/%.elf
	$(OBJCOPY) -O binary $< $@
$(BUILD)/guests/%32.elf: $(BUILD)/guests/%.bin $(BUILD)/guests/64/pvh_note.o \
		$(addprefix $(GUESTS_DIR)/,wrap32.S guest.ld)
	@echo "  $@"
	$(GUEST_AS) $(GUEST64) -DGUEST_IMAGE='"$<"' -c -o $(@:.elf=.o) $(GUESTS_DIR)/wrap32.S
	$(LLD) -static -T $(GUESTS_DIR)/guest.ld -o $@ $(@:.elf=.o) $(BUILD)/guests/64/pvh_note.o
.PRECIOUS: $(BUILD)/guests/32/%.elf $(BUILD)/guests/64/%.o $(BUILD)/guests/32/%.o

.PHONY: guests
guests: $(GUESTS)

-include $(wildcard $(BUILD)/guests/64/*.d $(BUILD)/guests/32/*.d)
