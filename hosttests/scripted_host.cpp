#include "scripted_host.h"

#include "bits.h"

#include <stdexcept>

prologue::SevState prologue::prologue_sev_state;

namespace prologue::test {

ScriptedHost* scripted_host;

ScriptedHost::ScriptedHost() {
    scripted_host = this;
    prologue_sev_state = {};
    prologue_sev_state.status = SEV_STATUS_SEV | SEV_STATUS_ES;
    prologue_sev_state.c_bit_mask = kCBit;
    prologue_sev_state.version = 2;
    prologue_sev_state.page_stands = 1;
    prologue_sev_state.boot.ghcb_phys = 0x7000;
    prologue_sev_state.boot.dr7 = 0x400;
}

ScriptedHost::~ScriptedHost() {
    scripted_host = nullptr;
}

void ScriptedHost::map(uint64_t virt, uint64_t phys, bool is_private, unsigned in_level) {
    uint64_t table = cr3 = 0x1000;
    for (unsigned level = (cr4 & CR4_LA57) != 0 ? 5 : 4; level != in_level; --level) {
        const uint64_t index = virt >> (3 + 9 * level) & 511;
        if (tables[table][index] == 0)
            tables[table][index] = (0x1000 * (tables.size() + 1)) | kCBit | 3;
        table = tables[table][index] & 0x7ffffffff000;
    }
    tables[table][virt >> (3 + 9 * in_level) & 511] = phys | 3 | (is_private ? kCBit : 0) |
                                                      (in_level == 1 ? 0u : PTE_LARGE);
}

} // namespace prologue::test

namespace prologue {

using test::scripted_host;

uint64_t read_ghcb_msr() {
    return scripted_host->ghcb_msr;
}

uint64_t exchange_ghcb_msr(uint64_t request) {
    scripted_host->msr_requests.push_back(request);
    if (!scripted_host->on_msr)
        throw std::logic_error("an MSR request that the test does not expect");
    return scripted_host->ghcb_msr = scripted_host->on_msr(request);
}

void sev_terminate(unsigned code) {
    throw test::Terminated{code};
}

SevCpu& this_sev_cpu() {
    return prologue_sev_state.boot;
}

volatile uint8_t* ghcb_page(const SevCpu&) {
    return scripted_host->page;
}

void exit_by_ghcb(const SevCpu&) {
    test::PageRequest request;
    std::memcpy(request.bytes.data(), scripted_host->page, sizeof scripted_host->page);
    scripted_host->page_requests.push_back(request);
    if (!scripted_host->on_page)
        throw std::logic_error("a page request that the test does not expect");
    scripted_host->on_page();
}

Validated pvalidate(uint64_t virt, bool large, bool validate) {
    return scripted_host->on_pvalidate(virt, large, validate);
}

uint32_t rmpadjust(uint64_t virt, uint64_t level_and_rights) {
    return scripted_host->on_rmpadjust(virt, level_and_rights);
}

void read_line(uint64_t virt) {
    if (scripted_host->on_read_line)
        return scripted_host->on_read_line(virt);
    (void)*reinterpret_cast<const volatile uint8_t*>(virt);
}

uint64_t vc_cr3() {
    return scripted_host->cr3;
}
uint64_t vc_cr4() {
    return scripted_host->cr4;
}
uint64_t vc_xcr0() {
    return scripted_host->xcr0;
}
uint64_t vc_xss() {
    return scripted_host->xss;
}
uint64_t vc_tsc_aux() {
    return scripted_host->tsc_aux;
}
bool vc_is_boots_pat_write(uint64_t rip) {
    return rip == scripted_host->pat_write_at;
}
uint64_t vc_segment_base(bool gs) {
    return gs ? scripted_host->gs_base : scripted_host->fs_base;
}
bool vc_is_64bit(uint64_t) {
    return scripted_host->is_64bit;
}
const uint64_t* vc_table(uint64_t phys) {
    return scripted_host->tables[phys].data();
}
const CpuidPage* vc_cpuid_page() {
    return scripted_host->cpuid_page;
}

} // namespace prologue
