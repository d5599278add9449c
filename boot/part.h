// A part of the boot that the link puts beside it where the kernel wants it: a
// contract, or what grants a wish. Laid out by arch/x86/entry/part.inc.
#pragma once
#pragma GCC visibility push(hidden)

#include <stdint.h>

namespace prologue {

struct Part {
    uint32_t magic;  // of contract_magic.h
    int32_t first_;  // of its functions, from this field:
    int32_t second_; // a contract's ParseLoaderInfo and NextModule

    template <class Function>
    Function* first() const {
        return function<Function>(first_);
    }
    template <class Function>
    Function* second() const {
        return function<Function>(second_);
    }

private:
    template <class Function>
    static Function* function(const int32_t& field) {
        return reinterpret_cast<Function*>(reinterpret_cast<uintptr_t>(&field) +
                                           static_cast<intptr_t>(field));
    }
};
static_assert(sizeof(Part) == 12);

} // namespace prologue

#pragma GCC visibility pop
