// The memory map: any statements, in any order, in storage of any size.
#include "dice.h"
#include "fuzzing.h"
#include "memory_map.h"
#include "range_model.h"
#include "seams.h"

#include <algorithm>
#include <sstream>

namespace prologue::test {
namespace {

constexpr uint64_t kPages = 64; // of the small universes, where every page is looked at
constexpr uint64_t kBehind = 4; // entries behind the storage, which must stay as they are
constexpr prologue_range kUntouched = {0x5a5a, 0xa5a5, 0x5a, 0xa5};

// The input, eaten from the front; zeroes once there is none left.
class Reader {
public:
    Reader(const uint8_t* data, size_t size) : data_(data), left_(size) {}

    template <class T>
    T take() {
        T value = {};
        const size_t bytes = std::min(left_, sizeof value);
        std::memcpy(&value, data_, bytes);
        data_ += bytes;
        left_ -= bytes;
        return value;
    }
    bool empty() const { return left_ == 0; }

private:
    const uint8_t* data_;
    size_t left_;
};

// Statements of pages in a small universe, or of anything anywhere.
Statement take_statement(Reader& reader, bool small, uint64_t universe) {
    const auto control = reader.take<uint8_t>();
    const auto kind = (control & 0x80) != 0 ? Statement::kOverlay : Statement::kAdd;
    constexpr uint32_t kTypesOfLoaders[] = {
        0,  1, 2, 3, 4, 5, 6, 7, 1, 1, 2, 3, kInFirmwaresUse, kE820Unaccepted, kE820SoftReserved,
        ~0u};
    const uint32_t type = kTypesOfLoaders[control % std::size(kTypesOfLoaders)];
    Statement statement;
    if (small) {
        const uint64_t start = reader.take<uint16_t>() % (kPages * kPage);
        const uint64_t bytes = reader.take<uint16_t>() * uint64_t{4};
        statement = {kind, universe + start, std::min(bytes, kPages * kPage - start), type};
    } else {
        const auto start = reader.take<uint64_t>(), bytes = reader.take<uint64_t>();
        statement = {kind, start >> (control & 0x38), bytes >> (control & 0x38), type};
    }
    if (kind == Statement::kAdd)
        return statement;
    statement.type = control % 16 % (kTypes - 1) + 1;
    statement.start = page_down(statement.start);
    const uint64_t room = kLastPageStart - statement.start;
    statement.bytes = page_down(std::min(statement.bytes, room));
    return statement;
}

std::string str(const std::vector<Statement>& statements, const Ranges& ranges) {
    std::ostringstream out;
    for (const Statement& statement : statements)
        out << statement << "\n";
    out << "make\n";
    for (const prologue_range& range : ranges)
        out << range << "\n";
    return out.str();
}

// As the boot does, from a loader's list and from marks.
constexpr uint8_t kAtOnce = 0x40;
void add_at_once(MemoryMap& map, const std::vector<Statement>& statements) {
    std::vector<RawRange> ranges;
    std::vector<Mark> storage(statements.size());
    Marks marks(storage.data());
    for (const Statement& statement : statements)
        if (statement.kind == Statement::kAdd)
            ranges.push_back({statement.start, statement.bytes, statement.type});
        else
            marks.add({statement.start, statement.start + statement.bytes}, statement.type);
    map.add({reinterpret_cast<const uint8_t*>(ranges.data()), ranges.size() * sizeof(RawRange),
             sizeof(RawRange), 0},
            marks);
}

void fuzz_memory_map(Reader reader) {
    const auto control = reader.take<uint8_t>();
    const bool small = control % 4 != 0;
    const uint64_t universe = control % 4 == 1   ? 0
                              : control % 4 == 2 ? 4 * kGiB - 7 * kPage
                                                 : 0 - kPages * kPage;
    std::vector<Statement> statements;
    while (!reader.empty() && statements.size() < 500)
        statements.push_back(take_statement(reader, small, universe));

    const uint64_t enough = MemoryMap::storage_for(statements.size());
    const uint64_t capacity = control < 0x80 ? enough : 1 + (control & 0x3c) % enough;
    std::vector<prologue_range> storage(capacity + kBehind, kUntouched);
    MemoryMap map(storage.data(), capacity);
    std::optional<Failure> failed;
    try {
        if ((control & kAtOnce) != 0)
            add_at_once(map, statements);
        else
            for (const Statement& statement : statements)
                if (statement.kind == Statement::kAdd)
                    map.add(RawRange{statement.start, statement.bytes, statement.type});
                else
                    map.overlay({statement.start, statement.start + statement.bytes},
                                statement.type);
    } catch (const Failure& failure) {
        failed = failure;
    }
    must(std::all_of(storage.end() - kBehind, storage.end(),
                     [](const prologue_range& range) { return range == kUntouched; }),
         "nothing is written behind the storage");
    if (failed) {
        must(failed->error == Error::too_many_ranges && capacity < enough, failed->sentence);
        return;
    }
    const Ranges ranges = {map.begin(), map.end()};
    const std::string flaw = flaw_of(map.begin(), map.end());
    must(flaw.empty(), flaw);
    const auto tell = [&] { return str(statements, ranges); };
    must(ranges == map_by_sweep(statements), tell);
    if (small)
        must(ranges == map_by_pages(statements, universe, kPages), tell);
}

std::vector<Input> seeds() {
    std::vector<Input> seeds;
    Dice dice(1);
    for (uint8_t control : {0, 1, 2, 3, 0x41, 0x42, 0x81, 0xfe}) {
        Input seed = {control};
        for (uint64_t left = dice.between(20, 200); left != 0; --left)
            seed.push_back(static_cast<uint8_t>(dice.any()));
        seeds.push_back(seed);
    }
    return seeds;
}

} // namespace
} // namespace prologue::test

BEGINS_WITH(prologue::test::seeds)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    prologue::test::fuzz_memory_map({data, size});
    return 0;
}
