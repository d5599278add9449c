#include "images.h"

#include "outcome.h"

namespace sevhost {
namespace {

void note(Module& slot, const Module& module, Text kind) {
    if (slot)
        fail("two modules are a guest's ", kind);
    slot = module;
}

} // namespace

Images find_images(const HostMemory& host) {
    Images images;
    const prologue_handoff& handoff = host.handoff();
    for (uint64_t i = 0; i != handoff.module_count; ++i) {
        const prologue_module& from = handoff.modules[i];
        Text rest(from.cmdline, from.cmdline_bytes);
        next_word(rest); // the file
        const Text kind = next_word(rest);
        const Module module = {host.at(from.start), from.bytes, rest.from(1)};
        if (kind == "initrd") {
            note(images.initrd, module, kind);
        } else if (kind == "kernel") {
            note(images.kernel, module, kind);
        } else if (kind == "hashes") {
            note(images.hashes, module, kind);
        } else if (kind == "state") {
            note(images.state, module, kind);
        } else if (kind == "file") {
            if (images.file_count == Images::kMaxFiles)
                fail("a state file places ", decimal(Images::kMaxFiles), " files at most");
            images.files[images.file_count++] = module;
        } else {
            if (kind == "bzimage")
                images.kind = ImageKind::bzimage;
            else if (kind == "elf")
                images.kind = ImageKind::elf;
            else if (kind == "flat")
                images.kind = ImageKind::flat;
            else if (kind == "igvm")
                images.kind = ImageKind::igvm;
            else
                fail(
                    "module ", decimal(i), " is a \"", kind,
                    "\", which is none of bzimage, elf, flat, igvm, initrd, kernel, hashes, state, "
                    "file");
            note(images.image, module, "image");
        }
    }
    if (!images.image)
        fail("no guest: no module is a bzimage, an elf, a flat image or an igvm file");
    return images;
}

} // namespace sevhost
