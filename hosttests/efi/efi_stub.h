// The EFI stub over a firmware that says what a test wants, up to the kernel's entry; what it leaves
// is read by the kernel's own parser.
#pragma once

#include "fake_firmware.h"

#include "boot_params.h"
#include "parsing.h"

#include <gtest/gtest.h>

namespace prologue::test {

using namespace efi;

inline constexpr uint64_t kAll = uint64_t{1} << 47;

inline LoaderInfo parsed(const Entered& entered) {
    PhysMemory memory{0, kAll};
    LoaderInfo loader;
    prologue_parse_linux(memory, entered.boot_params, loader);
    return loader;
}

// A machine with little in it.
struct EfiStub : testing::Test {
    FakeFirmware firmware;

    EfiStub() {
        firmware.describe(7, 0x1000, 0x9f);
        firmware.describe(7, 0x100000, 0x7f00);
    }

    LoaderInfo started() { return parsed(firmware.start()); }
    std::string cmdline() { return str(started().cmdline); }
    std::string cmdline_of(std::string options) {
        firmware.options = std::move(options);
        return cmdline();
    }
    std::string module() {
        const LoaderInfo loader = started();
        if (loader.module_count == 0)
            return "none";
        return {reinterpret_cast<const char*>(loader.modules.at),
                loader.modules.end - loader.modules.at};
    }
    void expect_refusal(const char* what, uint64_t a, uint64_t b) {
        EXPECT_EQ(failure_of([&] { firmware.start(); }), failure(Error::efi, {a, b}, what));
    }
};

} // namespace prologue::test
