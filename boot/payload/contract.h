// The contracts by which a payload is started, in the order in which what an image asks for counts;
// and their names, by which the command line wishes for another: contract=NAME.
#pragma once
#pragma GCC visibility push(hidden)

#include "loader_info.h"

namespace prologue {

#define PROLOGUE_CONTRACTS(X)                                                                      \
    X(none, "")                                                                                    \
    X(handoff, "handoff")                                                                          \
    X(limine, "limine")                                                                            \
    X(multiboot2_64, "multiboot2-64")                                                              \
    X(multiboot2, "multiboot2")                                                                    \
    X(multiboot1, "multiboot1")                                                                    \
    X(pvh64, "pvh64")                                                                              \
    X(pvh, "pvh")                                                                                  \
    X(linux64, "linux64")                                                                          \
    X(linux32, "linux32")

enum class Contract : uint8_t {
#define PROLOGUE_CONTRACT_ID(id, name) id,
    PROLOGUE_CONTRACTS(PROLOGUE_CONTRACT_ID)
#undef PROLOGUE_CONTRACT_ID
};

const char* name_of(Contract contract);

// Refuses a name of none.
Contract contract_named(Text name);

// Refuses, by name, one by which this payload cannot be started.
[[noreturn]] void refuse_contract(Contract contract);

// Is it entered in 64-bit mode, mapped as its headers say?
constexpr bool is_mapped_by(Contract contract) {
    return contract == Contract::handoff || contract == Contract::limine ||
           contract == Contract::multiboot2_64 || contract == Contract::pvh64;
}

} // namespace prologue

#pragma GCC visibility pop
