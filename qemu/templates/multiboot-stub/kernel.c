/* Prints its command line, how much memory there is, and its modules. */
#include <stdint.h>

#define PHYS_TO_VIRT(phys) ((void *)((uintptr_t)(phys) + 0xffffffff80000000))

struct multiboot_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr;
};

struct multiboot_mmap {
    uint32_t size;
    uint64_t address, length;
    uint32_t type;
} __attribute__((packed));

struct multiboot_module {
    uint32_t start, end, string, reserved;
};

static void out8(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text) {
    static uint32_t column;
    volatile uint16_t *screen = PHYS_TO_VIRT(0xb8000);
    for (; *text; ++text) {
        out8(0x3f8, (uint8_t)*text);
        screen[column++ % 2000] = (uint16_t)(0x0700 | *text);
    }
}

static void print_number(uint64_t value) {
    if (value > 9)
        print_number(value / 10);
    print((char[]){(char)('0' + value % 10), 0});
}

void kmain(uint32_t magic, uint32_t address) {
    if (magic != 0x2badb002)
        return;
    const struct multiboot_info *info = PHYS_TO_VIRT(address);

    print("command line: ");
    print(PHYS_TO_VIRT(info->cmdline));

    uint64_t bytes = 0;
    for (uint32_t at = 0; at < info->mmap_length;) {
        const struct multiboot_mmap *entry = PHYS_TO_VIRT(info->mmap_addr + at);
        if (entry->type == 1)
            bytes += entry->length;
        at += entry->size + 4;
    }
    print("\nmegabytes: ");
    print_number(bytes >> 20);

    const struct multiboot_module *modules = PHYS_TO_VIRT(info->mods_addr);
    for (uint32_t i = 0; i < info->mods_count; ++i) {
        print("\nmodule: ");
        print(PHYS_TO_VIRT(modules[i].string));
    }
    print("\nkernel: ready\n");
    for (;;)
        __asm__ volatile("hlt");
}
