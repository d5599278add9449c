#include "world_switch.h"

#include "machine.h"

extern "C" void enter_guest(uint64_t* gprs, uint64_t guest_vmcb, uint64_t host_vmcb);

namespace sevhost {
namespace {

alignas(kPageBytes) uint8_t host_save_area[kPageBytes];
Vmcb host_vmcb;
HostPhys host_vmcb_phys;

} // namespace

void prepare_world_switch(HostMemory& host) {
    write_msr(kMsrEfer, read_msr(kMsrEfer) | kEferSvme);
    write_msr(kMsrVmHsavePa, host.phys_of(host_save_area));
    host_vmcb_phys = host.phys_of(&host_vmcb);
    asm volatile("clgi"); // so it stays: VMRUN sets GIF for the guest, #VMEXIT clears it (15.17)
    asm volatile("vmsave %%rax" : : "a"(host_vmcb_phys) : "memory");
}

void run_guest(Guest& guest) {
    guest.save().rax = guest.gprs[rax];
    guest.save().rsp = guest.gprs[rsp];
    enter_guest(guest.gprs, guest.vmcb_phys, host_vmcb_phys);
    guest.gprs[rax] = guest.save().rax;
    guest.gprs[rsp] = guest.save().rsp;
}

} // namespace sevhost
