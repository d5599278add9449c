/* /init of a Linux that starts another kernel: /kernel with /initrd, by kexec. Static, without
 * a C library. Where there are /arguments, /ld.so is run with them to load it: they are a
 * program's, a NUL behind each. */

enum { SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_fork = 57, SYS_execve = 59, SYS_wait4 = 61 };
enum { SYS_mkdir = 83, SYS_mount = 165, SYS_reboot = 169, SYS_kexec_file_load = 320 };
enum { REBOOT_MAGIC1 = 0xfee1dead, REBOOT_MAGIC2 = 0x28121969, REBOOT_KEXEC = 0x45584543 };
enum { MOST_BYTES = 4096, MOST_ARGUMENTS = 64 };

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

static void mount(const char *type, const char *directory) {
    call(SYS_mkdir, (long)directory, 0755, 0, 0, 0);
    call(SYS_mount, (long)type, (long)directory, (long)type, 0, 0);
}

static void load_by_program(long arguments) {
    static char bytes[MOST_BYTES];
    static char *words[MOST_ARGUMENTS + 1], *environment[1];
    const char *const end = bytes + call(SYS_read, arguments, (long)bytes, MOST_BYTES - 1, 0, 0);
    char *at = bytes;
    for (int i = 0; i < MOST_ARGUMENTS && at < end; i++) {
        words[i] = at;
        while (*at++ != 0)
            ;
    }
    mount("proc", "/proc");
    mount("sysfs", "/sys");
    const long child = call(SYS_fork, 0, 0, 0, 0, 0);
    if (child == 0)
        call(SYS_execve, (long)"/ld.so", (long)words, (long)environment, 0, 0);
    else
        call(SYS_wait4, child, 0, 0, 0, 0);
}

static void load_by_call(void) {
    static const char cmdline[] = "from kexec";
    const long kernel = call(SYS_open, (long)"/kernel", 0, 0, 0, 0);
    const long initrd = call(SYS_open, (long)"/initrd", 0, 0, 0, 0);
    call(SYS_kexec_file_load, kernel, initrd, sizeof cmdline, (long)cmdline, 0);
}

void _start(void) {
    static const char failed[] = "kexec failed\n";
    const long arguments = call(SYS_open, (long)"/arguments", 0, 0, 0, 0);
    if (arguments >= 0)
        load_by_program(arguments);
    else
        load_by_call();
    call(SYS_reboot, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_KEXEC, 0, 0);
    call(SYS_write, 1, (long)failed, sizeof failed - 1, 0, 0);
    for (;;)
        ;
}
