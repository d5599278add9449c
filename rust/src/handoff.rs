//! The structures of `prologue/handoff.h`, field by field.

/// Memory of one type: see `Handoff::memory`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub end: u64,
    pub kind: u32,
    pub flags: u32,
}

/// What the loader has loaded beside the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Module {
    pub start: u64,
    pub bytes: u64,
    pub cmdline: *const u8,
    pub cmdline_bytes: u64,
}

/// A linear framebuffer, as the loader set it up; `phys` is 0 where there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Framebuffer {
    pub phys: u64,
    pub pitch: u32,
    pub width: u32,
    pub height: u32,
    pub bits_per_pixel: u8,
    pub kind: u8,
    pub red_shift: u8,
    pub red_bits: u8,
    pub green_shift: u8,
    pub green_bits: u8,
    pub blue_shift: u8,
    pub blue_bits: u8,
}

/// Where the guest runs under AMD SEV; all zero where it does not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Sev {
    pub status: u64,
    pub c_bit_mask: u64,
    pub ghcb_phys: u64,
    pub ghcb_virtual: u64,
    pub cpuid_page_phys: u64,
    pub secrets_page_phys: u64,
    pub accepted_end: u64,
}

/// The console that the loader names; all zero where it names none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Console {
    pub device: u32,
    pub speed: u32,
    pub address: u64,
    pub frequency: u32,
    pub flags: u32,
    pub register_width: u32,
    pub register_shift: u32,
}

/// What BSDs' loaders tell, in their own numbers; all zero with other loaders.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    pub howto: u32,
    pub device: u32,
    pub console: Console,
    pub mac: [u8; 6],
    pub mac_bytes: u8,
    pub reserved: u8,
    pub environment: *const u8,
    pub environment_bytes: u64,
}

/// UEFI, where it has booted; all zero where it has not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Efi {
    pub system_table_phys: u64,
    pub memory_map: *const u8,
    pub memory_map_bytes: u64,
    pub descriptor_bytes: u32,
    pub descriptor_version: u32,
    pub bits: u32,
    pub boot_services: u32,
    pub image_handle: u64,
}

/// What the kernel gets.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Handoff {
    pub magic: u64,
    pub version: u32,
    pub size: u32,
    pub loader: u32,
    pub entry_mode: u32,
    pub loader_magic: u32,
    pub paging_levels: u32,
    pub loader_info_phys: u64,
    pub load_base: u64,
    pub load_end: u64,
    pub kernel_offset: u64,
    pub direct_map: u64,
    pub direct_map_bytes: u64,
    pub identity_bytes: u64,
    pub page_size: u64,
    pub memory: *const Range,
    pub memory_count: u64,
    pub cmdline: *const u8,
    pub cmdline_bytes: u64,
    pub modules: *const Module,
    pub module_count: u64,
    pub rsdp_phys: u64,
    pub framebuffer: Framebuffer,
    pub page_tables_phys: u64,
    pub spare_start: u64,
    pub spare_end: u64,
    pub stack_bottom: u64,
    pub stack_top: u64,
    pub tsc: u64,
    pub sev: Sev,
    pub boot: Boot,
    pub efi: Efi,
    pub smbios_phys: u64,
    pub left_out: u32,
    pub reserved: u32,
}
