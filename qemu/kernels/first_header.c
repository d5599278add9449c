/* A kernel of the handoff's first day: it knows the header of version 1 and nothing later, states no
 * wish, and prints all of what that header promises. */
#include "first/handoff.h"

/* serial.h's own include of the header of today is then an empty one. */
#include "prologue/wishes.h"
#include "serial.h"

static uint64_t cr3(void) {
    uint64_t value;
    __asm__("mov %%cr3, %0" : "=r"(value));
    return value;
}

static void print_bytes(const char *name, const uint8_t *bytes, uint64_t count) {
    print(name);
    print(": ");
    for (uint64_t i = 0; i != count; ++i)
        out8(SERIAL, bytes[i]);
    print("\n");
}

static void print_range(const prologue_range *range) {
    print_number("range", range->start);
    print_number("end", range->end);
    print_number("type", range->type);
}

static void print_module(const prologue_handoff *handoff, const prologue_module *module) {
    print_bytes("module", (const uint8_t *)(handoff->direct_map + module->start), module->bytes);
    print_bytes("module text", (const uint8_t *)module->cmdline, module->cmdline_bytes);
}

void kernel_main(const prologue_handoff *handoff) {
    print("\n"); /* what the loader left on the line */
    print_number("magic", handoff->magic);
    print_number("version", handoff->version);
    print_number("size", handoff->size);
    print_number("loader", handoff->loader);
    print_number("entry mode", handoff->entry_mode);
    print_number("loader magic", handoff->loader_magic);
    print_number("levels", handoff->paging_levels);
    print_number("loader info", handoff->loader_info_phys);
    print_number("load base", handoff->load_base);
    print_number("load end", handoff->load_end);
    print_number("kernel offset", handoff->kernel_offset);
    print_number("here", (uint64_t)&kernel_main);
    print_number("direct map", handoff->direct_map);
    print_number("direct map bytes", handoff->direct_map_bytes);
    print_number("identity bytes", handoff->identity_bytes);
    print_number("page size", handoff->page_size);
    for (uint64_t i = 0; i != handoff->memory_count; ++i)
        print_range(&handoff->memory[i]);
    print_bytes("cmdline", (const uint8_t *)handoff->cmdline, handoff->cmdline_bytes);
    for (uint64_t i = 0; i != handoff->module_count; ++i)
        print_module(handoff, &handoff->modules[i]);
    print_number("rsdp", handoff->rsdp_phys);
    print_number("framebuffer", handoff->framebuffer.phys);
    print_number("page tables", handoff->page_tables_phys);
    print_number("cr3", cr3());
    print_number("spare start", handoff->spare_start);
    print_number("spare end", handoff->spare_end);
    print_number("stack bottom", handoff->stack_bottom);
    print_number("stack", (uint64_t)__builtin_frame_address(0));
    print_number("stack top", handoff->stack_top);
    print_number("tsc", handoff->tsc);
    print_number("sev status", handoff->sev.status);
    print("result: ok\n");
    out8(PROLOGUE_EXIT_PORT, PROLOGUE_EXIT_SUCCESS);
    for (;;)
        __asm__ volatile("cli; hlt");
}
