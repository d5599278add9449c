// A PE image, as firmware and shim look at it, and as its stub does.
// Sources: edk2, MdePkg/Library/BasePeCoffLib/BasePeCoff.c (PeCoffLoaderGetPeHeader) and
// MdeModulePkg/Core/Dxe/Misc/MemoryProtection.c; shim, pe.c and pe-relocate.c.
#include <bit>

#include "checks.h"
#include "ranges.h"

namespace check {
namespace {

constexpr uint64_t kSignature = 0x4550, kX86_64 = 0x8664, kPe32Plus = 0x20b, kEfiApplication = 10;
constexpr uint64_t kLeastOptional = 112; // what is in every PE32+'s
constexpr uint64_t kRelocationsStripped = 1, kNxCompat = 0x100;
constexpr uint64_t kLeastFileAlignment = 512, kMostFileAlignment = 0x10000;
constexpr uint64_t kCertificateAlignment = 8;

class Check {
public:
    Check(const PeFile& file, Findings& findings) : file_(file), findings_(findings) {}

    void all() {
        if (!is_whole() || !is_for_firmware())
            return;
        look_at_sections();
        look_at_entry();
        look_at_the_rest();
        look_at_stub();
    }

private:
    void add(Rule rule, std::string sentence) {
        findings_.add(rule, set_of(efi_firmware), std::move(sentence));
    }

    bool is_whole() {
        if (!file_.missing.empty())
            add(Rule::pe_cut,
                sentence("%s, at 0x%lx, is not all in a file of 0x%zx", file_.missing.c_str(),
                         file_.header, file_.contents().size()));
        else if (file_.signature != kSignature)
            add(Rule::pe_header, sentence("at 0x%lx stands 0x%lx", file_.header, file_.signature));
        else if (file_.magic == kPe32Plus && file_.optional_bytes < kLeastOptional)
            add(Rule::pe_header, sentence("what is called the optional header has 0x%lx bytes",
                                          file_.optional_bytes));
        else
            return true;
        return false;
    }

    bool is_for_firmware() {
        if (file_.machine == kX86_64 && file_.magic == kPe32Plus &&
            file_.subsystem == kEfiApplication)
            return true;
        add(Rule::pe_kind, sentence("machine 0x%lx, magic 0x%lx, subsystem %lu", file_.machine,
                                    file_.magic, file_.subsystem));
        return false;
    }

    bool is_aligned(uint64_t value, uint64_t alignment) {
        return std::has_single_bit(alignment) && value % alignment == 0;
    }

    void look_at_sections() {
        if (!is_aligned(file_.section_alignment, prologue::kPage) ||
            !std::has_single_bit(file_.section_alignment) ||
            !std::has_single_bit(file_.file_alignment) ||
            file_.file_alignment < kLeastFileAlignment || file_.file_alignment > kMostFileAlignment)
            add(Rule::pe_alignment, sentence("of sections 0x%lx, in the file 0x%lx",
                                             file_.section_alignment, file_.file_alignment));
        if (file_.headers_bytes < file_.table_end || file_.headers_bytes > file_.contents().size())
            add(Rule::pe_headers_size,
                sentence("they are said to have 0x%lx bytes, and end at 0x%lx", file_.headers_bytes,
                         file_.table_end));
        uint64_t end = file_.headers_bytes, file_end = file_.headers_bytes;
        for (const PeSection& section : file_.sections) {
            look_at(section, end, file_end);
            end = section.end();
            file_end = section.file_bytes != 0 ? section.file_end() : file_end;
        }
        if (file_.image_bytes < end)
            add(Rule::pe_image_size, sentence("it is said to have 0x%lx bytes, and ends at 0x%lx",
                                              file_.image_bytes, end));
    }

    void look_at(const PeSection& section, uint64_t end, uint64_t file_end) {
        const char* const name = section.name.c_str();
        if (!bytes_at(file_.contents(), section.offset, section.file_bytes))
            add(Rule::pe_cut,
                sentence("section %s has 0x%lx bytes at 0x%lx, in a file of 0x%zx", name,
                         section.file_bytes, section.offset, file_.contents().size()));
        if (!is_aligned(section.address, file_.section_alignment) ||
            (section.file_bytes != 0 && !is_aligned(section.offset, file_.file_alignment)))
            add(Rule::pe_alignment, sentence("section %s lies at 0x%lx, and at 0x%lx in the file",
                                             name, section.address, section.offset));
        if (section.address < end || (section.file_bytes != 0 && section.offset < file_end))
            add(Rule::pe_sections_overlap,
                sentence("section %s lies at 0x%lx, and at 0x%lx in the file, where what is before "
                         "it ends at 0x%lx and 0x%lx",
                         name, section.address, section.offset, end, file_end));
        if (section.writable && section.executable)
            add(Rule::pe_writable_executable, sentence("section %s", name));
    }

    void look_at_entry() {
        const PeSection* const section = file_.holding(file_.entry_address, 1);
        if (section == nullptr || !section->executable)
            add(Rule::pe_entry, sentence("it is 0x%lx", file_.entry_address));
    }

    void look_at_the_rest() {
        const PeDirectory relocations = file_.relocations, certificates = file_.certificates;
        if ((file_.characteristics & kRelocationsStripped) != 0 ||
            (relocations.bytes != 0 &&
             file_.holding(relocations.start, relocations.bytes) == nullptr))
            add(Rule::pe_relocations,
                sentence("characteristics 0x%lx, 0x%lx bytes at 0x%lx", file_.characteristics,
                         relocations.bytes, relocations.start));
        if ((file_.dll_characteristics & kNxCompat) == 0)
            add(Rule::pe_nx_compat,
                sentence("DllCharacteristics are 0x%lx", file_.dll_characteristics));
        bool has_sbat = false;
        for (const PeSection& section : file_.sections)
            has_sbat |= section.name == ".sbat";
        if (!has_sbat)
            add(Rule::pe_sbat, sentence("there are %zu sections", file_.sections.size()));
        if (certificates.bytes != 0 &&
            (!is_aligned(certificates.start, kCertificateAlignment) ||
             !bytes_at(file_.contents(), certificates.start, certificates.bytes)))
            add(Rule::pe_certificates,
                sentence("0x%lx bytes at 0x%lx, in a file of 0x%zx", certificates.bytes,
                         certificates.start, file_.contents().size()));
    }

    void look_at_stub() {
        if (!file_.stub) {
            add(Rule::prologue_missing, "no executable section begins with Prologue's stub");
            return;
        }
        const PeStub& stub = *file_.stub;
        if (file_.holding(stub.kernel_address, stub.kernel_bytes) == nullptr ||
            stub.kernel_bytes > stub.memory_bytes || stub.kernel_entry >= stub.kernel_bytes ||
            stub.load_start % prologue::kPage != 0 || stub.load_start > prologue::kMostPhysical ||
            stub.memory_bytes > prologue::kMostPhysical)
            add(Rule::pe_stub,
                sentence("0x%lx bytes at 0x%lx in the image, 0x%lx in memory at 0x%lx, entered at "
                         "0x%lx in that",
                         stub.kernel_bytes, stub.kernel_address, stub.memory_bytes, stub.load_start,
                         stub.kernel_entry));
    }

    const PeFile& file_;
    Findings& findings_;
};

} // namespace

Findings check_pe(const PeFile& file, std::optional<Loaders> asked) {
    Findings findings(asked.value_or(set_of(efi_firmware)));
    findings.add(Rule::contract_not_carried, ~set_of(efi_firmware), "the file is a PE image");
    Check(file, findings).all();
    return findings;
}

} // namespace check
