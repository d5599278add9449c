// The report as JSON; docs/prologue-check.md documents its shape.
#include "report.h"

#include <vector>

namespace check {
namespace {

constexpr unsigned kFormat = 1;

// Bytes that are no ASCII are taken for Latin-1, so that the result is always valid.
std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (byte == '"' || byte == '\\')
            result += '\\';
        if (byte < 0x20 || byte >= 0x7f)
            result += sentence("\\u%04x", byte);
        else
            result += character;
    }
    return result + '"';
}

// Addresses and sizes may need 64 bits, which a JSON number need not have.
std::string hexadecimal(uint64_t value) {
    return sentence("\"0x%lx\"", value);
}

std::string boolean(bool value) {
    return value ? "true" : "false";
}

using Items = std::vector<std::string>;

std::string joined(const Items& items, char open, char close, const char* separator) {
    std::string result(1, open);
    for (const std::string& item : items)
        result += (result.size() > 1 ? separator : "") + item;
    return result + close;
}

std::string array(const Items& items) {
    return joined(items, '[', ']', ", ");
}
std::string lines(const Items& items) {
    return items.empty() ? "[]" : "[\n    " + joined(items, ' ', '\n', ",\n    ").substr(1) + "  ]";
}

std::string field(const char* name, const std::string& value) {
    return quoted(name) + ": " + value;
}
std::string object(const Items& fields) {
    return joined(fields, '{', '}', ", ");
}

std::string json_of(LoaderId loader, const Candidate& candidate, const Findings& findings) {
    const Verdict verdict = verdict_of(loader, findings);
    const auto entry = candidate.entry(loader);
    return object({
        field("name", quoted(kLoaders[loader].name)),
        field("contract", quoted(name_of(kLoaders[loader].contract))),
        field("carried", boolean(candidate.carries(kLoaders[loader].contract))),
        field("asked", boolean(verdict != Verdict::not_asked)),
        field("taken", verdict == Verdict::not_asked ? "null" : boolean(verdict == Verdict::taken)),
        field("entry", verdict == Verdict::taken && entry ? hexadecimal(*entry) : "null"),
    });
}

std::string json_of(const Finding& finding) {
    Items loaders;
    for (unsigned i = 0; i != kLoaderCount; ++i)
        if (finding.loaders[i])
            loaders.push_back(quoted(kLoaders[i].name));
    const RuleText& rule = text_of(finding.rule);
    return object({
        field("id", quoted(rule.id)),
        field("severity", quoted(name_of(finding.severity))),
        field("loaders", array(loaders)),
        field("meaning", quoted(rule.meaning)),
        field("here", quoted(finding.sentence)),
        field("mend", quoted(rule.mend)),
    });
}

std::string json_of(const Segment& segment) {
    return object({
        field("index", std::to_string(segment.index)),
        field("virtual", hexadecimal(segment.virt)),
        field("physical", hexadecimal(segment.phys)),
        field("bytes", hexadecimal(segment.bytes)),
        field("file_offset", hexadecimal(segment.offset)),
        field("file_bytes", hexadecimal(segment.file_bytes)),
        field("rights", quoted(rights_of(segment.readable, segment.writable, segment.executable))),
    });
}

std::string json_of(const PeSection& section) {
    return object({
        field("name", quoted(section.name)),
        field("address", hexadecimal(section.address)),
        field("bytes", hexadecimal(section.bytes)),
        field("file_offset", hexadecimal(section.offset)),
        field("file_bytes", hexadecimal(section.file_bytes)),
        field("rights", quoted(rights_of(section.readable, section.writable, section.executable))),
    });
}

std::string json_of(const Note& note, const ElfFile& file) {
    const WishKind* kind = note.owner == PROLOGUE_NOTE_OWNER ? wish_kind(note.type) : nullptr;
    Items fields = {
        field("owner", quoted(note.owner)),
        field("type", hexadecimal(note.type)),
        field("file_offset", hexadecimal(note.offset)),
        field("wish", kind != nullptr ? quoted(kind->name) : "null"),
    };
    Items values;
    uint64_t offset = note.desc_offset;
    if (kind != nullptr)
        for (const unsigned bytes : kind->fields) {
            values.push_back(hexadecimal(file.number(offset, bytes).value_or(0)));
            offset += bytes;
        }
    fields.push_back(field("values", array(values)));
    return object(fields);
}

std::string json_of(const char* kind, uint64_t offset) {
    return object({field("kind", quoted(kind)), field("file_offset", hexadecimal(offset))});
}

Items headers_of(const Kernel& kernel) {
    Items headers;
    if (const auto offset = kernel.multiboot1_header(grub_multiboot1))
        headers.push_back(json_of("multiboot1", *offset));
    if (const auto offset = kernel.multiboot2_header())
        headers.push_back(json_of("multiboot2", *offset));
    for (const Note& note : kernel.pvh_notes)
        headers.push_back(json_of("pvh", note.offset));
    return headers;
}

// What is in the file, by its kind.
struct Parts {
    Items segments, headers, notes, sections;
};

std::string report(const std::string& path, const Candidate& candidate, const Findings& findings,
                   const Parts& parts) {
    Items loaders, found;
    for (unsigned i = 0; i != kLoaderCount; ++i)
        loaders.push_back(json_of(static_cast<LoaderId>(i), candidate, findings));
    for (const Finding& finding : findings)
        found.push_back(json_of(finding));
    const Items fields = {
        field("format", std::to_string(kFormat)),
        field("file", quoted(path)),
        field("taken", boolean(!findings.refused(findings.asked()))),
        field("loaders", lines(loaders)),
        field("findings", lines(found)),
        field("segments", lines(parts.segments)),
        field("headers", lines(parts.headers)),
        field("notes", lines(parts.notes)),
        field("sections", lines(parts.sections)),
    };
    return "{\n  " + joined(fields, ' ', '\n', ",\n  ").substr(1) + "}\n";
}

} // namespace

std::string json_report(const std::string& path, const Kernel& kernel, const Findings& findings) {
    Parts parts;
    for (const Segment& segment : kernel.file.loads)
        parts.segments.push_back(json_of(segment));
    parts.headers = headers_of(kernel);
    for (const Note& note : kernel.file.notes)
        parts.notes.push_back(json_of(note, kernel.file));
    return report(path, kernel, findings, parts);
}

std::string json_report(const std::string& path, const PeFile& file, const Findings& findings) {
    Parts parts;
    for (const PeSection& section : file.sections)
        parts.sections.push_back(json_of(section));
    return report(path, file, findings, parts);
}

std::string json_list() {
    Items rules;
    for (const RuleText& rule : all_rules())
        rules.push_back(object({
            field("id", quoted(rule.id)),
            field("severity", quoted(name_of(rule.severity))),
            field("meaning", quoted(rule.meaning)),
            field("mend", quoted(rule.mend)),
        }));
    return joined(rules, '[', ']', ",\n ") + '\n';
}

} // namespace check
