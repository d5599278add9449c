# Guests that know nothing of us: Debian's kernel, with a user space of one program, and
# Debian's firmware. They are fetched, and never part of this project.

LINUX_DIR := $(SEVHOST_DIR)/linux
DEBIAN := $(BUILD)/debian
DEBIAN_GUESTS := $(DEBIAN)/vmlinuz $(DEBIAN)/OVMF.fd
INITRAMFS := $(BUILD)/initramfs.cpio

# Once fetched they stay, whatever changes here: a newer kernel comes by `make clean`.
$(DEBIAN_GUESTS) &:
	@echo "  $(DEBIAN_GUESTS)"
	$(LINUX_DIR)/fetch.sh $(DEBIAN)

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
