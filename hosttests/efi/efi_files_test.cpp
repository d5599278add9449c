// The EFI stub: initrds, served and named.

#include "efi_stub.h"

namespace prologue::test {
namespace {

TEST_F(EfiStub, HasTheServedInitrd) {
    firmware.served = std::string(100000, 'i');
    EXPECT_EQ(module(), *firmware.served);
}

TEST_F(EfiStub, HasNoInitrdWhereAnEmptyOneIsServed) {
    firmware.served = "";
    EXPECT_EQ(module(), "none");
}

TEST_F(EfiStub, RefusesAnInitrdThatGrows) {
    firmware.served = std::string(5000, 'i');
    firmware.served_grows = 4000;
    expect_refusal("LoadFile2 does not load the initrd: status, bytes", kBufferTooSmall, 9000);
}

TEST_F(EfiStub, TakesAnInitrdThatShrinks) {
    firmware.served = std::string(5000, 'i');
    firmware.served_tells = 4000;
    EXPECT_EQ(module(), *firmware.served);
}

TEST_F(EfiStub, RefusesAnInitrdLargerThanMemory) {
    firmware.served = "x";
    firmware.served_tells = uint64_t{1} << 40;
    expect_refusal("no memory for the initrd: status, bytes", kOutOfResources,
                   (uint64_t{1} << 40) + 1);
}

TEST_F(EfiStub, RefusesAnInitrdWhoseSizeIsNoMemorys) {
    firmware.served = "x";
    firmware.served_tells = ~uint64_t{0} - 1;
    expect_refusal("no memory for the initrd: status, bytes", kOutOfResources, ~uint64_t{0});
}

TEST_F(EfiStub, RefusesAnInitrdWhoseSizeIsNotTold) {
    firmware.served = "x";
    firmware.served_fails = kLoadError;
    expect_refusal("LoadFile2 does not tell the initrd's size: status, bytes", kLoadError, 0);
}

TEST_F(EfiStub, HasNoInitrdWhereWhatServesItHasNone) {
    firmware.served = "x";
    for (const Status status : {kNotFound, kSuccess, kBufferTooSmall}) { // and tells no bytes
        firmware.served_fails = status;
        EXPECT_EQ(module(), "none") << status;
        firmware.ended = firmware.ending = false;
    }
}

TEST_F(EfiStub, PutsNamedFilesOneBehindTheOther) {
    firmware.files = {{u"\\a", std::string(3 << 20, 'a')}, {u"\\x\\b", "bb"}};
    firmware.options = utf16(u"initrd=\\a quiet initrd=/x/b");
    EXPECT_EQ(module(), std::string(3 << 20, 'a') + "bb");
}

TEST_F(EfiStub, PrefersWhatIsServed) {
    firmware.files = {{u"\\a", "a"}};
    firmware.served = "served";
    firmware.options = utf16(u"initrd=\\a");
    EXPECT_EQ(module(), "served");
}

TEST_F(EfiStub, RefusesAFileThatIsNotThere) {
    firmware.files = {{u"\\a", "a"}};
    firmware.options = utf16(u"initrd=\\b");
    expect_refusal("a file that initrd= names cannot be opened: status, characters of its name",
                   kNotFound, 2);
}

TEST_F(EfiStub, RefusesAFileThatEndsEarly) {
    firmware.files = {{u"\\a", "abcdef"}};
    firmware.files_read_short = 2;
    firmware.options = utf16(u"initrd=\\a");
    expect_refusal("a file that initrd= names cannot be read: status, bytes of it", 0, 4);
}

TEST_F(EfiStub, RefusesAFileThatGrows) {
    firmware.files = {{u"\\a", "abc"}, {u"\\b", "de"}};
    firmware.files_grow = 1;
    firmware.options = utf16(u"initrd=\\a initrd=\\b");
    expect_refusal("a file that initrd= names has grown: bytes, place left", 3, 1);
}

TEST_F(EfiStub, RefusesANamedFileWithoutAVolume) {
    firmware.options = utf16(u"initrd=\\a");
    expect_refusal("initrd= names a file, and the image is from no volume: status", kNotFound, 0);
}

} // namespace
} // namespace prologue::test
