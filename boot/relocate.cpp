#include "relocate.h"

#include "phys_memory.h"

namespace prologue {
namespace {

struct DynamicEntry {
    uint64_t tag, value;
};
constexpr uint64_t kNeeded = 1, kPltBytes = 2, kSymbols = 6, kRela = 7, kRelaBytes = 8,
                   kRelaEntry = 9, kSymbolEntry = 11, kRel = 17, kPlt = 23, kRelrBytes = 35,
                   kRelr = 36, kRelrEntry = 37; // DT_*

struct Rela {
    uint64_t at;
    uint32_t type, symbol;
    uint64_t addend;
};
static_assert(sizeof(Rela) == 24);
constexpr uint32_t kNone = 0, k64 = 1, kGlobDat = 6, kRelative = 8; // R_X86_64_*

struct Symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, bytes;
};
static_assert(sizeof(Symbol) == 24);
constexpr uint16_t kUndefined = 0, kAbsolute = 0xfff1; // Symbol.section

constexpr char kNoTable[] = "the table is in no segment's bytes in the file";
constexpr char kNoSymbol[] = "its symbol is in no segment's bytes in the file";
constexpr char kNoPlace[] = "its place is in no segment's bytes in the file";

struct Table {
    uint64_t start = 0, bytes = 0; // virtual, as linked
};

// What linkers may leave in a static PIE, and this does not serve.
const char* refusal_of_type(uint32_t type) {
    switch (type) {
    case 5:
        return "R_X86_64_COPY is not served";
    case 7:
        return "R_X86_64_JUMP_SLOT is not served";
    case 16:
        return "R_X86_64_DTPMOD64 is not served";
    case 17:
        return "R_X86_64_DTPOFF64 is not served";
    case 18:
        return "R_X86_64_TPOFF64 is not served";
    case 36:
        return "R_X86_64_TLSDESC is not served";
    case 37:
        return "R_X86_64_IRELATIVE is not served";
    }
    return "its type is not served";
}

// Each step does nothing once there is a fault.
class Relocator {
public:
    Relocator(const LinkedBytes* pieces, unsigned count, uint64_t slide)
        : pieces_(pieces),
          count_(count),
          slide_(slide) {}

    RelocationFault run(const uint8_t* dynamic, uint64_t bytes) {
        for (uint64_t at = 0; bytes - at >= sizeof(DynamicEntry); at += sizeof(DynamicEntry)) {
            const auto entry = read_unaligned<DynamicEntry>(dynamic + at);
            if (entry.tag == 0)
                break;
            read(entry);
        }
        apply_rela(rela_);
        apply_rela(plt_);
        apply_relr();
        return fault_;
    }

private:
    void fail(const char* what, uint64_t a, uint64_t b = 0) {
        if (fault_.what == nullptr)
            fault_ = {what, a, b};
    }
    bool failed() const { return fault_.what != nullptr; }

    void expect(const char* what, uint64_t is, uint64_t due) {
        if (is != due)
            fail(what, is, due);
    }

    void read(const DynamicEntry& entry) {
        switch (entry.tag) {
        case kNeeded:
            return fail("a library is needed", entry.value);
        case kRel:
            return fail("DT_REL is not served", entry.value);
        case kRelaEntry:
            return expect("DT_RELAENT is another", entry.value, sizeof(Rela));
        case kSymbolEntry:
            return expect("DT_SYMENT is another", entry.value, sizeof(Symbol));
        case kRelrEntry:
            return expect("DT_RELRENT is another", entry.value, sizeof(uint64_t));
        case kSymbols:
            symbols_ = entry.value;
            return;
        case kRela:
            rela_.start = entry.value;
            return;
        case kRelaBytes:
            rela_.bytes = entry.value;
            return;
        case kPlt:
            plt_.start = entry.value;
            return;
        case kPltBytes:
            plt_.bytes = entry.value;
            return;
        case kRelr:
            relr_.start = entry.value;
            return;
        case kRelrBytes:
            relr_.bytes = entry.value;
            return;
        }
    }

    // Where what is linked to lie at an address is now; null, and a fault, where there is none.
    uint8_t* seen(const char* what, uint64_t virt, uint64_t bytes) {
        for (const LinkedBytes* piece = pieces_; piece != pieces_ + count_; ++piece) {
            const uint64_t offset = virt - piece->virt;
            if (offset < piece->bytes && bytes <= piece->bytes - offset)
                return piece->at + offset;
        }
        fail(what, virt, bytes);
        return nullptr;
    }
    template <class T>
    T at(const char* what, uint64_t virt) {
        const uint8_t* const bytes = seen(what, virt, sizeof(T));
        return bytes != nullptr ? read_unaligned<T>(bytes) : T{};
    }

    void put(uint64_t virt, uint64_t value) {
        if (uint8_t* const place = seen(kNoPlace, virt, sizeof value); !failed())
            __builtin_memcpy(place, &value, sizeof value);
    }

    uint64_t value_of(const Rela& rela) {
        const auto symbol = at<Symbol>(kNoSymbol,
                                       symbols_ + uint64_t{rela.symbol} * sizeof(Symbol));
        if (symbol.section == kUndefined)
            fail("the image does not define its symbol", rela.symbol, rela.at);
        return symbol.section == kAbsolute ? symbol.value : symbol.value + slide_;
    }

    void apply(const Rela& rela) {
        switch (rela.type) {
        case kNone:
            return;
        case kRelative:
            return put(rela.at, slide_ + rela.addend);
        case kGlobDat:
        case k64:
            return put(rela.at, value_of(rela) + rela.addend);
        }
        fail(refusal_of_type(rela.type), rela.type, rela.at);
    }

    void apply_rela(const Table& table) {
        for (uint64_t done = 0; table.bytes - done >= sizeof(Rela) && !failed();
             done += sizeof(Rela))
            apply(at<Rela>(kNoTable, table.start + done));
    }

    void add_slide(uint64_t virt) { put(virt, at<uint64_t>(kNoPlace, virt) + slide_); }

    // An even word is an address; an odd one's upper 63 bits are those behind it.
    void apply_relr() {
        uint64_t next = 0;
        for (uint64_t done = 0; relr_.bytes - done >= sizeof next && !failed();
             done += sizeof next) {
            auto word = at<uint64_t>(kNoTable, relr_.start + done);
            if (failed())
                return;
            if ((word & 1) == 0) {
                add_slide(word);
                next = word + sizeof next;
                continue;
            }
            for (uint64_t virt = next; (word >>= 1) != 0; virt += sizeof next)
                if ((word & 1) != 0)
                    add_slide(virt);
            next += 63 * sizeof next;
        }
    }

    const LinkedBytes* pieces_;
    unsigned count_;
    uint64_t slide_;
    Table rela_, plt_, relr_;
    uint64_t symbols_ = 0;
    RelocationFault fault_;
};

} // namespace

RelocationFault relocate(const LinkedBytes* pieces, unsigned count, const uint8_t* dynamic,
                         uint64_t dynamic_bytes, uint64_t slide) {
    return Relocator(pieces, count, slide).run(dynamic, dynamic_bytes);
}

} // namespace prologue
