# libprologue.a: the 32-bit stage, linked apart as a flat binary; the 64-bit
# stage and the entry around it. A folder is an execution environment and has
# its flags; boot/, paging/ and report/ are compiled for each that needs them.

LIBRARY := $(BUILD)/libprologue.a
STAGE32 := $(BUILD)/stage32.elf

INCLUDES := $(addprefix -I,boot boot/include arch/x86/cpu arch/x86/entry arch/x86/paging \
	arch/x86/report arch/x86/cpus arch/x86/sev arch/x86/sev32 arch/x86/sev64 arch/x86/stage32 arch/x86/stage64)
FREESTANDING := -std=c++20 -ffreestanding -fPIE -fno-jump-tables -fno-exceptions -fno-rtti \
	-fno-stack-protector -fvisibility=hidden -fno-asynchronous-unwind-tables \
	-fno-threadsafe-statics -fno-strict-aliasing -fomit-frame-pointer \
	-Wall -Wextra -Wno-missing-field-initializers -Werror -g $(INCLUDES)
FLAGS32 := --target=i386-none-elf -march=i386 -mregparm=3 -mno-sse -Oz -ffunction-sections \
	$(FREESTANDING)
FLAGS64 := --target=x86_64-none-elf -mno-red-zone -Oz -ffunction-sections $(FREESTANDING)

REPORT := $(wildcard arch/x86/report/*.cpp)
SOURCES32 := $(wildcard arch/x86/stage32/*.cpp) $(REPORT) boot/image.cpp
SOURCES64 := $(wildcard arch/x86/stage64/*.cpp arch/x86/cpus/*.cpp arch/x86/paging/*.cpp boot/*.cpp) \
	$(REPORT)
ENTRY := $(wildcard arch/x86/entry/*.S arch/x86/cpus/*.S arch/x86/wishes/*.S)

# What only SEV guests need, and kernels can leave out: a 32-bit stage of its own, and
# the rest of it for 64-bit mode. No SSE: a #VC may come anywhere.
SEV_SHARED := $(addprefix arch/x86/sev/,msr_protocol.cpp cpuid_page.cpp)
SEV_SOURCES32 := $(wildcard arch/x86/sev32/*.cpp) boot/confidential.cpp $(SEV_SHARED)
SEV_SOURCES64 := $(wildcard arch/x86/sev/*.cpp arch/x86/sev64/*.cpp)
SOURCES64 += $(SEV_SOURCES64)
ENTRY += $(wildcard arch/x86/sev32/*.S arch/x86/sev64/*.S)

OBJECTS32 := $(SOURCES32:%.cpp=$(BUILD)/32/%.o)
SEV_OBJECTS32 := $(SEV_SOURCES32:%.cpp=$(BUILD)/32/%.o)
OBJECTS64 := $(SOURCES64:%.cpp=$(BUILD)/64/%.o) $(ENTRY:%.S=$(BUILD)/64/%.o)

# %ebp is a frame's pointer, or what it points to might be looked for in the stack's segment,
# which ends at the stack's bottom: sev32.h.
$(SEV_OBJECTS32): FLAGS32 += -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer

# A folder has one set of flags: small, but for the two whose loops are most of what a boot runs
# (docs/bench.md, "Flags"). Single files have what a handler demands of them, and nothing to win bytes.
$(BUILD)/64/boot/%.o: FLAGS64 += -Os
$(BUILD)/64/arch/x86/paging/%.o: FLAGS64 += -O2 -falign-loops=1

# A #VC may come anywhere.
$(SEV_SOURCES64:%.cpp=$(BUILD)/64/%.o): FLAGS64 += -mgeneral-regs-only

# A report must not need what may be off, or what the fault may be about.
$(addprefix $(BUILD)/64/,arch/x86/report/report.o arch/x86/report/console.o boot/image.o \
	arch/x86/stage64/last_words.o): FLAGS64 += -mgeneral-regs-only

$(BUILD)/32/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANGXX) $(FLAGS32) -MMD -MP -c -o $@ $<

# OPTIMISE= is one set for all, to count what the folders' own are worth.
$(BUILD)/64/%.o: %.cpp linker/plain_sections.sh
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANGXX) $(FLAGS64) $(OPTIMISE) -MMD -MP -c -o $@ $<
	linker/plain_sections.sh $(OBJCOPY) $@

$(BUILD)/64/%.o: %.S
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANG) --target=x86_64-none-elf $(INCLUDES) -Wa,-I$(BUILD) -g -MMD -MP -c -o $@ $<

LINK32 := $(LLD) -m elf_i386 -pie --no-dynamic-linker --hash-style=sysv --gc-sections \
	--orphan-handling=error -T linker/stage32.ld

# What moves a bzImage's kernel is linked so, too, and stands alone.
MOVE_SOURCES32 := $(wildcard arch/x86/linux32/*.cpp) $(REPORT)
MOVE_OBJECTS32 := $(MOVE_SOURCES32:%.cpp=$(BUILD)/32/%.o) $(BUILD)/16/arch/x86/linux32/move_image.o

STAGES32 := stage32 sev32 linux32
stage32_OBJECTS := $(OBJECTS32)
sev32_OBJECTS := $(SEV_OBJECTS32)
linux32_OBJECTS := $(MOVE_OBJECTS32)

define LINK_STAGE32
$(BUILD)/$(1).elf: $($(1)_OBJECTS) linker/stage32.ld
	$$(LINK32) --defsym=STAGE32_BASE=0 -o $$@ $($(1)_OBJECTS)
$(BUILD)/$(1)-elsewhere.elf: $($(1)_OBJECTS) linker/stage32.ld
	$$(LINK32) --defsym=STAGE32_BASE=0x2a345000 -o $$@ $($(1)_OBJECTS)
endef
$(foreach stage,$(STAGES32),$(eval $(call LINK_STAGE32,$(stage))))

$(BUILD)/%.bin: $(BUILD)/%.elf
	$(OBJCOPY) -O binary -j .stage32 $< $@

# Linked at two bases, a 32-bit stage is the same bytes: it has no address in it. The
# second is kept for who checks it.
.SECONDARY: $(STAGES32:%=$(BUILD)/%-elsewhere.bin)
$(BUILD)/%.same: $(BUILD)/%.bin $(BUILD)/%-elsewhere.bin
	cmp $^
	@touch $@

$(BUILD)/64/arch/x86/entry/stage32_blob.o: $(BUILD)/stage32.bin $(BUILD)/stage32.same
$(BUILD)/64/arch/x86/sev32/start_sev32.o: $(BUILD)/sev32.bin $(BUILD)/sev32.same

$(LIBRARY): $(OBJECTS64) linker/relocations.sh
	linker/relocations.sh $(OBJECTS64)
	@echo "  $@"
	rm -f $@
	$(AR) rcs $@ $(OBJECTS64)

# The real-mode part of a bzImage: a flat binary at offset 0 of its segment, the header first
# and what a kernel without a screen leaves out last.
LINUX16 := $(BUILD)/prologue-linux16.bin
LINUX16_OBJECTS := $(patsubst %,$(BUILD)/16/arch/x86/linux16/%.o,setup bios memory_map a20 screen)

$(BUILD)/16/%.o: %.S
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANG) --target=i386-none-elf $(INCLUDES) -MMD -MP -c -o $@ $<

$(LINUX16): $(LINUX16_OBJECTS)
	@echo "  $@"
	$(LLD) -m elf_i386 --image-base=0 --oformat=binary -Ttext=0 -e 0 -o $@ $^

LINUX32 := $(BUILD)/prologue-linux32.bin
$(LINUX32): $(BUILD)/linux32.bin $(BUILD)/linux32.same
	@echo "  $@"
	cp $< $@

# The EFI stub of a bzImage: a flat binary without a relocation.
EFI_STUB := $(BUILD)/prologue-efi.bin
EFI_SOURCES := $(wildcard arch/x86/efi/*.cpp) $(addprefix arch/x86/report/,console.cpp report.cpp)
EFI_OBJECTS := $(EFI_SOURCES:%.cpp=$(BUILD)/efi/%.o) $(BUILD)/64/arch/x86/efi/stub.o \
	$(BUILD)/64/arch/x86/entry/isr64.o
EFI_FLAGS := $(FLAGS64) -mgeneral-regs-only -DPROLOGUE_HAS_SCREEN -Iarch/x86/efi

$(BUILD)/efi/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANGXX) $(EFI_FLAGS) -MMD -MP -c -o $@ $<

LINK_EFI := $(LLD) -m elf_x86_64 -pie --no-dynamic-linker --hash-style=sysv --gc-sections \
	--orphan-handling=error -e prologue_efi_main -T linker/efi.ld

$(BUILD)/prologue-efi.elf: $(EFI_OBJECTS) linker/efi.ld linker/relocations.sh
	linker/relocations.sh $(EFI_OBJECTS)
	$(LINK_EFI) -o $@ $(EFI_OBJECTS)

$(EFI_STUB): $(BUILD)/prologue-efi.elf
	@echo "  $@"
	$(OBJCOPY) -O binary -j .stub $< $@

-include $(EFI_OBJECTS:.o=.d)
-include $(LINUX16_OBJECTS:.o=.d) $(MOVE_OBJECTS32:.o=.d)
-include $(OBJECTS32:.o=.d) $(SEV_OBJECTS32:.o=.d) $(OBJECTS64:.o=.d)
