#include "waiting_room.h"

#include "ghcb_msr_protocol.h"
#include "launch.h"
#include "place.h"

extern "C" const uint8_t sevhost_waiting_room[], sevhost_waiting_room_held[],
    sevhost_waiting_room_end[];

namespace sevhost {

void place_waiting_room(Guest& guest) {
    place_zeros(guest, layout::kWaitingRoom, 2 * kPageBytes, "the waiting room");
    place_bytes(guest, layout::kWaitingRoom, sevhost_waiting_room,
                static_cast<uint64_t>(sevhost_waiting_room_end - sevhost_waiting_room),
                "the waiting room");
    guest.ap_jump_table = layout::kWaitingRoom + kPageBytes;
    guest.vm.has_waiting_room = true;
}

void enter_waiting_room(Guest& guest) {
    VmcbSegment& cs = guest.save().cs;
    cs.base = layout::kWaitingRoom;
    cs.selector = layout::kWaitingRoom >> 4;
    guest.save().rip = static_cast<uint64_t>(sevhost_waiting_room_held - sevhost_waiting_room);
    guest.ghcb_msr = ghcb_msr::kApResetHoldRequest;
    Standing& standing = guest.standing;
    standing.activity = Activity::held;
    standing.hold = ResetHold::by_msr;
    standing.has_state = standing.has_had_sipi = true;
}

} // namespace sevhost
