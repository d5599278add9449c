// An IGVM file as a host reads it: the headers, checked once, and then the directives one by one
// (Microsoft's igvm_defs; QEMU backends/igvm.c).
#pragma once

#include <stdint.h>

#include "arch.h"

namespace sevhost::igvm {

// Fields of the headers that this host knows.
struct SupportedPlatform {
    uint32_t mask;
    uint8_t highest_vtl, type;
    uint16_t version;
    uint64_t shared_boundary;
};
struct ParameterArea {
    uint64_t bytes;
    uint32_t index, file_offset;
};
struct PageData {
    uint64_t gpa;
    uint32_t mask, file_offset, flags;
    uint16_t type, reserved;
};
struct ParameterInsert {
    uint64_t gpa;
    uint32_t mask, index;
};
struct [[gnu::packed]] VpContext {
    uint64_t gpa;
    uint32_t mask, file_offset;
    uint16_t index, reserved;
};
struct Parameter {
    uint32_t index, offset;
};
static_assert(sizeof(SupportedPlatform) == 16 && sizeof(ParameterArea) == 16 &&
              sizeof(PageData) == 24 && sizeof(ParameterInsert) == 16 && sizeof(VpContext) == 20 &&
              sizeof(Parameter) == 8);

enum class Kind : uint32_t {
    supported_platform = 0x1,
    guest_policy = 0x101,
    parameter_area = 0x301,
    page_data = 0x302,
    parameter_insert = 0x303,
    vp_context = 0x304,
    memory_map = 0x30c,
};
enum class Platform : uint8_t { native = 0, snp = 2, sev = 4, es = 5 };
enum class PageType : uint16_t { normal = 0, secrets = 1, cpuid = 2 };

// What the host writes into a memory map.
struct MapEntry {
    uint64_t start_page, pages;
    uint16_t type, flags;
    uint32_t reserved;
};
static_assert(sizeof(MapEntry) == 24);
enum class MapType : uint16_t { memory = 0, reserved = 1 };

// The registers of a native guest (IgvmNativeVpContextX64).
struct NativeContext {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8_to_r15[8];
    uint64_t rip, rflags, idtr_base;
    uint16_t idtr_limit, reserved[2], gdtr_limit;
    uint64_t gdtr_base;
    uint16_t code_selector, code_attributes; // a descriptor's bits 40 to 55
    uint32_t code_base, code_limit;
    uint16_t data_selector, data_attributes;
    uint32_t data_base, data_limit;
    uint64_t gs_base, cr0, cr3, cr4, efer;
};
static_assert(sizeof(NativeContext) == 232);

// A file whose headers were checked: each has its bytes, and the pages that they name are there.
struct File {
    const uint8_t* data = nullptr;
    uint64_t bytes = 0;
    uint64_t headers = 0, headers_end = 0;
    const char* wrong = nullptr; // nullptr: nothing; else where: `at`
    uint64_t at = 0;

    // A page that a header names; nullptr for an offset of 0, which stands for zeros.
    const uint8_t* page(uint32_t offset) const { return offset == 0 ? nullptr : data + offset; }
};
File read_file(const uint8_t* data, uint64_t bytes);

struct Header {
    Kind kind;
    const uint8_t* fields;

    template <typename T>
    T as() const {
        T value;
        __builtin_memcpy(&value, fields, sizeof value);
        return value;
    }
};
// Moves on; false at the end.
bool next_header(const File& file, uint64_t& at, Header& header);

// The bit of compatibility masks by which headers are for that platform; 0: none is.
uint32_t mask_for(const File& file, Platform platform);

} // namespace sevhost::igvm
