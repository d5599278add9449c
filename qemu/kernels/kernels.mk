# The test kernels: each is linked with the library, its default linker script
# and the public headers, and nothing else of Prologue.

KERNEL_FLAGS := --target=x86_64-none-elf -mcmodel=kernel -mno-red-zone -O2 -ffreestanding \
	-fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
	-Wall -Wextra -Wno-missing-field-initializers -Werror -g -Iboot/include
KERNEL_CXX := $(CLANGXX) -std=c++20 -fno-exceptions -fno-rtti
KERNEL_C := $(CLANG) -std=c11
# Symbols that the script provides are given before it, or come too late.
KERNEL_LINK = $(LLD) -static -z max-page-size=4096 $(KERNEL_SYMBOLS) -L linker -T prologue.ld

# One kernel a line, with the objects it is made of. An object is named after
# its source file and the variants of it, in a row: state-best-large.
demo := demo console
demo-best := demo-best console
demo-five := demo-five console
demo-cpus := demo console processors
demo-best-cpus := demo-best console processors
demo-five-cpus := demo-five console processors
demo-cpus-multiboot1 := demo console processors
demo-best-cpus-multiboot1 := demo-best console processors
demo-five-cpus-multiboot1 := demo-five console processors
demo-cpus-every := demo-every console processors
demo-best-cpus-every := demo-best-every console processors
demo-five-cpus-every := demo-five-every console processors
demo-services := demo-services console services
demo-services-every := demo-services-every console services
demo-multiboot1 := demo console
demo-best-multiboot1 := demo-best console
demo-five-multiboot1 := demo-five console
demo-low := demo console
demo-every := demo-every console
demo-best-every := demo-best-every console
demo-five-every := demo-five-every console
faults := faults console
faults-best := faults-best console
state := state console
state-best := state-best console
state-multiboot1 := state console
state-elsewhere := state console
state-low := state console
state-8g := state-large console-large
state-user := state-large console-large
state-high := state-large console-large
state-across := state-large console-large
state-window := state-best-pie console-pie
state-every := state-every console
state-best-every := state-best-every console
state-wishless := state-wishless-pie console-pie
c_kernel := c_kernel
demo-random-best-every := demo-random-best-every-pie console-pie
sums-random := sums-random-pie console-pie
sums-random-every := sums-random-every-pie console-pie
low_memory-four := low_memory-four console
low_memory-five := low_memory-five console
depth-four := depth-four console
depth-five := depth-five console
reuse := reuse
reuse-multiboot1 := reuse
helpers := helpers-four
forms := forms console
demo-mark := demo-mark console
demo-nosev := demo-nosev console
demo-nosev-every := demo-nosev-every console
forms-five := forms-five console
sev_calls := sev_calls console
sev_calls-every := sev_calls-every console
doorbell := doorbell console
demo-required := demo-required console
demo-snponly := demo-snponly console
demo-restricted := demo-restricted console
helpers-five := helpers-five
helpers-multiboot1 := helpers-four
c_kernel-wishes := c_kernel-wishes
own_parser := own_parser
first_header := first_header
cpus-four := cpus-four
cpus-five := cpus-five
cpus_mailbox := cpus_mailbox
cpus_sev := cpus_sev
cpus_shootdown := cpus_shootdown
CPUS_NAMES := $(foreach depth,demo demo-best demo-five,$(depth)-cpus \
	$(depth)-cpus-multiboot1 $(depth)-cpus-every)
KERNEL_NAMES := $(CPUS_NAMES) own_parser first_header cpus-four cpus-five cpus_mailbox cpus_sev cpus_shootdown \
	low_memory-four low_memory-five depth-four depth-five forms forms-five \
	sev_calls sev_calls-every doorbell helpers helpers-five helpers-multiboot1 demo demo-services \
	demo-services-every demo-mark \
	demo-nosev demo-nosev-every demo-required demo-snponly demo-restricted demo-best demo-five demo-multiboot1 demo-best-multiboot1 \
	demo-five-multiboot1 demo-low demo-every demo-best-every demo-five-every state-every \
	state-best-every faults faults-best state state-best state-multiboot1 state-elsewhere \
	state-low state-8g state-user state-high state-across state-window state-wishless c_kernel \
	c_kernel-wishes reuse reuse-multiboot1 demo-random-best-every sums-random sums-random-every

VARIANT_four := -DKERNEL_PAGING=PROLOGUE_PAGING_FOUR
VARIANT_best := -DKERNEL_PAGING=PROLOGUE_PAGING_BEST -DKERNEL_LEVELS=4
VARIANT_five := -DKERNEL_PAGING=PROLOGUE_PAGING_FIVE -DKERNEL_LEVELS=5
VARIANT_payload := -DKERNEL_PAYLOAD
VARIANT_pvh64 := -DKERNEL_PVH64
VARIANT_random := -DKERNEL_RANDOM
VARIANT_services := -DKERNEL_BOOT_SERVICES
VARIANT_every := -DKERNEL_EVERY_HEADER
VARIANT_mark := -DKERNEL_ACCEPT=0x2000000
VARIANT_nosev := -DKERNEL_SEV=PROLOGUE_SEV_NONE
VARIANT_required := -DKERNEL_SEV=PROLOGUE_SEV_REQUIRED
VARIANT_snponly := -DKERNEL_SEV=PROLOGUE_SEV_SNP_REQUIRED
VARIANT_restricted := -DKERNEL_SEV=PROLOGUE_SEV_RESTRICTED_REQUIRED
VARIANT_large := -mcmodel=large
VARIANT_wishless := -DWISHES_ELSEWHERE
VARIANT_pie := -mcmodel=small -fPIE
VARIANT_pic := -mcmodel=small -fPIC
VARIANT_wishes := -DC_KERNEL_WISHES
variants_of = $(foreach variant,$(wordlist 2,9,$(subst -, ,$(1))),$(VARIANT_$(variant)))
source_of = $(wildcard $(addprefix qemu/kernels/$(firstword $(subst -, ,$(1))),.c .cpp .S))

# With which headers and where a kernel is linked, if not as the script says:
# in the low half's first top-level entry, below 4 GiB and above, and in another;
# right behind the direct map of four levels; across two top-level entries; and
# where that direct map is, which leaves room for it with five levels only.
%/demo-random-best-every.elf %/sums-random.elf %/sums-random-every.elf: KERNEL_LINK += -pie --no-dynamic-linker
%-multiboot1.elf: KERNEL_LINK += -u prologue_multiboot1
%/forms.elf %/forms-five.elf: KERNEL_SYMBOLS := --defsym=io_apic=0xffffffffc0000000
%/demo-low.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_PHYSICAL=0x90000
%/state-elsewhere.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_PHYSICAL=0x345000
%/state-low.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0
%/state-8g.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0x200000000
%/state-user.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0x400000000000
%/state-high.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0xffffc00000000000
%/state-across.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0xffffff7fff000000 \
	--defsym=PROLOGUE_PHYSICAL=0xff8000
%/state-window.elf: KERNEL_SYMBOLS := --defsym=PROLOGUE_VIRTUAL=0xffff900000000000

KERNELS := $(KERNEL_NAMES:%=$(BUILD)/%.elf)
KERNEL_OBJECTS := $(sort $(foreach name,$(KERNEL_NAMES),$($(name):%=$(BUILD)/kernels/%.o)))

$(BUILD)/kernels/%.o: $(wildcard qemu/kernels/*)
	@mkdir -p $(@D)
	@echo "  $@"
	$(KERNEL_$(if $(filter %.cpp,$(call source_of,$*)),CXX,C)) $(KERNEL_FLAGS) \
		$(call variants_of,$*) -MMD -MP -c -o $@ $(call source_of,$*)

define KERNEL_RULE
$(BUILD)/$(1).elf: $($(1):%=$(BUILD)/kernels/%.o) $(LIBRARY) $(wildcard linker/prologue*.ld)
	@echo "  $$@"
	$$(KERNEL_LINK) -Map $$(@:.elf=.map) -o $$@ $($(1):%=$(BUILD)/kernels/%.o) $(LIBRARY)
endef
$(foreach name,$(KERNEL_NAMES),$(eval $(call KERNEL_RULE,$(name))))

# Those that carry Linux's header, as loaders of Linux and UEFI take them, too.
BZIMAGES := $(patsubst %,$(BUILD)/%.bzImage,$(filter %-every low_memory-%,$(KERNEL_NAMES)))

$(BUILD)/%.bzImage: $(BUILD)/%.elf $(LINUX16) $(LINUX32) $(EFI_STUB) linker/prologue-bzimage
	@echo "  $@"
	linker/prologue-bzimage --setup $(LINUX16) $< $@

# Payloads of the loader image, without the library: high by a script of their own; low as lld lays
# it out; as PIEs with each kind of relocations.
PAYLOAD_NAMES := high best five sums low pie relr shared limine limine-pie limine-best limine-five informed informed-pvh64 sev sev-low sev-pie
PAYLOADS := $(PAYLOAD_NAMES:%=$(BUILD)/payload-%.elf)
payload-high := demo-payload console
payload-best := demo-payload-best console
payload-five := demo-payload-five console
payload-sums := sums console
payload-low := demo-payload-pie console-pie
payload-pie := sums-pie console-pie
payload-relr := sums-pie console-pie
payload-shared := sums-pic console-pic
payload-limine := limine console
payload-sev := encrypted
payload-sev-low := encrypted-pie
payload-sev-pie := encrypted-pie
payload-limine-pie := limine-pie console-pie
payload-limine-best := limine-best console
payload-limine-five := limine-five console
payload-informed := informed console
payload-informed-pvh64 := informed-pvh64 console
PAYLOAD_high := -z max-page-size=4096 -T qemu/kernels/payload.ld
PAYLOAD_best := $(PAYLOAD_high)
PAYLOAD_five := $(PAYLOAD_high)
PAYLOAD_sums := $(PAYLOAD_high)
PAYLOAD_informed := $(PAYLOAD_high) -e informed_entry
PAYLOAD_informed-pvh64 := $(PAYLOAD_informed)
PAYLOAD_low := --image-base=0x100000
PAYLOAD_sev := $(PAYLOAD_high)
PAYLOAD_sev-low := $(PAYLOAD_low)
PAYLOAD_pie := -pie --no-dynamic-linker
PAYLOAD_relr := $(PAYLOAD_pie) --pack-dyn-relocs=relr
PAYLOAD_sev-pie := $(PAYLOAD_pie)
PAYLOAD_limine := -z max-page-size=4096 --image-base=0xffffffff80000000 -e elf_entry
PAYLOAD_limine-pie := $(PAYLOAD_pie) -e elf_entry
PAYLOAD_limine-best := $(PAYLOAD_limine)
PAYLOAD_limine-five := $(PAYLOAD_limine)
PAYLOAD_shared := -shared -Bsymbolic-functions
payload_objects = $($(1):%=$(BUILD)/kernels/%.o)
KERNEL_OBJECTS += $(sort $(foreach name,$(PAYLOAD_NAMES),$(call payload_objects,payload-$(name))))

define PAYLOAD_RULE
$(BUILD)/payload-$(1).elf: $(call payload_objects,payload-$(1)) qemu/kernels/payload.ld
	@echo "  $$@"
	$$(LLD) -static -e kernel_main $$(PAYLOAD_$(1)) -o $$@ $$(filter %.o,$$^)
endef
$(foreach name,$(PAYLOAD_NAMES),$(eval $(call PAYLOAD_RULE,$(name))))

# What `make run` boots: each depth of paging, with the headers that its loader wants; and where
# CPUS= is given.
demos_of = $(foreach depth,demo demo-best demo-five,$(addprefix $(BUILD)/$(depth),\
	$(addprefix $(1),.elf -multiboot1.elf -every.elf -every.bzImage)))
DEMOS := $(call demos_of)
DEMOS_CPUS := $(call demos_of,-cpus)

.PHONY: demos demos-cpus kernels kernel-names
demos: $(DEMOS)
demos-cpus: $(DEMOS_CPUS)
kernel-names:
	@printf '%s\n' $(KERNEL_NAMES)
kernels: $(KERNELS) $(BZIMAGES) $(LOADER_IMAGES) $(PAYLOADS)

-include $(KERNEL_OBJECTS:.o=.d)
