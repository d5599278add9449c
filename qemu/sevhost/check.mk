# The proof of the SEV host: guests that others wrote, and small ones of our own.

include $(SEVHOST_DIR)/linux/linux.mk
include $(SEVHOST_DIR)/guests/guests.mk

SEV_GUESTS := $(DEBIAN_GUESTS) $(INITRAMFS) $(GUESTS)

.PHONY: check-sev
check-sev: $(SEVHOST) $(SEV_GUESTS)
	@$(CHECK) sev
