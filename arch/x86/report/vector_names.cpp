#include "report.h"

namespace prologue {

// SDM vol. 3, 6.15; APM vol. 2, 8.2.
const char prologue_vector_names[] =
    "#DE divide error\0#DB debug\0NMI\0#BP breakpoint\0#OF overflow\0#BR bound range\0"
    "#UD invalid opcode\0#NM no coprocessor\0#DF double fault\0\0#TS invalid TSS\0"
    "#NP segment not present\0#SS stack fault\0#GP general protection\0#PF page fault\0\0"
    "#MF floating point\0#AC alignment\0#MC machine check\0#XM SIMD\0#VE virtualization\0"
    "#CP control protection\0\0\0\0\0\0\0#HV hypervisor injection\0#VC VMM communication\0"
    "#SX security\0";

} // namespace prologue
