# The SEV host: a kernel on Prologue, linked as the test kernels are. Its logic
# (model/) is compiled for the host's tests too.

SEVHOST_DIR := qemu/sevhost
# No SSE: what is in those registers is the guest's, and stays there.
SEVHOST_FLAGS = $(KERNEL_FLAGS) -mgeneral-regs-only -I$(SEVHOST_DIR)/host -I$(SEVHOST_DIR)/hostile \
	-I$(SEVHOST_DIR)/model -Iboot
SEVHOST_SOURCES := $(wildcard $(addprefix $(SEVHOST_DIR)/,host/*.cpp hostile/*.cpp model/*.cpp))
SEVHOST_OBJECTS := $(SEVHOST_SOURCES:$(SEVHOST_DIR)/%.cpp=$(BUILD)/sevhost/%.o) \
	$(patsubst $(SEVHOST_DIR)/%.S,$(BUILD)/sevhost/%.o,$(wildcard $(SEVHOST_DIR)/host/*.S))
SEVHOST := $(BUILD)/sevhost.elf

$(BUILD)/sevhost/%.o: $(SEVHOST_DIR)/%.cpp
	@mkdir -p $(@D)
	@echo "  $@"
	$(KERNEL_CXX) $(SEVHOST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/sevhost/%.o: $(SEVHOST_DIR)/%.S
	@mkdir -p $(@D)
	@echo "  $@"
	$(KERNEL_C) $(SEVHOST_FLAGS) -MMD -MP -c -o $@ $<

# Multiboot 1, since QEMU's PVH hands over one module at most, and without a string.
$(SEVHOST): $(SEVHOST_OBJECTS) $(LIBRARY) $(wildcard linker/prologue*.ld)
	@echo "  $@"
	$(KERNEL_LINK) -u prologue_multiboot1 -Map $(@:.elf=.map) -o $@ $(SEVHOST_OBJECTS) $(LIBRARY)

$(SEVHOST_OBJECTS): Makefile qemu/kernels/kernels.mk $(SEVHOST_DIR)/sevhost.mk

# A guest that only exits, for the bench.
EXIT_RATE := $(BUILD)/exit_rate.elf

$(BUILD)/sevhost/bench/%.o: $(SEVHOST_DIR)/bench/%.S
	@mkdir -p $(@D)
	@echo "  $@"
	$(KERNEL_C) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(EXIT_RATE): $(BUILD)/sevhost/bench/exit_rate.o
	@echo "  $@"
	$(LLD) -static -Ttext=0x200000 --entry=start -o $@ $<

bench: $(SEVHOST) $(EXIT_RATE)

.PHONY: sevhost
sevhost: $(SEVHOST)

GUEST_SETTINGS := GUEST HOST SEV CBIT CMDLINE INITRD MEM HIGH HOSTILE TRACE STATE ACCEPT RMP \
	SEED INTERCEPT CANARY CPU
export $(GUEST_SETTINGS)

# A guest of one's own under the SEV host.
.PHONY: guest
guest: $(SEVHOST)
	@$(PYTHON) qemu/guest.py

-include $(SEVHOST_OBJECTS:.o=.d)
