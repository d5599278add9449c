# The proof of the SEV host: guests that others wrote, and small ones of our own.

include $(SEVHOST_DIR)/linux/linux.mk
include $(SEVHOST_DIR)/guests/guests.mk

# What is fetched may not be there, without a network: then those tests fail that want it.
.PHONY: debian-guests-if-there
debian-guests-if-there:
	@$(MAKE) $(DEBIAN_GUESTS) || echo "Debian's packages cannot be had: some tests will fail." >&2

.PHONY: check-sev sev-guests
sev-guests: $(SEVHOST) $(GUESTS) $(INITRAMFS) kernels debian-guests-if-there
check-sev: sev-guests
	@$(CHECK) sev
check: sev-guests
check-qemu: debian-guests-if-there $(INITRAMFS) # kexec's test, and payloads', want a Linux
