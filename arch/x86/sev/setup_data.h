// Where Linux's loaders say that SNP's pages are: the confidential-computing blob,
// by boot_params or by its list of setup data. Source: Documentation/arch/x86/boot.rst;
// arch/x86/include/asm/sev.h, cc_blob_sev_info.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

// False, with both as they were, where there is no blob; one that is malformed ends the
// guest. Runs with paging off, where all that it reads is private: what the launch did not
// measure is not validated either.
bool find_linux_snp_pages(uint32_t boot_params, uint64_t& cpuid_page, uint64_t& secrets_page);

}  // namespace prologue

#pragma GCC visibility pop
