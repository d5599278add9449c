#include "world_switch.h"

#include "machine.h"

extern "C" void enter_guest(uint64_t* gprs, uint64_t guest_vmcb, uint64_t host_vmcb);

namespace sevhost {

HostPhys prepare_world_switch(HostMemory& host) {
    write_msr(kMsrEfer, read_msr(kMsrEfer) | kEferSvme);
    write_msr(kMsrVmHsavePa, host.take_page());
    const HostPhys host_vmcb = host.take_page();
    asm volatile("clgi"); // so it stays: VMRUN sets GIF for the guest, #VMEXIT clears it (15.17)
    asm volatile("vmsave %%rax" : : "a"(host_vmcb) : "memory");
    return host_vmcb;
}

void run_guest(Guest& guest) {
    guest.save().rax = guest.gprs[rax];
    guest.save().rsp = guest.gprs[rsp];
    enter_guest(guest.gprs, guest.vmcb_phys, guest.host_vmcb_phys);
    guest.gprs[rax] = guest.save().rax;
    guest.gprs[rsp] = guest.save().rsp;
}

} // namespace sevhost
