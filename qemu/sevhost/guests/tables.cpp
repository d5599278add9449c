#include "tables.h"

#include "exceptions.h"

constexpr uint64_t kFlatCode32 = 0x00cf9b000000ffff;
constexpr uint64_t kFlatData = 0x00cf93000000ffff;
constexpr uint64_t kFlatCode64 = 0x00af9b000000ffff;
constexpr uint64_t kRing3Bits = uint64_t{3} << 45;
constexpr uint64_t kTssAvailable = uint64_t{0x89} << 40;

uint64_t gdt[kGdtEntries] = {
    0,
    kFlatCode32,
    kFlatData,
    kFlatCode64,
    kFlatCode32 | kRing3Bits,
    kFlatData | kRing3Bits,
    kFlatCode64 | kRing3Bits,
};
Gate idt[kVectors];
Tss tss;
Caught caught;
Word raised_at, resume_at;
bool resume_in_ring0;

extern "C" const uint8_t stubs[kVectors][16];

void set_handler(unsigned vector, Word address) {
    Gate& gate = idt[vector];
    gate = {};
    gate.offset_low = static_cast<uint16_t>(address);
    gate.offset_middle = static_cast<uint16_t>(address >> 16);
    gate.selector = kSelectorCode;
    gate.type = kInterruptGate;
#ifdef __x86_64__
    gate.offset_high = static_cast<uint32_t>(address >> 32);
#endif
}

extern "C" const uint8_t ignore_interrupt[];

void ignore_timer() {
    set_handler(kVectorDf, reinterpret_cast<Word>(ignore_interrupt));
}

void load_idt(Word base, uint16_t limit) {
    const TablePointer pointer = {limit, base};
    asm volatile("lidt %0" : : "m"(pointer));
}

void set_up_tables() {
    for (unsigned vector = 0; vector != kVectors; ++vector)
        set_handler(vector, reinterpret_cast<Word>(stubs[vector]));
    load_idt(reinterpret_cast<Word>(idt), sizeof idt - 1);
    const auto base = reinterpret_cast<Word>(&tss);
    gdt[kSelectorTss / 8] = kTssAvailable | (sizeof tss - 1) | uint64_t{base & 0xffffff} << 16 |
                            uint64_t{base & 0xff000000} << 32;
    tss.io_map = sizeof tss;
    asm volatile("ltr %w0" : : "r"(uint16_t{kSelectorTss}));
}

// An exception that no scene waits for ends the guest: vector, error code, where.
extern "C" void on_exception(Frame* frame) {
    if (resume_at == 0) {
        mark(frame->vector);
        mark(frame->error_code);
        mark(frame->ip);
        terminate(Reason::exception);
    }
    ++caught.count;
    caught.frame = *frame;
    caught.frame_at = reinterpret_cast<Word>(&frame->error_code);
    asm volatile("pushf; pop %0" : "=r"(caught.flags));
    uint16_t selector;
    asm volatile("mov %%cs, %0" : "=r"(selector));
    caught.cs = selector;
    asm volatile("mov %%ss, %0" : "=r"(selector));
    caught.ss = selector;
    frame->ip = resume_at;
    resume_at = 0;
    if (resume_in_ring0) {
        frame->cs = kSelectorCode;
#ifdef __x86_64__
        frame->ss = kSelectorData;
        frame->sp = caught.frame_at;
#endif
    }
}
