# The SEV host: a kernel on Prologue, linked as the test kernels are. Its logic
# (model/) is compiled for the host's tests too.

SEVHOST_DIR := qemu/sevhost
# No SSE: what is in those registers is the guest's, and stays there.
SEVHOST_FLAGS = $(KERNEL_FLAGS) -mgeneral-regs-only -I$(SEVHOST_DIR)/host -I$(SEVHOST_DIR)/hostile \
	-I$(SEVHOST_DIR)/sweep -I$(SEVHOST_DIR)/model -Iboot
sevhost_objects = $(patsubst $(SEVHOST_DIR)/%,$(BUILD)/sevhost/%.o,$(basename \
	$(wildcard $(addprefix $(SEVHOST_DIR)/,$(1)))))
# The behaviours' state lies in one piece, so that a sweep can take it back.
HOSTILE_OBJECTS := $(call sevhost_objects,hostile/*.cpp)
SEVHOST_OBJECTS := $(call sevhost_objects,sweep/behaviours_begin.S) $(HOSTILE_OBJECTS) \
	$(call sevhost_objects,sweep/behaviours_end.S) $(filter-out %/behaviours_begin.o \
	%/behaviours_end.o,$(call sevhost_objects,host/*.cpp host/*.S model/*.cpp sweep/*.cpp sweep/*.S))
$(HOSTILE_OBJECTS): SEVHOST_FLAGS += -fdata-sections
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

GUEST_SETTINGS := GUEST KERNEL DISK HOST SEV CBIT CMDLINE INITRD MEM HIGH HOSTILE TRACE STATE \
	ACCEPT RMP SEED INTERCEPT INJECTION CANARY STACKS SWEEP FROM STRIDE CPU CPUS SCHEDULE
export $(GUEST_SETTINGS)

# A guest of one's own under the SEV host.
.PHONY: guest
guest: $(SEVHOST)
	@$(PYTHON) qemu/guest.py

# Each way in, whole, where `make check` takes some of the steps: half an hour.
.PHONY: sweep
sweep: $(SEVHOST) kernels
	@$(PYTHON) qemu/sweep.py $(if $(ENTRY),--entry $(ENTRY)) $(if $(SEV),--sev $(SEV)) \
		$(if $(SWEEP),--what $(SWEEP)) $(if $(STRIDE),--stride $(STRIDE))

-include $(SEVHOST_OBJECTS:.o=.d)
