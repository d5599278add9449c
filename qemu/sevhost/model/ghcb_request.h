// A request by the GHCB page (AMD 56421, 4.1): read once, and checked before anything
// of it is believed.
#pragma once

#include <stdint.h>

#include "arch.h"
#include "ghcb.h"

namespace sevhost {

struct GhcbRequest {
    uint64_t code = 0, info1 = 0, info2 = 0;
    // 0 where the guest did not mark them valid: then they do not exist.
    uint64_t rax = 0, rcx = 0, rdx = 0, rbx = 0, xcr0 = 0, scratch = 0;
    uint8_t cpl = 0;
    uint16_t version = 0;
    bool has_scratch = false;
};

// What the page holds; what is wrong with it, or Malformed::nothing. Its version is for the
// host to look at, which hosts do not.
Malformed read_ghcb_request(const GhcbPage& page, GhcbRequest& request);

// IOIO, as SW_EXITINFO1 says it.
struct PortRequest {
    uint16_t port;
    unsigned bytes; // 1, 2 or 4
    bool in;
    bool string;
    uint64_t count; // 1, without REP
};
PortRequest port_request(const GhcbRequest& request);

// Where SW_SCRATCH points. `inside`: to the page's own buffer. Otherwise it is an address
// of shared memory, for the host to look at.
enum class ScratchPlace : uint8_t { missing, misplaced, inside, elsewhere };
ScratchPlace scratch_place(const GhcbRequest& request, GuestPhys page, uint64_t bytes);

// A word for each way in which a request is malformed.
// Whether the document has that event in the version that the page names.
bool is_of_version(const GhcbRequest& request);

const char* malformed_text(Malformed why);

} // namespace sevhost
