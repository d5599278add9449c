# Prologue for CMake, relative to where this file lies:
#
#   Prologue::layout    links a kernel with Prologue, laid out by prologue.ld
#   Prologue::prologue  the same for a kernel that brings a linker script of its own
#   Prologue_SCRIPTS    the directory of the linker scripts; the link finds them by name
#
# The options suit a compiler that calls the linker, and the linker itself. GNU ld
# looks for a script, and for what it INCLUDEs, where the -L before its -T say.

# Through symbolic links: /lib may be one to /usr/lib.
get_filename_component(_prologue_prefix "${CMAKE_CURRENT_LIST_DIR}" REALPATH)
get_filename_component(_prologue_prefix "${_prologue_prefix}/../../.." ABSOLUTE)
set(Prologue_SCRIPTS "${_prologue_prefix}/share/prologue")

if(NOT TARGET Prologue::prologue)
    add_library(Prologue::prologue STATIC IMPORTED)
    set_target_properties(Prologue::prologue PROPERTIES
        IMPORTED_LOCATION "${_prologue_prefix}/lib/libprologue.a"
        INTERFACE_INCLUDE_DIRECTORIES "${_prologue_prefix}/include"
        INTERFACE_LINK_OPTIONS
            "-nostdlib;-static;SHELL:-z max-page-size=4096;-L${Prologue_SCRIPTS}")

    # Linked again when one of the scripts has changed.
    file(GLOB _prologue_scripts "${Prologue_SCRIPTS}/prologue*.ld")
    add_library(Prologue::layout INTERFACE IMPORTED)
    set_target_properties(Prologue::layout PROPERTIES
        INTERFACE_LINK_LIBRARIES Prologue::prologue
        INTERFACE_LINK_OPTIONS "-L${Prologue_SCRIPTS};SHELL:-T prologue.ld"
        INTERFACE_LINK_DEPENDS "${_prologue_scripts}")
    unset(_prologue_scripts)
endif()
unset(_prologue_prefix)
