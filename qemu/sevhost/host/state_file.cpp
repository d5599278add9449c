#include "state_file.h"

#include "launch.h"
#include "outcome.h"

namespace sevhost {
namespace {

constexpr struct {
    const char* name;
    uint16_t attributes; // as the VMCB packs them
} kSegmentKinds[] = {
    {"code16", 0x09b}, {"code32", 0xc9b}, {"code64", 0xa9b}, {"data16", 0x093},
    {"data32", 0xc93}, {"tss32", 0x08b},  {"ldt", 0x082},    {"null", 0},
};

constexpr const char* kGprs[] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};
static_assert(sizeof kGprs / sizeof kGprs[0] == kGprCount);

class Parser {
public:
    Parser(Guest& guest, const Images& images, const StateNames& names)
        : guest_(guest),
          images_(images),
          names_(names) {}

    void line(Text text) {
        ++number_;
        text = text.first(text.find('#'));
        rest_ = text;
        const Text word = next_word(rest_);
        if (word.size == 0)
            return;
        if (!apply(word))
            fail_line("is not understood: ", word);
        if (next_word(rest_).size != 0)
            fail_line("has more values than it needs: ", word);
    }

private:
    bool apply(Text word) {
        return apply_gpr(word) || apply_register(word) || apply_segment(word) ||
               apply_table_pointer(word) || apply_snp_page(word) || apply_bytes(word) ||
               apply_table(word);
    }

    bool apply_gpr(Text word) {
        for (unsigned i = 0; i != kGprCount; ++i) {
            if (word == kGprs[i]) {
                guest_.gprs[i] = value();
                return true;
            }
        }
        return false;
    }

    bool apply_register(Text word) {
        VmcbSave& save = guest_.save();
        const struct {
            const char* name;
            uint64_t& where;
        } registers[] = {
            {"rip", save.rip}, {"rflags", save.rflags}, {"cr0", save.cr0}, {"cr2", save.cr2},
            {"cr3", save.cr3}, {"cr4", save.cr4},       {"dr6", save.dr6}, {"dr7", save.dr7},
        };
        if (word == "efer") {
            guest_.efer = value() & ~kEferLma; // which follows from LME and CR0.PG
            return true;
        }
        for (const auto& known : registers) {
            if (word == known.name) {
                known.where = value();
                return true;
            }
        }
        return false;
    }

    bool apply_segment(Text word) {
        VmcbSave& save = guest_.save();
        const struct {
            const char* name;
            VmcbSegment& where;
        } segments[] = {
            {"cs", save.cs}, {"ds", save.ds}, {"es", save.es},     {"fs", save.fs},
            {"gs", save.gs}, {"ss", save.ss}, {"ldtr", save.ldtr}, {"tr", save.tr},
        };
        for (const auto& known : segments) {
            if (word == known.name) {
                known.where.selector = static_cast<uint16_t>(value());
                known.where.attributes = segment_kind();
                known.where.limit = static_cast<uint32_t>(value());
                known.where.base = value();
                return true;
            }
        }
        return false;
    }

    uint16_t segment_kind() {
        const Text word = next_word(rest_);
        for (const auto& kind : kSegmentKinds)
            if (word == kind.name)
                return kind.attributes;
        fail_line("names no kind of segment: ", word);
    }

    bool apply_table_pointer(Text word) {
        if (!(word == "gdtr") && !(word == "idtr"))
            return false;
        VmcbSegment& where = word == "gdtr" ? guest_.save().gdtr : guest_.save().idtr;
        where.limit = static_cast<uint32_t>(value());
        where.base = value();
        return true;
    }

    // Where the host puts them, and not where the image's notes want them: as a firmware does.
    bool apply_snp_page(Text word) {
        const struct {
            const char* name;
            GuestPhys& where;
        } pages[] = {
            {"cpuid-page", guest_.snp_pages.cpuid},
            {"secrets-page", guest_.snp_pages.secrets},
            {"blob", guest_.snp_pages.blob},
        };
        for (const auto& known : pages) {
            if (word == known.name) {
                known.where = value();
                return true;
            }
        }
        return false;
    }

    bool apply_bytes(Text word) {
        if (word == "at") {
            at_ = value();
            return true;
        }
        if (word == "text") {
            const Text text = rest_.from(1);
            rest_ = {};
            place(text.data, text.size);
            place("", 1);
            return true;
        }
        if (word == "file") {
            const Module& file = file_named(next_word(rest_));
            place(file.data, file.bytes);
            return true;
        }
        const unsigned bytes = word == "u8"    ? 1
                               : word == "u16" ? 2
                               : word == "u32" ? 4
                               : word == "u64" ? 8
                                               : 0;
        if (bytes == 0)
            return false;
        do {
            const uint64_t number = value();
            place(&number, bytes);
            while (rest_.size != 0 && rest_.data[0] == ' ')
                rest_ = rest_.from(1);
        } while (rest_.size != 0);
        return true;
    }

    bool apply_table(Text word) {
        const unsigned bytes = word == "table" ? 8 : word == "table32" ? 4 : 0;
        if (bytes == 0)
            return false;
        const uint64_t count = value();
        uint64_t entry = value();
        const uint64_t step = value();
        for (uint64_t i = 0; i != count; ++i, entry += step)
            place(&entry, bytes);
        return true;
    }

    const Module& file_named(Text name) {
        for (unsigned i = 0; i != images_.file_count; ++i)
            if (images_.files[i].rest == name)
                return images_.files[i];
        fail_line("names a file that the host was not given: ", name);
    }

    void place(const void* from, uint64_t bytes) {
        place_bytes(guest_, at_, from, bytes, "what the state file places");
        at_ += bytes;
    }

    // A number, or names and numbers joined from left to right.
    uint64_t value() {
        Text word = next_word(rest_);
        if (word.size == 0)
            fail_line("lacks a value", Text());
        uint64_t result = 0;
        char operation = '+';
        for (;;) {
            uint64_t end = 0;
            while (end != word.size && !is_operator(word.data[end]))
                ++end;
            combine(result, operation, term(word.first(end)));
            if (end == word.size)
                return result;
            operation = word.data[end];
            word = word.from(end + 1);
        }
    }

    static bool is_operator(char c) {
        return c == '+' || c == '-' || c == '&' || c == '|' || c == '/';
    }

    void combine(uint64_t& result, char operation, uint64_t operand) {
        switch (operation) {
        case '+':
            result += operand;
            break;
        case '-':
            result -= operand;
            break;
        case '&':
            result &= operand;
            break;
        case '|':
            result |= operand;
            break;
        case '/':
            if (operand == 0)
                fail_line("divides by 0", Text());
            result /= operand;
            break;
        }
    }

    uint64_t term(Text word) {
        const struct {
            const char* name;
            uint64_t value;
        } names[] = {
            {"$entry", names_.entry},     {"$end", names_.end},    {"$memory", names_.memory},
            {"$cmdline", names_.cmdline}, {"$cbit", names_.c_bit},
        };
        for (const auto& known : names)
            if (word == known.name)
                return known.value;
        uint64_t number = 0;
        if (!parse_number(word, number))
            fail_line("has what is no number and no name: ", word);
        return number;
    }

    [[noreturn]] void fail_line(const char* why, Text what) {
        fail("line ", decimal(number_), " of the state file ", why, what);
    }

    Guest& guest_;
    const Images& images_;
    const StateNames& names_;
    Text rest_;
    uint64_t number_ = 0;
    GuestPhys at_ = 0;
};

} // namespace

void apply_state_file(Guest& guest, const Images& images, const StateNames& names) {
    Parser parser(guest, images, names);
    Text file(reinterpret_cast<const char*>(images.state.data), images.state.bytes);
    while (file.size != 0) {
        const Text line = file.first(file.find('\n'));
        parser.line(line);
        file = file.from(line.size + 1);
    }
}

} // namespace sevhost
