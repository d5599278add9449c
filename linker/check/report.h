// What prologue-check says: as text, as JSON, and as a picture.
#pragma once

#include <string>

#include "findings.h"
#include "kernel.h"
#include "pe_file.h"

namespace check {

std::string text_report(const std::string& path, const Kernel& kernel, const Findings& findings);
std::string json_report(const std::string& path, const Kernel& kernel, const Findings& findings);
std::string svg_picture(const std::string& path, const Kernel& kernel);

std::string text_report(const std::string& path, const PeFile& file, const Findings& findings);
std::string json_report(const std::string& path, const PeFile& file, const Findings& findings);
std::string svg_picture(const std::string& path, const PeFile& file);

// All rules.
std::string text_list();
std::string json_list();

// What becomes of a kernel by one loader.
enum class Verdict { taken, refused, not_asked };
Verdict verdict_of(LoaderId loader, const Findings& findings);

std::string_view name_of(Severity severity);
std::string rights_of(bool readable, bool writable, bool executable); // such as r-x

} // namespace check
