//! A kernel in Zig. It stays on Prologue's tables, which also report its exceptions, and prints what
//! it was given: memory, command line, modules, and the local APIC's version through a window.
//! Its wishes stand in wishes.c, whose macros are C's; the handoff's structures are the C header's.

const prologue = @cImport({
    @cInclude("prologue/handoff.h");
    @cInclude("numbers.h");
});

const serial = 0x3f8;

fn out8(port: u16, value: u8) void {
    asm volatile ("outb %[value], %[port]"
        :
        : [value] "{al}" (value),
          [port] "N{dx}" (port),
    );
}

/// A device's register. Zig 0.11 makes a byte's access of a volatile word of which a byte is used.
fn read32(address: u64) u32 {
    return asm volatile ("movl (%[address]), %[value]"
        : [value] "=r" (-> u32),
        : [address] "r" (address),
    );
}

fn print(text: []const u8) void {
    for (text) |byte| out8(serial, byte);
}

fn printNumber(number: u64, base: u64) void {
    var digits: [20]u8 = undefined;
    var at: usize = digits.len;
    var left = number;
    while (true) {
        at -= 1;
        digits[at] = "0123456789abcdef"[@as(usize, @intCast(left % base))];
        left /= base;
        if (left == 0) break;
    }
    print(digits[at..]);
}

fn line(name: []const u8, number: u64, base: u64) void {
    print(name);
    printNumber(number, base);
    print("\n");
}

fn printFirstLine(handoff: *const prologue.prologue_handoff, module: prologue.prologue_module) void {
    const bytes: [*]const u8 = @ptrFromInt(handoff.direct_map + module.start);
    print("motd: ");
    for (bytes[0..module.bytes]) |byte| {
        if (byte == '\n') break;
        out8(serial, byte);
    }
    print("\n");
}

export fn kernel_main(handoff: *const prologue.prologue_handoff) noreturn {
    if (handoff.magic != prologue.PROLOGUE_HANDOFF_MAGIC) leaveQemu(prologue.EXIT_FATAL);
    line("loader: ", handoff.loader, 10);
    print("command line: ");
    print(handoff.cmdline[0..handoff.cmdline_bytes]);
    print("\n");
    var free: u64 = 0;
    for (handoff.memory[0..handoff.memory_count]) |range| {
        if (range.type != prologue.PROLOGUE_MEMORY_USABLE) continue;
        print("free: ");
        printNumber(range.start, 16);
        line(" to ", range.end, 16);
        free += range.end - range.start;
    }
    line("free in all, in KiB: ", free >> 10, 10);
    if (handoff.module_count != 0) printFirstLine(handoff, handoff.modules[0]);
    // The window shows the local APIC, whose version can be read at any time.
    line("local apic: version 0x", read32(prologue.LOCAL_APIC + 0x30) & 0xff, 16);
    print("result: ok\n");
    leaveQemu(prologue.EXIT_SUCCESS);
}

/// For tests in QEMU with -device isa-debug-exit,iobase=0xf4,iosize=4: ends it.
fn leaveQemu(status: u8) noreturn {
    out8(prologue.EXIT_PORT, status);
    while (true) asm volatile ("cli; hlt");
}

pub fn panic(_: []const u8, _: ?*@import("std").builtin.StackTrace, _: ?usize) noreturn {
    print("panic\n");
    leaveQemu(prologue.EXIT_FATAL);
}
