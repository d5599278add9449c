# Booting: the demonstration kernel, the boot tests, the bench, gdb.

RUN_SETTINGS := LOADER FIRMWARE LA57 SEV MEM CPU CMDLINE INITRD ACCEL PICTURE
export $(RUN_SETTINGS)

.PHONY: run
run: demos $(if $(CPUS),demos-cpus) $(FEEDERS) $(if $(filter-out none,$(SEV))$(filter igvm,$(LOADER)),$(SEVHOST))
	@$(PYTHON) qemu/run.py

.PHONY: iso
iso: demos
	@$(PYTHON) qemu/make_iso.py $(BUILD)/demo-best.elf multiboot2 $(BUILD)/prologue.iso "$(CMDLINE)"
	@$(PYTHON) qemu/make_iso.py $(BUILD)/demo-best-multiboot1.elf multiboot \
		$(BUILD)/prologue-multiboot1.iso "$(CMDLINE)"

# For a machine with SEV: docs/sev.md, "On hardware".
.PHONY: hardware-kit
hardware-kit: kernels
	@rm -rf $(BUILD)/hardware-kit && mkdir $(BUILD)/hardware-kit
	@cp qemu/hardware/* $(BUILD)/hardware-kit
	@cp $(BUILD)/demo-every.elf $(BUILD)/hardware-kit/demo.elf
	@cp $(BUILD)/demo-every.bzImage $(BUILD)/hardware-kit/demo.bzImage
	@mkdir -p $(BUILD)/hardware-kit/esp/EFI/BOOT
	@cp $(BUILD)/demo-every.bzImage $(BUILD)/hardware-kit/esp/EFI/BOOT/BOOTX64.EFI
	@linker/prologue-igvm --cmdline hardware --platform sev-es --platform snp \
		-o $(BUILD)/hardware-kit/demo.igvm $(BUILD)/demo-every.elf
	@$(PYTHON) qemu/make_iso.py --efi $(BUILD)/demo.elf multiboot2 \
		$(BUILD)/hardware-kit/grub-efi.iso hardware

# Where a kernel of ours is run besides: its direct map, with four and with five levels.
COUNT_WINDOWS := --window 0xffff800000000000 --window 0xff00000000000000

# With KERNEL=, counts that image's way up; otherwise ours, beside what it may cost.
.PHONY: bench
bench: kernels $(FEEDERS)
ifdef KERNEL
	@$(PYTHON) qemu/measuring/count.py --profile --kernel $(KERNEL) $(COUNT_WINDOWS) $(COUNT)
	@$(PYTHON) qemu/measuring/pages.py --kernel $(KERNEL) $(COUNT_WINDOWS) $(COUNT)
else
	@$(PYTHON) qemu/bench.py
endif

.PHONY: debug
debug: kernels
	@$(PYTHON) qemu/debug.py $(KERNEL)

# TEST goes by the environment: a name may have an apostrophe.
export TEST JOBS
CHECK = $(PYTHON) qemu/check.py

.PHONY: check check-host check-qemu
check: host-binaries kernels check-tool check-tool-sanitized $(FEEDERS) zig-if-there
	@$(CHECK) host qemu sev
check-host: host-binaries kernels
	@$(CHECK) host
check-qemu: kernels check-tool check-tool-sanitized $(FEEDERS) zig-if-there
	@$(CHECK) qemu

# For the template in Zig.
.PHONY: zig-if-there
zig-if-there:
	@$(MAKE) $(BUILD)/zig/zig || echo "A Zig compiler cannot be had: its template is not tried." >&2
$(BUILD)/zig/zig: qemu/fetch_zig.sh
	@echo "  $@"
	qemu/fetch_zig.sh $(@D)

# What the changed files feed, in two minutes at most.
.PHONY: check-quick
check-quick: host-binaries kernels $(FEEDERS) $(SEVHOST)
	@$(PYTHON) qemu/quick.py

.PHONY: compile_commands.json
compile_commands.json:
	@$(PYTHON) qemu/compile_commands.py

# The gate's command in a tree of another release: bookworm, trixie, trixie-backports, sid.
RELEASE ?= trixie
.PHONY: check-in-debian
check-in-debian:
	@$(PYTHON) qemu/in_debian.py $(RELEASE) make setup check

# Which lines of the SEV path can be changed without a test that notices (qemu/mutants.py).
.PHONY: mutants
mutants: $(SEVHOST) kernels $(FEEDERS) $(BUILD)/hosttests $(BUILD)/hosttests-sev
	@$(PYTHON) qemu/mutants.py $(if $(NAMED),--named) $(if $(AGAIN),--again) $(if $(FILES),--files '$(FILES)') $(if $(SAMPLE),--sample $(SAMPLE)) \
		$(if $(MOST),--most $(MOST)) $(if $(JOBS),--jobs $(JOBS)) $(if $(STAGES),--stages $(STAGES))
