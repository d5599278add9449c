# Guests that know nothing of us: Debian's kernel, with a user space of one program, and
# Debian's firmware; and loaders. They are fetched, and never part of this project.

LINUX_DIR := $(SEVHOST_DIR)/linux
DEBIAN := $(BUILD)/debian
DEBIAN12_FILES := $(addprefix $(DEBIAN)/,vmlinuz OVMF.fd OVMF_CODE_4M.fd OVMF_VARS_4M.fd)
DEBIAN13_FILES := $(addprefix $(DEBIAN)/trixie/,OVMF_CODE_4M.fd OVMF_CODE_4M.secboot.strictnx.fd \
	OVMF_VARS_4M.fd OVMF.fd vmlinuz grubx64.efi)
TOOL_FILES := $(DEBIAN)/tools/ukify
LOADER_FILES := $(addprefix $(DEBIAN)/loaders/,stage2_eltorito extlinux xen kexec/kexec \
	memtest86+x64.bin)
XEN13_FILES := $(DEBIAN)/trixie-xen/xen
XEN_FILES := $(addprefix $(DEBIAN)/xen/,vmlinuz busybox xl)
DEBIAN_BACKPORTS_FILES := $(DEBIAN)/trixie-backports/vmlinuz
DEBIAN_SID_FILES := $(DEBIAN)/sid/OVMF.amdsev.fd
DEBIAN_GUESTS := $(DEBIAN12_FILES) $(DEBIAN13_FILES) $(DEBIAN_BACKPORTS_FILES) $(DEBIAN_SID_FILES) \
	$(LOADER_FILES) $(XEN_FILES) $(XEN13_FILES) $(TOOL_FILES)
INITRAMFS := $(BUILD)/initramfs.cpio

# Once fetched they stay, whatever changes here: a newer kernel comes by `make clean`.
$(DEBIAN12_FILES) &:
	@echo "  $(DEBIAN12_FILES)"
	$(LINUX_DIR)/fetch.sh $(DEBIAN) bookworm
$(DEBIAN13_FILES) &:
	@echo "  $(DEBIAN13_FILES)"
	$(LINUX_DIR)/fetch.sh $(DEBIAN)/trixie trixie
$(TOOL_FILES):
	@echo "  $@"
	$(LINUX_DIR)/fetch.sh $(@D) trixie-tools
$(LOADER_FILES) &:
	@echo "  $(LOADER_FILES)"
	$(LINUX_DIR)/fetch.sh $(DEBIAN)/loaders bookworm-loaders
$(XEN_FILES) &:
	@echo "  $(XEN_FILES)"
	$(LINUX_DIR)/fetch.sh $(DEBIAN)/xen bookworm-xen
$(XEN13_FILES):
	@echo "  $@"
	$(LINUX_DIR)/fetch.sh $(@D) trixie-xen
$(DEBIAN_BACKPORTS_FILES):
	@echo "  $@"
	$(LINUX_DIR)/fetch.sh $(@D) trixie-backports
$(DEBIAN_SID_FILES):
	@echo "  $@"
	$(LINUX_DIR)/fetch.sh $(@D) sid

$(BUILD)/init: $(LINUX_DIR)/init.c
	@mkdir -p $(@D)
	@echo "  $@"
	$(CLANG) --target=x86_64-linux-gnu -std=c11 -O2 -ffreestanding -fno-stack-protector -fno-pic \
		-Wall -Wextra -Werror -fuse-ld=lld -nostdlib -static -o $@ $<

$(INITRAMFS): $(BUILD)/init qemu/making/initramfs.py
	@echo "  $@"
	$(PYTHON) qemu/making/initramfs.py $< $@

.PHONY: debian-guests
debian-guests: $(DEBIAN_GUESTS) $(INITRAMFS)
