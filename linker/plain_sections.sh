#!/bin/sh
# Gives what the compiler made the plain names .text, .rodata, .data and .bss, so
# that any kernel's linker script places it, even one that collects only *(.bss).
# The sections stay apart, one a function, for --gc-sections.
# Usage: plain_sections.sh OBJCOPY OBJECT
set -eu
renames=$(llvm-readelf -S --wide "$2" | awk '
    match($0, /\.(text|rodata|data|bss)\.[^ ]+/) {
        name = substr($0, RSTART, RLENGTH)
        split(name, part, ".")
        print "--rename-section=" name "=." part[2]
    }' | sort -u)
# shellcheck disable=SC2086 # one word a section
[ -z "$renames" ] || "$1" $renames "$2"
