#include "loader_images.h"

namespace prologue::test {
namespace {

std::string spell(const StatedRange& range) {
    return raw(range.start) + raw(range.bytes) + raw(range.type);
}

std::string vmd_record(uint32_t type, const std::string& payload) {
    const auto bytes = static_cast<uint32_t>(vmd::kHeaderBytes + payload.size());
    return raw(type) + raw(bytes) + raw(bytes) + payload;
}

std::string vmd_records(const Stated& stated) {
    std::string map;
    for (const StatedRange& range : stated.memory)
        map += spell(range);
    std::string records = vmd_record(0, map + spell({0, 0, 0}));
    const prologue_console& console = stated.boot.console;
    if (console.device != 0)
        records += vmd_record(5, raw(console.device) + raw(console.speed) + raw(console.address) +
                                     raw(console.frequency) + raw(console.flags) +
                                     raw(console.register_width) + raw(console.register_shift));
    if (stated.boot.mac_bytes != 0)
        records += vmd_record(7, raw(stated.boot.mac) + std::string(2, '\0'));
    return records;
}

std::string freebsd_record(uint32_t type, const std::string& payload) {
    std::string record = raw(type) + raw(static_cast<uint32_t>(payload.size())) + payload;
    record.resize(freebsd::padded_record(payload.size()));
    return record;
}

std::string freebsd_file(const std::string& name, const char* type, uint64_t start,
                         uint64_t bytes) {
    return freebsd_record(1, name + '\0') + freebsd_record(2, std::string(type) + '\0') +
           freebsd_record(3, raw(static_cast<uint32_t>(start))) + freebsd_record(4, raw(bytes));
}

std::string freebsd_records(const Stated& stated) {
    std::string records = freebsd_file("/boot/kernel/kernel", "elf kernel", kMiB, 0x20000);
    if (stated.cmdline)
        records += freebsd_record(6, *stated.cmdline + '\0');
    std::string map;
    for (const StatedRange& range : stated.memory)
        map += spell(range);
    records += freebsd_record(0x8002, std::string(52, '\0')) + freebsd_record(0x9001, map);
    for (const StatedModule& module : stated.modules)
        records += freebsd_file(module.cmdline.value_or(""), "elf module", module.start,
                                module.bytes);
    return records + freebsd_record(0, "");
}

} // namespace

uint64_t freebsd::padded_record(uint64_t payload_bytes) {
    return 8 + (payload_bytes + 3) / 4 * 4;
}

uint64_t put_vmd(FakeMemory& memory, const Stated& stated, const Places& places) {
    const std::string records = vmd_records(stated);
    const std::string end = raw(~uint32_t{0}) + std::string(8, '\0');
    memory.put_bytes(places.map, (records + end).data(), records.size() + end.size());
    const uint32_t stack[] = {0,
                              stated.boot.howto,
                              stated.boot.device,
                              0x0e,
                              0x123450,
                              0,
                              0,
                              static_cast<uint32_t>(records.size()),
                              static_cast<uint32_t>(places.map)};
    memory.put_bytes(places.info, stack, sizeof stack);
    return places.info;
}

uint64_t put_freebsd(FakeMemory& memory, const Stated& stated, const Places& places) {
    const std::string records = freebsd_records(stated);
    memory.put_bytes(places.map, records.data(), records.size());
    const auto kernel_end = static_cast<uint32_t>(places.map + records.size());
    uint64_t environment = places.cmdline;
    for (const std::string& variable : stated.environment) {
        memory.put_text(environment, variable);
        environment += variable.size() + 1;
    }
    memory.put(environment, '\0');

    const auto bootinfo = static_cast<uint32_t>(places.info + freebsd::kStackBytes);
    const auto list = static_cast<uint32_t>(places.map);
    const uint32_t stack[] = {
        0xbeefface, stated.boot.howto | 1u << 31, stated.boot.device, 0, 0, 0, bootinfo, list,
        kernel_end};
    memory.put_bytes(places.info, stack, sizeof stack);
    memory.put(bootinfo, std::array<uint8_t, 84>{});
    memory.put<uint32_t>(places.info + freebsd::kVersion, 1);
    memory.put<uint32_t>(places.info + freebsd::kBytes, 84);
    memory.put<uint32_t>(places.info + freebsd::kKernelEnd, kernel_end);
    memory.put<uint32_t>(places.info + freebsd::kEnvironment,
                         static_cast<uint32_t>(places.cmdline));
    memory.put<uint32_t>(places.info + freebsd::kRecords, list);
    return places.info;
}

} // namespace prologue::test
