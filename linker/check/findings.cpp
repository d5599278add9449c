#include "findings.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <iterator>

namespace check {
namespace {

std::string dashed(const char* name) {
    std::string id = name;
    std::replace(id.begin(), id.end(), '_', '-');
    return id;
}

#define CHECK_RULE(name, severity, meaning, mend) dashed(#name),
const std::string kIds[] = {CHECK_RULES(CHECK_RULE)};
#undef CHECK_RULE

std::vector<RuleText> make_rules() {
    std::vector<RuleText> rules = {
#define CHECK_RULE(name, severity, meaning, mend) {{}, Severity::severity, meaning, mend},
        CHECK_RULES(CHECK_RULE)
#undef CHECK_RULE
    };
    for (size_t i = 0; i != rules.size(); ++i)
        rules[i].id = kIds[i];
    return rules;
}

} // namespace

std::span<const RuleText> all_rules() {
    static const std::vector<RuleText> rules = make_rules();
    return rules;
}

const RuleText& text_of(Rule rule) {
    return all_rules()[static_cast<size_t>(rule)];
}

void Findings::add(Rule rule, Loaders loaders, std::string sentence) {
    if ((loaders & asked_).none())
        return;
    const auto same = std::find_if(found_.begin(), found_.end(), [&](const Finding& finding) {
        return finding.rule == rule && finding.sentence == sentence;
    });
    if (same == found_.end())
        found_.push_back({rule, text_of(rule).severity, loaders & asked_, std::move(sentence)});
    else
        same->loaders |= loaders & asked_;
}

void Findings::add_all(const Findings& findings) {
    found_.insert(found_.end(), findings.begin(), findings.end());
}

void Findings::merge_depths(const Findings& four, const Findings& five) {
    add_all(four);
    for (Finding& finding : found_)
        if (!five.has(finding.rule) && four.has(finding.rule)) {
            finding.severity = Severity::warning;
            finding.sentence += "; so it is with four levels of paging, on a CPU without LA57";
        }
    for (const Finding& finding : five)
        if (!four.has(finding.rule)) {
            found_.push_back(finding);
            found_.back().severity = Severity::warning;
            found_.back().sentence += "; so it is with five levels of paging, on a CPU with LA57";
        }
}

bool Findings::has(Rule rule) const {
    return std::any_of(found_.begin(), found_.end(),
                       [&](const Finding& finding) { return finding.rule == rule; });
}

bool Findings::refused(Loaders loaders) const {
    return std::any_of(found_.begin(), found_.end(), [&](const Finding& finding) {
        return finding.severity == Severity::error && (finding.loaders & loaders).any();
    });
}

std::string sentence(const char* format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    std::string text(static_cast<size_t>(vsnprintf(nullptr, 0, format, arguments)), '\0');
    vsnprintf(text.data(), text.size() + 1, format, again);
    va_end(arguments);
    va_end(again);
    return text;
}

} // namespace check
