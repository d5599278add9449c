// Each interception that SEV-ES makes a #VC, by the rules of the mode that the guest stands in.
#include "exceptions.h"

static void cpuid() {
    Registers r = {.a = 1};
    RAISE("cpuid", r);
    EXPECT_VC(0x72);
}

const Scene scenes[] = {
    {"cpuid", cpuid},
};
const unsigned scene_count = sizeof scenes / sizeof scenes[0];
