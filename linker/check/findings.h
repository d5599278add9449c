// What can be wrong with a kernel, and a list of what is.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "loaders.h"
#include "rules.h"

namespace check {

enum class Severity { error, warning };

struct RuleText {
    std::string_view id;
    Severity severity;
    std::string_view meaning; // what is wrong, in general
    std::string_view mend;
};

enum class Rule {
#define CHECK_RULE(name, severity, meaning, mend) name,
    CHECK_RULES(CHECK_RULE)
#undef CHECK_RULE
};

std::span<const RuleText> all_rules();
const RuleText& text_of(Rule rule);

struct Finding {
    Rule rule;
    Severity severity; // the rule's, or a warning: see Findings::merge_depths
    Loaders loaders;
    std::string sentence; // with this image's numbers
};

class Findings {
public:
    // Only what concerns these is kept.
    explicit Findings(Loaders asked) : asked_(asked) {}

    // The same sentence again concerns more loaders.
    void add(Rule rule, Loaders loaders, std::string sentence);
    // What was found with four levels of paging and with five, of a kernel that
    // takes either: what is wrong with one depth alone is a warning.
    void merge_depths(const Findings& four, const Findings& five);

    bool has(Rule rule) const;
    // Is there an error that concerns one of these?
    bool refused(Loaders loaders) const;

    Loaders asked() const { return asked_; }
    auto begin() const { return found_.begin(); }
    auto end() const { return found_.end(); }
    bool empty() const { return found_.empty(); }

private:
    void add_all(const Findings& findings);

    Loaders asked_;
    std::vector<Finding> found_;
};

// A sentence, as printf makes it. Addresses and sizes are printed by %#lx.
[[gnu::format(printf, 1, 2)]] std::string sentence(const char* format, ...);

} // namespace check
