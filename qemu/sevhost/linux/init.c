// The first program of a Linux guest: it asks CPUID, counts the processors, and powers off.

enum { kWrite = 1, kNanosleep = 35, kSyslog = 103, kReboot = 169, kSchedGetAffinity = 204 }; // Linux's numbers of system calls
enum { kStandardOutput = 1 };
enum { kMagic1 = 0xfee1dead, kMagic2 = 0x28121969, kPowerOff = 0x4321fedc }; // reboot(2)

static long system_call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

// A user's CPUID is a #VC of its own: from ring 3, with a change of stacks.
static void vendor(char text[12]) {
    unsigned a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    const unsigned words[3] = {b, d, c};
    for (int i = 0; i != 12; ++i)
        text[i] = (char)(words[i / 4] >> 8 * (i % 4));
}

// As nproc(1) does it.
static unsigned processors(void) {
    unsigned long mask[16] = {0};
    unsigned count = 0;
    system_call(kSchedGetAffinity, 0, sizeof mask, (long)mask);
    for (unsigned bit = 0; bit != 8 * sizeof mask; ++bit)
        count += mask[bit / 64] >> bit % 64 & 1;
    return count;
}

static void say_processors(void) {
    char line[] = "init: processors 00\n";
    const unsigned count = processors();
    line[sizeof line - 4] = (char)('0' + count / 10 % 10);
    line[sizeof line - 3] = (char)('0' + count % 10);
    system_call(kWrite, kStandardOutput, (long)line, sizeof line - 1);
}

// Other processors' messages would stand in the middle of a line: none but emergencies, and a
// moment for the one that is on its way.
static void silence_kernel(void) {
    enum { kConsoleLevel = 8, kEmergencies = 1 }; // syslog(2)
    const long tenth_of_a_second[2] = {0, 100000000};
    system_call(kSyslog, kConsoleLevel, 0, kEmergencies);
    system_call(kNanosleep, (long)tenth_of_a_second, 0, 0);
}

// Linux enters with RSP aligned as for a call that has not been made.
__attribute__((force_align_arg_pointer)) void _start(void) {
    char line[] = "init: user space on ............\n";
    silence_kernel();
    vendor(line + sizeof line - sizeof "............\n");
    system_call(kWrite, kStandardOutput, (long)line, sizeof line - 1);
    say_processors();
    system_call(kReboot, kMagic1, kMagic2, kPowerOff);
    for (;;) {
    }
}
