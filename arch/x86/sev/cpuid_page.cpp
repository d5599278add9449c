#include "cpuid_page.h"

namespace prologue {

// APM vol. 3, appendix E.
bool has_subleaves(uint32_t leaf) {
    switch (leaf) {
    case 0x4:
    case 0x7:
    case 0xb:
    case 0xd:
    case 0xf:
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x17:
    case 0x18:
    case 0x1d:
    case 0x1f:
    case 0x8000001d:
    case 0x80000020:
    case 0x80000026:
        return true;
    }
    return false;
}

CpuidRegisters CpuidPage::find(uint32_t leaf, uint32_t subleaf) const {
    const bool any = !has_subleaves(leaf);
    for (uint32_t i = 0; i != count && i != kMost; ++i)
        if (entries[i].leaf == leaf && (any || entries[i].subleaf == subleaf))
            return entries[i].registers;
    return {};
}

} // namespace prologue
