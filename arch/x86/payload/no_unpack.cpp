// In the other loader images: what is compressed is no known format.
#include "way.h"

namespace prologue {

void unpack_payload(Way&, prologue_module&) {}

} // namespace prologue
