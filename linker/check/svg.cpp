// The image as a picture: each segment and each window where it is seen (left) and
// where it lies (right), in the order of the addresses, with its rights. Of a PE image
// each section, in the file and in memory.
#include "report.h"

#include <algorithm>
#include <bit>

namespace check {
namespace {

constexpr unsigned kWidth = 960, kMargin = 24;
constexpr unsigned kBoxWidth = 330, kLine = 18, kPadding = 8;
constexpr unsigned kLeft = kMargin, kRight = kWidth - kMargin - kBoxWidth;
constexpr unsigned kTop = 112, kGap = 26;

std::string escaped(std::string_view text) {
    std::string result;
    for (const char character : text)
        switch (character) {
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '&':
            result += "&amp;";
            break;
        case '"':
            result += "&quot;";
            break;
        default: // XML has no control characters, and the encoding of others is not known
            result += character >= 0x20 && character < 0x7f ? character : '?';
        }
    return result;
}

const char* colour(const std::string& rights) {
    if (rights[1] == 'w')
        return rights[2] == 'x' ? "#f2a19b" : "#f6d28c";
    return rights[2] == 'x' ? "#b5dca0" : "#b9d3ee";
}

// Something that has addresses on both sides: virtual and physical ones, say.
struct Box {
    std::string id, title, rights;
    uint64_t left, right, bytes, file_bytes;
    uint64_t left_bytes;
    std::vector<std::string> contents; // what of interest lies in it
    unsigned height = 0, left_y = 0, right_y = 0;
};

std::string mark(const char* what, uint64_t physical) {
    return sentence("%s at 0x%lx", what, physical);
}

// Headers, notes and entries within a segment.
std::vector<std::string> contents_of(const Segment& segment, const Kernel& kernel) {
    std::vector<std::string> marks;
    const auto add = [&](const char* what, std::optional<uint64_t> phys) {
        if (phys && *phys >= segment.phys && *phys - segment.phys < segment.bytes)
            marks.push_back(mark(what, *phys));
    };
    const auto add_header = [&](const char* what, std::optional<uint64_t> offset) {
        add(what, offset ? kernel.file.physical_of_file(*offset) : std::nullopt);
    };
    add_header("Multiboot 1 header", kernel.multiboot1_header(grub_multiboot1));
    add_header("Multiboot 2 header", kernel.multiboot2_header());
    add("e_entry", kernel.file.physical(kernel.file.entry));
    add("PVH's entry", kernel.entry(qemu_pvh));
    for (const Note& note : kernel.file.notes) {
        if (note.owner.empty())
            continue; // fills a gap
        const WishKind* kind = note.owner == PROLOGUE_NOTE_OWNER ? wish_kind(note.type) : nullptr;
        const std::string what = kind != nullptr
                                     ? "wish " + std::string(kind->name)
                                     : sentence("%s note %u", note.owner.c_str(), note.type);
        add_header(what.c_str(), note.offset);
    }
    return marks;
}

std::vector<Box> boxes_of(const Kernel& kernel) {
    std::vector<Box> boxes;
    for (const Segment& segment : kernel.file.loads)
        boxes.push_back({sentence("segment-%u", segment.index),
                         sentence("segment %u", segment.index),
                         rights_of(segment.readable, segment.writable, segment.executable),
                         segment.virt, segment.phys, segment.bytes, segment.file_bytes,
                         segment.bytes, contents_of(segment, kernel)});
    unsigned index = 0;
    for (const Window& window : kernel.wishes.windows) {
        boxes.push_back({sentence("window-%u", index),
                         sentence("window %u", index),
                         rights_of(true, (window.rights & PROLOGUE_WINDOW_WRITE) != 0,
                                   (window.rights & PROLOGUE_WINDOW_EXECUTE) != 0),
                         window.virt,
                         window.phys,
                         window.bytes,
                         window.bytes,
                         window.bytes,
                         {}});
        ++index;
    }
    return boxes;
}

std::vector<std::string> contents_of(const PeSection& section, const PeFile& file) {
    std::vector<std::string> marks;
    const auto add = [&](const char* what, uint64_t address) {
        if (address >= section.address && address - section.address < section.bytes)
            marks.push_back(mark(what, address));
    };
    add("entry", file.entry_address);
    if (!file.stub)
        return marks;
    add("the kernel", file.stub->kernel_address);
    if (file.holding(file.stub->kernel_address, 1) == &section)
        marks.push_back(mark("is to lie", file.stub->load_start));
    return marks;
}

// A section that has no bytes in the file stands where they would be.
std::vector<Box> boxes_of(const PeFile& file) {
    const uint64_t headers = file.headers_bytes;
    std::vector<Box> boxes = {
        {"headers", "headers", rights_of(true, false, false), 0, 0, headers, headers, headers, {}}};
    uint64_t file_end = headers;
    for (const PeSection& section : file.sections) {
        const uint64_t bytes = std::max(section.bytes, section.file_bytes);
        const uint64_t start = section.file_bytes != 0 ? section.offset : file_end;
        boxes.push_back({"section-" + std::to_string(boxes.size() - 1), section.name,
                         rights_of(section.readable, section.writable, section.executable), start,
                         section.address, bytes, section.file_bytes, section.file_bytes,
                         contents_of(section, file)});
        file_end = start + section.file_bytes;
    }
    return boxes;
}

// As high as its texts need, and somewhat higher for each doubling of its size.
unsigned height_of(const Box& box) {
    const auto lines = static_cast<unsigned>(std::max<size_t>(3, 2 + box.contents.size()));
    return kLine * lines + 2 * kPadding + 3 * std::bit_width(box.bytes / 4096);
}

template <class T>
using FieldOfBox = T Box::*;

// Puts the boxes below each other by their address on one side.
template <class Address>
unsigned place(std::vector<Box>& boxes, FieldOfBox<uint64_t> address, FieldOfBox<Address> y) {
    std::vector<Box*> sorted;
    for (Box& box : boxes)
        sorted.push_back(&box);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](const Box* a, const Box* b) { return a->*address < b->*address; });
    unsigned at = kTop;
    for (Box* box : sorted) {
        box->*y = at;
        at += box->height + kGap;
    }
    return at;
}

std::string text(unsigned x, unsigned y, std::string_view content, const char* more = "") {
    return sentence("<text x=\"%u\" y=\"%u\"%s>", x, y, more) + escaped(content) + "</text>\n";
}

std::string rectangle(unsigned x, unsigned y, unsigned width, unsigned height, const char* fill) {
    return sentence("<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", x, y,
                    width, height, fill);
}

// One side of a box: coloured by its rights, hatched where the file has no bytes.
std::string side(const Box& box, unsigned x, unsigned y, uint64_t address, uint64_t bytes) {
    std::string result = sentence("<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\" "
                                  "stroke=\"#555\"/>\n",
                                  x, y, kBoxWidth, box.height, colour(box.rights));
    if (box.file_bytes < bytes) {
        const auto kept = static_cast<unsigned>(static_cast<double>(box.height) *
                                                static_cast<double>(box.file_bytes) /
                                                static_cast<double>(box.bytes));
        result += rectangle(x, y + kept, kBoxWidth, box.height - kept, "url(#zero)");
    }
    result += text(x + kPadding, y + kLine, sentence("0x%lx", address));
    result += text(x + kPadding, y + box.height - kPadding, sentence("0x%lx", address + bytes));
    return result;
}

std::string drawn(const Box& box) {
    const unsigned left_edge = kLeft + kBoxWidth;
    std::string result = "<g id=\"" + box.id + "\">\n<title>" + escaped(box.title) + "</title>\n";
    result += sentence("<polygon points=\"%u,%u %u,%u %u,%u %u,%u\" fill=\"%s\" "
                       "fill-opacity=\"0.35\"/>\n",
                       left_edge, box.left_y, kRight, box.right_y, kRight, box.right_y + box.height,
                       left_edge, box.left_y + box.height, colour(box.rights));
    result += side(box, kLeft, box.left_y, box.left, box.left_bytes);
    result += side(box, kRight, box.right_y, box.right, box.bytes);
    const char* const right_aligned = " text-anchor=\"end\"";
    result += text(left_edge - kPadding, box.left_y + kLine, box.title + ' ' + box.rights,
                   right_aligned);
    result += text(left_edge - kPadding, box.left_y + 2 * kLine, sentence("0x%lx bytes", box.bytes),
                   right_aligned);
    if (box.file_bytes != box.bytes)
        result += text(left_edge - kPadding, box.left_y + 3 * kLine,
                       sentence("0x%lx in the file", box.file_bytes), right_aligned);
    unsigned y = box.right_y + kLine;
    for (const std::string& content : box.contents)
        result += text(kRight + kBoxWidth - kPadding, y += kLine, content, right_aligned);
    return result + "</g>\n";
}

std::string legend() {
    std::string result;
    unsigned x = kMargin;
    for (const char* rights : {"r-x", "r--", "rw-", "rwx"}) {
        result += rectangle(x, 50, 16, 16, colour(rights)) + text(x + 22, 63, rights);
        x += 80;
    }
    return result + rectangle(x, 50, 16, 16, "url(#zero)") +
           text(x + 22, 63, "not in the file: zeroed");
}

std::string picture_of(const std::string& path, std::vector<Box> boxes, const char* left,
                       const char* right) {
    for (Box& box : boxes)
        box.height = height_of(box);
    const unsigned height = std::max(place(boxes, &Box::left, &Box::left_y),
                                     place(boxes, &Box::right, &Box::right_y));
    std::string picture = sentence(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %u\" "
        "font-family=\"monospace\" font-size=\"13\">\n"
        "<defs><pattern id=\"zero\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
        "<path d=\"M0 8L8 0\" stroke=\"#555\" stroke-opacity=\"0.4\"/></pattern></defs>\n",
        kWidth, height);
    picture += rectangle(0, 0, kWidth, height, "#fff");
    const size_t slash = path.rfind('/');
    picture += text(kMargin, 32, path.substr(slash == std::string::npos ? 0 : slash + 1),
                    " font-size=\"18\"");
    picture += legend();
    picture += text(kLeft, kTop - 12, left) + text(kRight, kTop - 12, right);
    for (const Box& box : boxes)
        picture += drawn(box);
    return picture + "</svg>\n";
}

} // namespace

std::string svg_picture(const std::string& path, const Kernel& kernel) {
    return picture_of(path, boxes_of(kernel), "virtual", "physical");
}

std::string svg_picture(const std::string& path, const PeFile& file) {
    return picture_of(path, boxes_of(file), "in the file", "in memory, where firmware puts it");
}

} // namespace check
