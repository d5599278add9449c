/* /init of a Linux that starts another kernel: /kernel with /initrd, by kexec. Static, without
 * a C library. */

enum { SYS_write = 1, SYS_open = 2, SYS_reboot = 169, SYS_kexec_file_load = 320 };
enum { REBOOT_MAGIC1 = 0xfee1dead, REBOOT_MAGIC2 = 0x28121969, REBOOT_KEXEC = 0x45584543 };

static long call(long number, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

void _start(void) {
    static const char cmdline[] = "from kexec";
    static const char failed[] = "kexec failed\n";
    const long kernel = call(SYS_open, (long)"/kernel", 0, 0, 0, 0);
    const long initrd = call(SYS_open, (long)"/initrd", 0, 0, 0, 0);
    call(SYS_kexec_file_load, kernel, initrd, sizeof cmdline, (long)cmdline, 0);
    call(SYS_reboot, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_KEXEC, 0, 0);
    call(SYS_write, 1, (long)failed, sizeof failed - 1, 0, 0);
    for (;;)
        ;
}
