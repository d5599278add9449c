"""Changes that readers of the SEV path have tried by hand and no test noticed; each is noticed now.
Most are more than one line, or another line than a rule would make (mutations.py)."""

from typing import Iterator

from mutations import Mutant, named_mutant

_START, _BACK = "arch/x86/sev32/start_sev32.S", "arch/x86/sev64/leave_long_mode.S"
_BOOT, _CALLS = "arch/x86/sev64/sev64.cpp", "arch/x86/sev64/kernel_calls.cpp"
_SEV32, _BLOB = "arch/x86/sev32/sev32.cpp", "boot/confidential.cpp"
_ISR32 = "arch/x86/entry/isr32.inc"

_IN_KERNELS_MAP = ("show_to_host(tables, sev().boot.ghcb_phys + finish.image.virtual_offset(), "
                   "kPage);")
_IN_DIRECT_MAP = ("if (sev().boot.ghcb_phys < handoff.direct_map_bytes)\n"
                  "show_to_host(tables, handoff.direct_map + sev().boot.ghcb_phys, kPage);")
_IN_IDENTITY_MAP = ("if (sev().boot.ghcb_phys < handoff.identity_bytes)\n"
                    "show_to_host(tables, sev().boot.ghcb_phys, kPage);")
_FLUSH = "flush_page(virt);\nif (prologue_sev_state.snp())\n"
_PAGES = "if (pages.wrong || pages.cpuid.end > kSeen || pages.secrets.end > kSeen)"

# What is wrong then, the file, its lines, and what becomes of them.
_CHANGES = (
    ("the GHCB is private in the kernel's map", _BOOT, _IN_KERNELS_MAP, ";"),
    ("the GHCB is private in the direct map", _BOOT, _IN_DIRECT_MAP, ";"),
    ("the GHCB is private in the identity map", _BOOT, _IN_IDENTITY_MAP, ";"),
    ("the GHCB is private in every map", _BOOT, f"if (sev().es()) {{\n{_IN_KERNELS_MAP}",
     "if (false) {"),
    ("the proof's first half is not compared", _START,
     "cmpl    %ebx, AT(proof)\njne     no_proof", ""),
    ("the proof's second half is not compared", _START,
     "cmpl    %edi, AT(proof + 4)\njne     no_proof", ""),
    ("the proof's first half is not written", _START, "movl    %ebx, AT(proof)", ""),
    ("the proof's second half is not written", _START, "movl    %edi, AT(proof + 4)", ""),
    ("the proof's values are constants", _START, "RANDOM  %ebx\nRANDOM  %edi",
     "        movl    $0x5ec7e7a1, %ebx\n        movl    $0x1b2c3d4e, %edi"),
    ("the proof's first value is a constant", _START, "RANDOM  %ebx",
     "        movl    $0x5ec7e7a1, %ebx"),
    ("the proof's second value is a constant", _START, "RANDOM  %edi",
     "        movl    $0x1b2c3d4e, %edi"),
    ("the proof's values are the same", _START, "RANDOM  %edi", "        movl    %ebx, %edi"),
    ("the proof's second value is zero", _START, "RANDOM  %edi", "        xorl    %edi, %edi"),
    ("gates stay in force in the switch to 64-bit mode", _START, "lidt    AT(prologue_no_idt)", ""),
    ("gates stay in force on the way back to 32-bit mode", _BACK,
     "lidt    prologue_no_idt(%rip)", ""),
    ("the CPUID page's upper half is not looked at", _SEV32, _PAGES,
     "if (pages.wrong || pages.secrets.end > kSeen)"),
    ("the secrets page's upper half is not looked at", _SEV32, _PAGES,
     "if (pages.wrong || pages.cpuid.end > kSeen)"),
    ("the CPUID page's upper half is left out", _BLOB,
     "found.cpuid = {blob.cpuid, blob.cpuid + kPage};",
     "found.cpuid = {uint32_t(blob.cpuid), uint32_t(blob.cpuid) + kPage};"),
    ("the secrets page's upper half is left out", _BLOB,
     "found.secrets = {blob.secrets, blob.secrets + kPage};",
     "found.secrets = {uint32_t(blob.secrets), uint32_t(blob.secrets) + kPage};"),
    ("information above 4 GiB is cut off", _BACK, "orq     %rbx, %rcx", ""),
    ("a #VC before SEV_STATUS is known ends by another code", _ISR32,
     "movl    $PROLOGUE_SEV_VC_EARLY, %ecx\n1:      cmpl    $VECTOR_VC, %eax",
     "1:      cmpl    $VECTOR_VC, %eax"),
    ("an injected #VC ends by another code", _ISR32, "movb    $PROLOGUE_SEV_VC_INJECTED, %cl", ""),
    ("a #VC at the read of SEV_STATUS ends by another code", _ISR32,
     "movb    $PROLOGUE_SEV_STATUS_READ, %cl", ""),
    ("a hidden guest ends by another code", _ISR32,
     "movl    $GHCB_TERMINATION(PROLOGUE_SEV_HIDDEN), %eax",
     "        movl    $GHCB_TERMINATION(PROLOGUE_SEV_MISSING), %eax"),
    ("a #VC before SEV_STATUS is known is asked of the host, in 64-bit mode", _BOOT,
     "if (sev().unknown != 0)", "    if (false)"),
    ("a #VC at the read of SEV_STATUS ends by another code, in 64-bit mode", _BOOT,
     "prologue_sev_unknown_end(is_of_status(frame) ? PROLOGUE_SEV_STATUS_READ\n"
     ": PROLOGUE_SEV_VC_EARLY);", "        prologue_sev_unknown_end(PROLOGUE_SEV_VC_EARLY);"),
    ("the GHCB is not flushed", _BOOT, "flush_page(ghcb_virt());", ";"),
    ("a page that is shared is not flushed", _CALLS, f"{_FLUSH}rescind_page(virt);",
     "    if (prologue_sev_state.snp())\n        rescind_page(virt);"),
    ("a page that is taken back is not flushed", _CALLS,
     f"{_FLUSH}ask_page_state(phys, PageState::private_);",
     "    if (prologue_sev_state.snp())\n        ask_page_state(phys, PageState::private_);"),
    ("a page that is taken back is flushed behind the request", _CALLS,
     f"{_FLUSH}ask_page_state(phys, PageState::private_);",
     "    if (prologue_sev_state.snp())\n        ask_page_state(phys, PageState::private_);\n"
     "    flush_page(virt);"),
    ("lines are not flushed", _BOOT,
     'asm volatile("clflush (%0)" : : "r"(virt) : "memory");', "        ;"),
    ("nothing waits for the flush", _BOOT, 'asm volatile("mfence" : : : "memory");', "    ;"),
)


def named() -> Iterator[Mutant]:
    return (named_mutant(*change) for change in _CHANGES)
