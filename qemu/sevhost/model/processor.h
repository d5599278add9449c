// The guest's virtual processor, as far as the host stands in for the real one.
#pragma once

#include <stdint.h>

#include "guest_memory.h"
#include "vmcb.h"

namespace sevhost {

// General registers by their numbers in an instruction.
enum Gpr : unsigned { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, kGprCount = 16 };

class ReverseMap;

struct Processor {
    explicit Processor(GuestMemory& guests) : memory(guests) {}

    Vmcb* vmcb = nullptr;
    // RAX and RSP are the VMCB's while the guest runs, and here between exits.
    uint64_t gprs[kGprCount] = {};
    uint64_t c_bit_mask = 0; // 0: memory is not encrypted
    // Address bits that a hostile host's nested tables do not look at: 0 for an honest one's.
    uint64_t alias_mask = 0;
    GuestMemory& memory;
    const ReverseMap* reverse_map = nullptr; // SNP only

    VmcbSave& save() const { return vmcb->save; }
    bool paging() const { return (save().cr0 & kCr0Pg) != 0; }
    bool long_mode() const { return (save().efer & kEferLma) != 0; }
    bool in_64_bit_code() const {
        return long_mode() && (save().cs.attributes & kSegmentLong) != 0;
    }
    // Whether the C-bit is part of the addresses in use: PAE tables or long mode's
    // (APM vol. 2, 15.34.4). Everything is private where it is not.
    bool paging_has_c_bit() const {
        return c_bit_mask != 0 && paging() && (save().cr4 & kCr4Pae) != 0;
    }
};

} // namespace sevhost
