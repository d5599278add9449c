// prologue-check: which loaders will take a kernel that is linked with Prologue?
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string_view>

#include "checks.h"
#include "report.h"

namespace {

using namespace check;

constexpr int kTaken = 0, kRefused = 1, kUnusable = 2;

constexpr char kUsage[] =
    "usage: prologue-check [--loader NAME]... [--json] [--svg FILE] KERNEL\n"
    "       prologue-check --list [--json]\n"
    "Says which loaders will take a kernel, and if not, why and how to mend it. KERNEL is the ELF\n"
    "file, or the PE image that prologue-bzimage has made of it.\n"
    "  --loader NAME  ask for this loader; without it, for those whose headers it carries\n"
    "  --json         as JSON\n"
    "  --svg FILE     also draw the image: segments, addresses, rights\n"
    "  --list         all that can be wrong\n"
    "Status: 0 if all loaders that are asked for take it, 1 if not, 2 if it cannot be read.\n"
    "Loaders:";

// The command line is wrong.
struct Misuse : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Options {
    std::optional<Loaders> loaders;
    bool json = false, list = false, help = false;
    std::string svg, kernel;
};

LoaderId loader_of(const std::string& name) {
    if (const auto loader = loader_named(name))
        return *loader;
    throw Misuse("no loader is named " + name);
}

Options read_options(int count, char** words) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = words[i];
        const auto value = [&]() -> std::string {
            if (++i == count)
                throw Misuse(std::string(word) + " needs a value");
            return words[i];
        };
        if (word == "--loader")
            options.loaders = options.loaders.value_or(Loaders()) | set_of(loader_of(value()));
        else if (word == "--svg")
            options.svg = value();
        else if (word == "--json")
            options.json = true;
        else if (word == "--list")
            options.list = true;
        else if (word == "--help")
            options.help = true;
        else if (word.starts_with("-") || !options.kernel.empty())
            throw Misuse("what is " + std::string(word) + "?");
        else
            options.kernel = word;
    }
    if (!options.list && !options.help && options.kernel.empty())
        throw Misuse("which kernel?");
    return options;
}

std::string usage() {
    std::string text = kUsage;
    for (const Loader& loader : kLoaders)
        text += ' ' + std::string(loader.name);
    return text + '\n';
}

void write_picture(const std::string& path, const std::string& picture) {
    std::ofstream stream(path, std::ios::binary);
    if (!(stream << picture).flush())
        throw Unreadable(path + ": cannot be written");
}

ElfFile elf_of(const std::string& path, std::vector<uint8_t> contents) {
    try {
        return ElfFile(std::move(contents));
    } catch (const Unreadable& error) {
        throw Unreadable(path + ": " + error.what());
    }
}

template <class File>
int tell(const Options& options, const File& file, const Findings& findings) {
    std::cout << (options.json ? json_report(options.kernel, file, findings)
                               : text_report(options.kernel, file, findings));
    if (!options.svg.empty())
        write_picture(options.svg, svg_picture(options.kernel, file));
    return findings.refused(findings.asked()) ? kRefused : kTaken;
}

int run(const Options& options) {
    if (options.help) {
        std::cout << usage();
        return kTaken;
    }
    if (options.list) {
        std::cout << (options.json ? json_list() : text_list());
        return kTaken;
    }
    std::vector<uint8_t> contents = read_file(options.kernel);
    if (PeFile::is_one(contents)) {
        const PeFile file(std::move(contents));
        return tell(options, file, check_pe(file, options.loaders));
    }
    const Kernel kernel(elf_of(options.kernel, std::move(contents)));
    return tell(options, kernel, check_kernel(kernel, options.loaders));
}

} // namespace

int main(int count, char** words) {
    try {
        return run(read_options(count, words));
    } catch (const Misuse& error) {
        std::cerr << "prologue-check: " << error.what() << '\n' << usage();
    } catch (const Unreadable& error) {
        std::cerr << "prologue-check: " << error.what() << '\n';
    }
    return kUnusable;
}
