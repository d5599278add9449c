#include "ghcb_page.h"

#include "snp.h"

GhcbPage ghcb_private;

constexpr uint64_t kRegisterRequest = 0x012, kRegisterResponse = 0x013;
constexpr uint16_t kProtocolVersion = 2;

void set_up_ghcb() {
    turn_paging_on();
    share_page(&ghcb_private);
    const uint64_t address = address_of(&ghcb_private);
    if (snp())
        EXPECT_EQUAL(ask_by_msr(address | kRegisterRequest), address | kRegisterResponse);
    write_msr(kMsrGhcb, address);
    put<uint32_t>(field::kUsage, 0);
    put<uint16_t>(field::kVersion, kProtocolVersion);
}

void begin_request() {
    put<uint64_t>(field::kValidBitmap, 0);
    put<uint64_t>(field::kValidBitmap + 8, 0);
}

static volatile uint8_t& bitmap_byte(unsigned offset) {
    return shared(&ghcb_private)->bytes[field::kValidBitmap + offset / 64];
}

void set(unsigned offset, uint64_t value) {
    put(offset, value);
    volatile uint8_t& byte = bitmap_byte(offset);
    byte = static_cast<uint8_t>(byte | 1u << offset / 8 % 8);
}

void mark_valid_cpl() {
    put<uint8_t>(field::kCpl, 0);
    volatile uint8_t& byte = bitmap_byte(field::kCpl);
    byte = static_cast<uint8_t>(byte | 1u << field::kCpl / 8 % 8);
}

bool is_valid(unsigned offset) {
    return bitmap_byte(offset) >> offset / 8 % 8 & 1;
}

uint64_t get(unsigned offset) {
    return *reinterpret_cast<volatile uint64_t*>(shared(&ghcb_private)->bytes + offset);
}

uint8_t* shared_buffer() {
    return shared(&ghcb_private)->bytes + field::kSharedBuffer;
}

uint64_t shared_buffer_address() {
    return address_of(&ghcb_private) + field::kSharedBuffer;
}

Answer send(uint64_t code, uint64_t info1, uint64_t info2) {
    set(field::kExitCode, code);
    set(field::kExitInfo1, info1);
    set(field::kExitInfo2, info2);
    send_as_it_is();
    return {get(field::kExitInfo1), get(field::kExitInfo2)};
}

void send_as_it_is() {
    write_msr(kMsrGhcb, address_of(&ghcb_private));
    vmgexit();
}
