//! What Prologue hands to a kernel, and how a kernel says what it wants of it: the headers
//! `prologue/handoff.h`, `wishes.h` and `kernel.h` in Rust. No dependencies, no allocation, no
//! features of a compiler newer than 1.63.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! prologue::wish!(PAGING(prologue::PAGING_BEST));
//! prologue::wish!(HEADERS(pvh, multiboot2));
//! prologue::main!(start);
//!
//! fn start(handoff: &'static prologue::Handoff) -> ! {
//!     for range in handoff.ranges_of(prologue::MEMORY_USABLE) {
//!         give(range.start, range.end);
//!     }
//!     # loop {}
//! }
//! ```
//!
//! `make check TEST='rust: *'` holds every field and every constant against the C headers.
//! docs/kernel-contract.md has the words to all of them. ISC licence.
#![no_std]

mod constants;
mod handoff;
mod helpers;
mod wishes;

pub use constants::*;
pub use handoff::*;
pub use helpers::*;
#[doc(hidden)]
pub use wishes::*;

/// Makes a function `fn(&'static Handoff) -> !` the kernel's: what Prologue calls.
#[macro_export]
macro_rules! main {
    ($function:path) => {
        const _: () = {
            /// # Safety
            /// Prologue alone calls it, once, with what it has made.
            #[no_mangle]
            pub unsafe extern "C" fn kernel_main(handoff: *const $crate::Handoff) -> ! {
                let function: fn(&'static $crate::Handoff) -> ! = $function;
                function(&*handoff)
            }
        };
    };
}
