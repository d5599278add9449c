//! `prologue/wishes.h` as one macro. Each wish stands once (but `WINDOW`) in a module of the
//! kernel's, outside of all functions.

pub const fn low(value: u64) -> u32 {
    value as u32
}

pub const fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

pub const fn is_whole_pages(value: u64) -> bool {
    value % 4096 == 0
}

/// A window's note.
#[repr(C, packed(4))]
pub struct WindowNote {
    pub head: [u32; 6],
    pub numbers: [u64; 4],
}

/// Of Multiboot's headers: `mode_type`; an optional tag's type, with the flag.
pub const LINEAR: u32 = 0;
pub const TAG_FRAMEBUFFER: u32 = 0x1_0005;

/// A tag of Multiboot 2's header.
#[repr(C, align(8))]
pub struct Tag(pub [u32; 6]);

/// The kernel's stack with its guard page.
#[repr(C, align(4096))]
pub struct Stack<const BYTES: usize>(pub [u8; BYTES]);

/// What a kernel wishes of Prologue:
///
/// ```ignore
/// prologue::wish!(PAGING(prologue::PAGING_BEST));
/// prologue::wish!(STACK(0x10000));
/// prologue::wish!(DIRECT_MAP(0xffff_9000_0000_0000));
/// prologue::wish!(IDENTITY_MAP(prologue::IDENTITY_4_GIB, prologue::FROM_PAGE_1));
/// prologue::wish!(WINDOW(0xffff_ffff_c000_0000, 0xfee0_0000, 0x1000,
///                        prologue::WINDOW_WRITE | prologue::WINDOW_UNCACHED));
/// prologue::wish!(HEADERS(pvh, multiboot1, multiboot2));
/// prologue::wish!(SEV(SEV_NONE));
/// prologue::wish!(RELOCATABLE);
/// ```
///
/// and `WRITABLE_TEXT`, `QEMU_EXIT`, `BOOT_SERVICES`, `SNP_ACCEPT(end)`,
/// `FREE_BEHIND_IMAGE(bytes)`, `RANDOM(physical, virtual)`,
/// `FRAMEBUFFER(width, height, bits)`. `STACK` takes a number.
#[macro_export]
macro_rules! wish {
    (PAGING($levels:expr)) => {
        $crate::prologue_record!(prologue_note_paging, $crate::NOTE_PAGING, 7, $levels);
        const _: () = assert!(matches!($levels, 0 | 4 | 5));
    };
    (STACK($bytes:literal)) => {
        $crate::prologue_record64!(prologue_note_stack, $crate::NOTE_STACK, 8, $bytes);
        #[used]
        #[no_mangle]
        #[allow(non_upper_case_globals)]
        pub static mut prologue_wished_stack: $crate::Stack<{ 4096 + $bytes }> =
            $crate::Stack([0; 4096 + $bytes]);
        core::arch::global_asm!(concat!(
            ".globl prologue_stack_bytes; prologue_stack_bytes = ",
            $bytes
        ));
        const _: () = assert!($bytes % 4096 == 0 && $bytes >= $crate::STACK_LEAST);
    };
    (DIRECT_MAP($address:expr)) => {
        $crate::prologue_record64!(prologue_note_direct_map, $crate::NOTE_DIRECT_MAP, 8, $address);
        $crate::prologue_need!("prologue_wished_maps");
        const _: () = assert!($crate::is_whole_pages($address));
    };
    (IDENTITY_MAP($end:expr, $start:expr)) => {
        $crate::prologue_record64!(
            prologue_note_identity_map, $crate::NOTE_IDENTITY_MAP, 10, $end, $start);
        $crate::prologue_need!("prologue_wished_maps");
        const _: () = assert!($crate::is_whole_pages($end) && $crate::low($end >> 12) <= 0x800_0000);
        const _: () = assert!($crate::is_whole_pages($start & !$crate::WITH_DEVICES));
    };
    (WINDOW($virt:expr, $phys:expr, $bytes:expr, $rights:expr)) => {
        const _: () = {
            const WINDOW_BYTES: u64 = $bytes;
            #[used]
            #[link_section = ".note.prologue.windows"]
            static WINDOW: $crate::WindowNote = $crate::WindowNote {
                head: [9, 32, $crate::NOTE_WINDOW, 0x6c6f_7250, 0x6575_676f, 0],
                numbers: [$virt, $phys, WINDOW_BYTES, $rights],
            };
            assert!($crate::is_whole_pages($virt | $phys | $bytes) && WINDOW_BYTES != 0);
        };
        core::arch::global_asm!(".weak prologue_note_window; prologue_note_window = 1");
        $crate::prologue_need!("prologue_wished_maps");
    };
    (RELOCATABLE) => {
        $crate::prologue_record!(prologue_note_relocatable, $crate::NOTE_RELOCATABLE, 7, 1);
        $crate::prologue_need!("prologue_relocatable");
    };
    (WRITABLE_TEXT) => {
        $crate::prologue_record!(prologue_note_writable_text, $crate::NOTE_WRITABLE_TEXT, 7, 1);
        $crate::prologue_need!("prologue_wished_maps");
    };
    (QEMU_EXIT) => {
        $crate::prologue_record!(prologue_note_qemu_exit, $crate::NOTE_QEMU_EXIT, 7, 1);
    };
    (HEADERS($($name:ident),+)) => {
        $crate::prologue_record!(
            prologue_note_headers, $crate::NOTE_HEADERS, 7, $($crate::prologue_header!($name))|+);
        $crate::prologue_instead_of_default!(prologue_wish_headers);
        $($crate::prologue_need!(concat!("prologue_", stringify!($name)));)+
    };
    (SEV(SEV_NONE)) => {
        $crate::prologue_record!(prologue_note_sev, $crate::NOTE_SEV, 7, $crate::SEV_NONE);
        $crate::prologue_instead_of_default!(prologue_wish_sev);
        core::arch::global_asm!(
            ".pushsection .text",
            ".weak prologue_start_sev_cpus",
            ".hidden prologue_start_sev_cpus",
            "prologue_start_sev_cpus: ud2",
            ".popsection",
        );
    };
    (SEV($which:ident)) => {
        $crate::prologue_record!(prologue_note_sev, $crate::NOTE_SEV, 7, $crate::$which);
        $crate::prologue_instead_of_default!(prologue_wish_sev);
        $crate::prologue_need!("prologue_sev");
        $crate::prologue_need!("prologue_sev_any_mode");
    };
    (SNP_ACCEPT($end:expr)) => {
        $crate::prologue_record64!(prologue_note_snp_accept, $crate::NOTE_SNP_ACCEPT, 8, $end);
        const _: () = assert!($crate::is_whole_pages($end));
    };
    (BOOT_SERVICES) => {
        $crate::prologue_record!(prologue_note_boot_services, $crate::NOTE_BOOT_SERVICES, 7, 1);
        $crate::prologue_need!("prologue_boot_services");
    };
    (FREE_BEHIND_IMAGE($bytes:expr)) => {
        $crate::prologue_record64!(
            prologue_note_free_behind_image, $crate::NOTE_FREE_BEHIND_IMAGE, 8, $bytes);
        const _: () = assert!($crate::is_whole_pages($bytes) && $crate::high($bytes) == 0);
    };
    (RANDOM($physical:expr, $virtual:expr)) => {
        $crate::prologue_record64!(
            prologue_note_random, $crate::NOTE_RANDOM, 10, $physical, $virtual);
        $crate::prologue_need!("prologue_wished_maps");
        $crate::prologue_need!("prologue_random_places");
        const _: () = assert!($crate::is_whole_pages($physical | $virtual));
    };
    (FRAMEBUFFER($width:expr, $height:expr, $bits:expr)) => {
        $crate::prologue_record!(
            prologue_note_framebuffer, $crate::NOTE_FRAMEBUFFER, 9, $width, $height, $bits);
        const _: () = {
            #[used]
            #[link_section = ".prologue.headers.multiboot1.wishes"]
            static VIDEO: [u32; 4] = [$crate::LINEAR, $width, $height, $bits];
            #[used]
            #[link_section = ".prologue.headers.multiboot2.wishes"]
            static TAG: $crate::Tag =
                $crate::Tag([$crate::TAG_FRAMEBUFFER, 20, $width, $height, $bits, 0]);
            assert!($width <= 0xffff && $height <= 0xffff && $bits <= 32);
            assert!(($width == 0) == ($height == 0));
        };
    };
}

/// A note of `$words` words: six before the descriptor, of 32-bit words.
#[doc(hidden)]
#[macro_export]
macro_rules! prologue_record {
    ($symbol:ident, $kind:expr, $words:literal, $($word:expr),+) => {
        #[used]
        #[no_mangle]
        #[link_section = ".note.prologue"]
        #[allow(non_upper_case_globals)]
        pub static $symbol: [u32; $words] =
            [9, 4 * ($words - 6), $kind, 0x6c6f_7250, 0x6575_676f, 0, $($word),+];
    };
}

/// ... of 64-bit words.
#[doc(hidden)]
#[macro_export]
macro_rules! prologue_record64 {
    ($symbol:ident, $kind:expr, $words:literal, $a:expr) => {
        $crate::prologue_record!($symbol, $kind, $words, $crate::low($a), $crate::high($a));
    };
    ($symbol:ident, $kind:expr, $words:literal, $a:expr, $b:expr) => {
        $crate::prologue_record!(
            $symbol, $kind, $words,
            $crate::low($a), $crate::high($a), $crate::low($b), $crate::high($b));
    };
}

/// A reference to a part of the library, and the symbol by which a script knows of it.
#[doc(hidden)]
#[macro_export]
macro_rules! prologue_need {
    ($part:expr) => {
        core::arch::global_asm!(
            ".pushsection .prologue.notes, \"a\", @note",
            concat!(".globl ", $part),
            concat!(".reloc ., R_X86_64_NONE, ", $part),
            ".popsection",
            concat!(".weak ", $part, "_wanted"),
            concat!($part, "_wanted = 1"),
        );
    };
}

/// The symbol that keeps the library's default out.
#[doc(hidden)]
#[macro_export]
macro_rules! prologue_instead_of_default {
    ($symbol:ident) => {
        #[used]
        #[no_mangle]
        #[allow(non_upper_case_globals)]
        pub static $symbol: u32 = 0;
    };
}

#[doc(hidden)]
#[macro_export]
#[rustfmt::skip]
macro_rules! prologue_header {
    (pvh) => { 1 };
    (multiboot1) => { 2 };
    (multiboot2) => { 4 };
    (linux) => { 8 };
    (vmd) => { 16 };
    (freebsd) => { 32 };
    (igvm) => { 64 };
}
