// Exceptions that the processor itself would raise: injected by VMRUN (15.20).
#pragma once

#include "guest.h"
#include "vmcb.h"

namespace sevhost {

inline void inject_gp(Guest& guest) {
    guest.vmcb->control.event_injection = kEventValid | kEventException | kEventHasErrorCode |
                                          kVectorGp;
}

inline void inject_ud(Guest& guest) {
    guest.vmcb->control.event_injection = kEventValid | kEventException | kVectorUd;
}

inline void inject_pf(Guest& guest, uint64_t linear, uint32_t error_code) {
    guest.save().cr2 = linear;
    guest.vmcb->control.event_injection = kEventValid | kEventException | kEventHasErrorCode |
                                          kVectorPf | uint64_t{error_code} << kEventErrorCodeShift;
}

} // namespace sevhost
