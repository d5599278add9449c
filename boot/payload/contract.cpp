#include "contract.h"

#include "refusals.h"

namespace prologue {
namespace {

constexpr char kNames[] =
#define PROLOGUE_CONTRACT_NAME(id, name) name "\0"
    PROLOGUE_CONTRACTS(PROLOGUE_CONTRACT_NAME);
#undef PROLOGUE_CONTRACT_NAME
constexpr unsigned kContracts = static_cast<unsigned>(Contract::linux32) + 1;

bool is(const char* name, Text text) {
    for (uint64_t i = 0; i != text.bytes; ++i)
        if (name[i] == 0 || name[i] != text.start[i])
            return false;
    return name[text.bytes] == 0;
}

} // namespace

const char* name_of(Contract contract) {
    const char* name = kNames;
    for (auto left = static_cast<unsigned>(contract); left != 0; --left)
        while (*name++ != 0) {
        }
    return name;
}

Contract contract_named(Text name) {
    for (unsigned i = 1; i != kContracts; ++i)
        if (is(name_of(static_cast<Contract>(i)), name))
            return static_cast<Contract>(i);
    static char shown[32];
    const uint64_t bytes = name.bytes < sizeof shown - 1 ? name.bytes : sizeof shown - 1;
    __builtin_memcpy(shown, name.start, bytes);
    shown[bytes] = 0;
    refuse_in(shown, Refusal::contract_unknown);
}

void refuse_contract(Contract contract) {
    refuse_in(name_of(contract), Refusal::contract);
}

} // namespace prologue
