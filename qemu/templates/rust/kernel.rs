//! A kernel in Rust. It stays on Prologue's tables, which also report its exceptions, and prints
//! what it was given: memory, command line, modules, and the local APIC's version through a window.
#![no_std]
#![no_main]

mod memory;
mod serial;

use core::fmt::Write;
use core::panic::PanicInfo;
use serial::Serial;

prologue::wish!(HEADERS(pvh, multiboot1, multiboot2));
prologue::wish!(STACK(0x8000));

// A device is no RAM: it has a window.
const LOCAL_APIC: u64 = 0xffff_ffff_c000_0000;
const LOCAL_APIC_VERSION: u64 = 0x30;
prologue::wish!(WINDOW(LOCAL_APIC, 0xfee0_0000, 0x1000,
                       prologue::WINDOW_WRITE | prologue::WINDOW_UNCACHED));

// For tests in QEMU with -device isa-debug-exit,iobase=0xf4,iosize=4: ends it. Delete this, and
// the calls of leave_qemu, for any other machine.
prologue::wish!(QEMU_EXIT);
fn leave_qemu(status: u32) -> ! {
    serial::out8(prologue::EXIT_PORT, status as u8);
    loop {
        unsafe { core::arch::asm!("cli; hlt") }
    }
}

prologue::main!(start);

fn start(handoff: &'static prologue::Handoff) -> ! {
    print(handoff).ok();
    leave_qemu(prologue::EXIT_SUCCESS)
}

fn print(handoff: &'static prologue::Handoff) -> core::fmt::Result {
    let mut out = Serial;
    writeln!(out, "loader: {}", handoff.loader)?;
    writeln!(out, "command line: {}", text(handoff.cmdline()))?;
    for range in handoff.ranges_of(prologue::MEMORY_USABLE) {
        writeln!(out, "free: {:x} to {:x}", range.start, range.end)?;
    }
    writeln!(out, "free in all: {} KiB", handoff.bytes_of(prologue::MEMORY_USABLE) >> 10)?;
    for (name, value) in handoff.options() {
        writeln!(out, "option: {} is {}", text(name), text(value))?;
    }
    if let Some(module) = handoff.modules().first() {
        // Safety: nothing has been written to it.
        let bytes = unsafe { handoff.bytes_of_module(module) }.unwrap_or(&[]);
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(&[]);
        writeln!(out, "motd: {}", text(line))?;
    }
    // Safety: the window shows the local APIC, whose version can be read at any time.
    let version = unsafe { ((LOCAL_APIC + LOCAL_APIC_VERSION) as *const u32).read_volatile() };
    writeln!(out, "local apic: version {:#x}", version & 0xff)?;
    writeln!(out, "result: ok")
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("(not UTF-8)")
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    writeln!(Serial, "{}", info).ok();
    leave_qemu(prologue::EXIT_FATAL)
}
