/* An EFI program that takes PAGES pages, one by one and of two types in turn: each is a descriptor
 * of its own in the firmware's memory map from then on. Source: UEFI 2.10, sections 4.3 and 7.2. */
#include <stdint.h>

typedef uint64_t (*allocate_pages_function)(uint32_t how, uint32_t type, uint64_t pages,
                                            uint64_t* start);

struct boot_services {
    uint64_t before[5];
    allocate_pages_function allocate_pages;
};

struct system_table {
    uint64_t before[12];
    const struct boot_services* boot_services;
};

uint64_t efi_main(void* image, const struct system_table* system) {
    const uint32_t any = 0, loader_code = 1, loader_data = 2;
    (void)image;
    for (uint32_t i = 0; i != PAGES; ++i) {
        uint64_t start;
        const uint64_t status = system->boot_services->allocate_pages(
            any, i % 2 != 0 ? loader_code : loader_data, 1, &start);
        if (status != 0)
            return status;
    }
    return 0;
}
