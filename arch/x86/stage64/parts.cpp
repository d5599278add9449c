#include "parts.h"

#include "contract_magic.h"
#include "entry_state.h"
#include "errors.h"

#pragma GCC visibility push(hidden)
extern "C" {
extern const prologue::Part __start_prologue_parts[];
extern const prologue::Part __stop_prologue_parts[];
}

namespace prologue {
namespace {

[[gnu::always_inline]] constexpr bool is_known(uint32_t magic) {
    return magic == PVH_MAGIC || magic == MULTIBOOT1_MAGIC || magic == MULTIBOOT2_MAGIC ||
           magic == LINUX_MAGIC;
}

}  // namespace

const Part* find_part(uint32_t magic) {
    for (const Part* part = __start_prologue_parts; part != __stop_prologue_parts; ++part)
        if (part->magic == magic)
            return part;
    return nullptr;
}

const Part& find_contract(PhysMemory& memory, uint32_t& magic, uint64_t& info) {
    const uint32_t given = magic;
    if (!is_known(given)) {
        for (const Part* part = __start_prologue_parts; part != __stop_prologue_parts; ++part) {
            if (part->magic != RECOGNISER_MAGIC)
                continue;
            magic = part->first<Recognise>()(memory, prologue_entry_state, info);
            if (magic != 0)
                break;
        }
    }
    const Part* contract = find_part(magic);
    if (contract == nullptr)
        fail(is_known(given) ? Error::contract_left_out : Error::unknown_loader, given, info);
    return *contract;
}

}  // namespace prologue
