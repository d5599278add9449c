#include "vmsa.h"

#include <string.h>

namespace sevhost {
namespace {

// What the VMCB has not at the same place (tables B-2 and B-4).
struct SavedRegisters {
    uint64_t rcx, rdx, rbx, reserved, rbp, rsi, rdi, r8_to_r15[8];
};
constexpr unsigned kVmpl = 0xca;
constexpr unsigned kSavedRegisters = 0x308;
constexpr unsigned kFeatures = 0x3b0;

} // namespace

VmsaFields read_vmsa_fields(const uint8_t* page) {
    VmsaFields fields;
    fields.vmpl = page[kVmpl];
    memcpy(&fields.features, page + kFeatures, sizeof fields.features);
    return fields;
}

void load_vmsa(Processor& processor, const uint8_t* page) {
    VmcbSave& save = processor.save();
    memcpy(&save, page, offsetof(VmcbSave, reserved7));
    SavedRegisters saved;
    memcpy(&saved, page + kSavedRegisters, sizeof saved);
    const uint64_t low[] = {save.rax, saved.rcx, saved.rdx, saved.rbx,
                            save.rsp, saved.rbp, saved.rsi, saved.rdi};
    memcpy(processor.gprs, low, sizeof low);
    memcpy(processor.gprs + sizeof low / sizeof *low, saved.r8_to_r15, sizeof saved.r8_to_r15);
}

} // namespace sevhost
