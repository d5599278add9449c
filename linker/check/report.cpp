#include "report.h"

#include <algorithm>

namespace check {
namespace {

constexpr size_t kColumns = 96;
constexpr size_t kLoaderColumns = 18;

// A paragraph, indented.
std::string wrapped(std::string_view text, size_t indent) {
    std::string result;
    std::string line(indent, ' ');
    while (!text.empty()) {
        const size_t space = std::min(text.find(' '), text.size());
        if (line.size() > indent && line.size() + 1 + space > kColumns) {
            result += line + '\n';
            line.assign(indent, ' ');
        }
        line += (line.size() > indent ? " " : "") + std::string(text.substr(0, space));
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    return result + line + '\n';
}

std::string names_of(Loaders loaders) {
    std::string names;
    for (unsigned i = 0; i != kLoaderCount; ++i)
        if (loaders[i])
            names += (names.empty() ? "" : ", ") + std::string(kLoaders[i].name);
    return names;
}

std::string summary(const std::string& path, const ElfFile& file) {
    if (file.loads.empty())
        return path + ": no loadable segments\n";
    uint64_t start = ~uint64_t{0}, end = 0;
    for (const Segment& segment : file.loads) {
        start = std::min(start, segment.phys);
        end = std::max(end, segment.phys_end());
    }
    return path + sentence(": %zu segments, loaded at 0x%lx to 0x%lx, linked at 0x%lx\n",
                           file.loads.size(), start, end, file.loads[0].virt);
}

std::string summary(const std::string& path, const PeFile& file) {
    std::string line = path + sentence(": a PE image, %zu sections, 0x%lx bytes in memory",
                                       file.sections.size(), file.image_bytes);
    if (file.stub)
        line += sentence("; the kernel is to lie at 0x%lx to 0x%lx", file.stub->load_start,
                         file.stub->load_start + file.stub->memory_bytes);
    return line + '\n';
}

std::string loader_line(LoaderId loader, const Candidate& candidate, const Findings& findings) {
    std::string line = "  " + std::string(kLoaders[loader].name);
    line.resize(2 + kLoaderColumns, ' ');
    switch (verdict_of(loader, findings)) {
    case Verdict::taken:
        line += "takes it";
        if (const auto entry = candidate.entry(loader))
            line += sentence(", and enters at 0x%lx", *entry);
        break;
    case Verdict::refused:
        line += "does not boot it";
        break;
    case Verdict::not_asked:
        line += candidate.carries(kLoaders[loader].contract) ? "not asked for" : "not carried";
        break;
    }
    return line + '\n';
}

std::string report(std::string text, const Candidate& candidate, const Findings& findings) {
    for (unsigned i = 0; i != kLoaderCount; ++i)
        text += loader_line(static_cast<LoaderId>(i), candidate, findings);
    for (const Finding& finding : findings) {
        const RuleText& rule = text_of(finding.rule);
        text += '\n' + std::string(name_of(finding.severity)) + ": " + std::string(rule.id) + " (" +
                names_of(finding.loaders) + ")\n";
        text += wrapped(std::string(rule.meaning) + " Here: " + finding.sentence + '.', 4);
        text += wrapped("To mend: " + std::string(rule.mend), 4);
    }
    return text;
}

} // namespace

Verdict verdict_of(LoaderId loader, const Findings& findings) {
    if (!findings.asked()[loader])
        return Verdict::not_asked;
    return findings.refused(set_of(loader)) ? Verdict::refused : Verdict::taken;
}

std::string_view name_of(Severity severity) {
    return severity == Severity::error ? "error" : "warning";
}

std::string rights_of(bool readable, bool writable, bool executable) {
    return {readable ? 'r' : '-', writable ? 'w' : '-', executable ? 'x' : '-'};
}

std::string text_report(const std::string& path, const Kernel& kernel, const Findings& findings) {
    return report(summary(path, kernel.file), kernel, findings);
}

std::string text_report(const std::string& path, const PeFile& file, const Findings& findings) {
    return report(summary(path, file), file, findings);
}

std::string text_list() {
    std::string text;
    for (const RuleText& rule : all_rules()) {
        text += std::string(rule.id) + " (" + std::string(name_of(rule.severity)) + ")\n";
        text += wrapped(rule.meaning, 4) + wrapped("To mend: " + std::string(rule.mend), 4);
    }
    return text;
}

} // namespace check
