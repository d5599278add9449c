#!/bin/sh
# The 64-bit stage runs at an address it was not linked for, so it must hold
# none: every relocation in what is loaded has to be relative to its place.
# Headers, which are for the loader's eyes, name physical addresses; and the entry knows
# those that it is linked for, by which it sees that it was moved.
# Usage: relocations.sh OBJECT...
set -eu
bad=$(llvm-readelf -r "$@" | awk '
    /^File:/ { file = $2 }
    /^Relocation section/ { section = $3 }
    / R_X86_64_/ && section !~ /debug|prologue\.headers|prologue\.notes/ &&
        $3 !~ /^R_X86_64_(PC32|PLT32|NONE)$/ && $5 !~ /^prologue_linked_/ { print file, section, $3, $5 }')
[ -z "$bad" ] && exit 0
echo "relocations that are not relative to their place:" >&2
echo "$bad" >&2
exit 1
