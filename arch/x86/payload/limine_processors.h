// The Limine protocol's other processors: started here, and sent to wait for the payload on its own
// tables, in memory that nothing moves to.
#pragma once
#pragma GCC visibility push(hidden)

#include "payload/limine.h"
#include "prologue/cpus.h"
#include "way.h"

namespace prologue {

class Processors {
public:
    // Finds them and takes rooms for them, if they are wanted.
    Processors(Way& way, const LimineWishes& wishes);

    // All tables and the Departure must be as the payload gets them, but for their moves. `seen_at`
    // is where the payload sees physical 0.
    LimineProcessors start(Way& way, uint64_t moving_tables, uint64_t seen_at);

    uint32_t count() const { return count_; }

private:
    uint32_t count_ = 0;
    prologue_cpus cpus_ = {};
    LimineProcessor* list_ = nullptr;
    uint32_t* left_ = nullptr; // how many have left this image
    Span stacks_, memory_;
    uint64_t stack_bytes_;
};

} // namespace prologue

#pragma GCC visibility pop
