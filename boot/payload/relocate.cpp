#include "relocate.h"

#include "phys_memory.h"
#include "refusals.h"

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

struct Table {
    uint64_t start = 0, bytes = 0; // virtual, as linked
};

struct Tables {
    Table rela, plt, relr;
    uint64_t symbols = 0;
};

// The linkers' names of what they may leave in a static PIE, and this does not serve.
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

class Relocator {
public:
    Relocator(uint8_t* file, const ElfPayload& elf, uint64_t slide)
        : file_(file), elf_(elf), slide_(slide) {}

    void run(const Tables& tables) {
        symbols_ = tables.symbols;
        apply_rela(tables.rela);
        apply_rela(tables.plt);
        apply_relr(tables.relr);
    }

private:
    // What is linked to lie at an address, in the file.
    uint8_t* seen(const char* what, uint64_t virt, uint64_t bytes) const {
        for (const PayloadSegment& segment : elf_) {
            const uint64_t offset = virt - segment.virt;
            if (offset < segment.file_bytes && bytes <= segment.file_bytes - offset)
                return file_ + segment.file_offset + offset;
        }
        refuse_in(what, Refusal::elf_relocation, virt, bytes);
    }
    template <class T>
    T at(const char* what, uint64_t virt) const {
        return read_unaligned<T>(seen(what, virt, sizeof(T)));
    }

    void put(uint64_t virt, uint64_t value) const {
        __builtin_memcpy(seen("its place is in no segment's bytes in the file", virt, sizeof value),
                         &value, sizeof value);
    }

    uint64_t value_of(const Rela& rela) const {
        const auto symbol =
            at<Symbol>("its symbol is in no segment's bytes in the file",
                       symbols_ + uint64_t{rela.symbol} * sizeof(Symbol));
        if (symbol.section == kUndefined)
            refuse_in("the image does not define its symbol", Refusal::elf_relocation, rela.symbol,
                      rela.at);
        return symbol.section == kAbsolute ? symbol.value : symbol.value + slide_;
    }

    void apply(const Rela& rela) const {
        switch (rela.type) {
        case kNone:
            return;
        case kRelative:
            return put(rela.at, slide_ + rela.addend);
        case kGlobDat:
        case k64:
            return put(rela.at, value_of(rela) + rela.addend);
        }
        refuse_in(refusal_of_type(rela.type), Refusal::elf_relocation, rela.type, rela.at);
    }

    void apply_rela(const Table& table) const {
        for (uint64_t done = 0; done + sizeof(Rela) <= table.bytes; done += sizeof(Rela))
            apply(at<Rela>("the table is in no segment's bytes in the file", table.start + done));
    }

    void add_slide(uint64_t virt) const {
        put(virt, at<uint64_t>("its place is in no segment's bytes in the file", virt) + slide_);
    }

    // An even word is an address; an odd one's upper 63 bits are those behind it.
    void apply_relr(const Table& table) const {
        uint64_t next = 0;
        for (uint64_t done = 0; done + sizeof next <= table.bytes; done += sizeof next) {
            auto word = at<uint64_t>("the table is in no segment's bytes in the file",
                                     table.start + done);
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

    uint8_t* file_;
    const ElfPayload& elf_;
    uint64_t slide_;
    uint64_t symbols_ = 0;
};

void expect_entry(const char* what, uint64_t is, uint64_t due) {
    if (is != due)
        refuse_in(what, Refusal::elf_relocation, is, due);
}

Tables read_dynamic(const uint8_t* file, Span dynamic) {
    Tables tables;
    for (uint64_t at = dynamic.start; dynamic.end - at >= sizeof(DynamicEntry);
         at += sizeof(DynamicEntry)) {
        const auto entry = read_unaligned<DynamicEntry>(file + at);
        switch (entry.tag) {
        case 0:
            return tables;
        case kNeeded:
            refuse_in("a library is needed", Refusal::elf_relocation, entry.value);
        case kRel:
            refuse_in("DT_REL is not served", Refusal::elf_relocation, entry.value);
        case kRelaEntry:
            expect_entry("DT_RELAENT is another", entry.value, sizeof(Rela));
            break;
        case kSymbolEntry:
            expect_entry("DT_SYMENT is another", entry.value, sizeof(Symbol));
            break;
        case kRelrEntry:
            expect_entry("DT_RELRENT is another", entry.value, sizeof(uint64_t));
            break;
        case kSymbols:
            tables.symbols = entry.value;
            break;
        case kRela:
            tables.rela.start = entry.value;
            break;
        case kRelaBytes:
            tables.rela.bytes = entry.value;
            break;
        case kPlt:
            tables.plt.start = entry.value;
            break;
        case kPltBytes:
            tables.plt.bytes = entry.value;
            break;
        case kRelr:
            tables.relr.start = entry.value;
            break;
        case kRelrBytes:
            tables.relr.bytes = entry.value;
            break;
        }
    }
    return tables;
}

// Bytes that two segments are loaded from would be relocated for both.
void check_apart(const ElfPayload& elf) {
    const auto bytes_of = [](const PayloadSegment& segment) {
        return Span{segment.file_offset, segment.file_offset + segment.file_bytes};
    };
    for (const PayloadSegment& segment : elf)
        for (const PayloadSegment* other = elf.begin(); other != &segment; ++other)
            if (bytes_of(*other).shared(bytes_of(segment)).bytes() != 0)
                refuse_in("shares bytes of the file with this one", Refusal::elf_segment,
                          segment.index, other->index);
}

}  // namespace

void relocate(uint8_t* file, const ElfPayload& elf, uint64_t slide) {
    check_apart(elf);
    Relocator(file, elf, slide).run(read_dynamic(file, elf.dynamic));
}

}  // namespace prologue
