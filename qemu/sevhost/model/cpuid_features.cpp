#include "cpuid_features.h"

#include "arch.h"

namespace sevhost {
namespace {

using Word = uint32_t Cpuid::*;

// A register of a leaf, and bits in it.
struct Features {
    uint32_t leaf, subleaf;
    Word word;
    uint32_t bits;
};

template <typename... Bits>
constexpr uint32_t bits(Bits... numbers) {
    return (0u | ... | (1u << numbers));
}
template <typename... Bits>
constexpr Features basic_ecx(Bits... numbers) {
    return {kCpuidFeatures, 0, &Cpuid::ecx, bits(numbers...)};
}
template <typename... Bits>
constexpr Features basic_edx(Bits... numbers) {
    return {kCpuidFeatures, 0, &Cpuid::edx, bits(numbers...)};
}
template <typename... Bits>
constexpr Features structured(uint32_t subleaf, Word word, Bits... numbers) {
    return {kCpuidStructured, subleaf, word, bits(numbers...)};
}
template <typename... Bits>
constexpr Features xsave_eax(Bits... numbers) {
    return {kCpuidXsave, 1, &Cpuid::eax, bits(numbers...)};
}
template <typename... Bits>
constexpr Features extended(Word word, Bits... numbers) {
    return {kCpuidExtendedFeatures, 0, word, bits(numbers...)};
}

constexpr Features kMmx = basic_edx(23), kFxsr = basic_edx(24), kSse = basic_edx(25),
                   kSse2 = basic_edx(26), kXsave = basic_ecx(26), kAvx = basic_ecx(28),
                   kAvx2 = structured(0, &Cpuid::ebx, 5), kAvx512f = structured(0, &Cpuid::ebx, 16),
                   kAvx512bw = structured(0, &Cpuid::ebx, 30),
                   kAvx512vl = structured(0, &Cpuid::ebx, 31), kPku = structured(0, &Cpuid::ecx, 3),
                   kAmxTile = structured(0, &Cpuid::edx, 24), kXgetbv1 = xsave_eax(2),
                   kXsaves = xsave_eax(3), kXfd = xsave_eax(4);

// Each of these features needs that one (SDM vol. 1, 11.6.2, 12.12, 13.2, 14.3 to 15.3; APM
// vol. 3, E.3 and E.4; Linux has them in arch/x86/kernel/cpu/cpuid-deps.c). A circle would have
// no end.
struct Dependency {
    Features features, needed;
};
constexpr Dependency kDependencies[] = {
    {kMmx, kFxsr},
    {kSse, kFxsr},
    {kXsave, kFxsr},
    {kSse2, kSse},
    // SSE3, PCLMULQDQ, SSSE3, SSE4.1, SSE4.2, AES; SHA; GFNI
    {basic_ecx(0, 1, 9, 19, 20, 25), kSse2},
    {structured(0, &Cpuid::ebx, 29), kSse2},
    {structured(0, &Cpuid::ecx, 8), kSse2},
    // OSXSAVE, AVX; MPX; PKU; LWP; XSAVEOPT, XSAVEC, XGETBV with ECX=1, XSAVES, XFD
    {basic_ecx(27, 28), kXsave},
    {structured(0, &Cpuid::ebx, 14), kXsave},
    {kPku, kXsave},
    {extended(&Cpuid::ecx, 15), kXsave},
    {xsave_eax(0, 1, 2, 3, 4), kXsave},
    {structured(0, &Cpuid::ecx, 4), kPku}, // OSPKE
    // shadow stacks, ENQCMD, XFD
    {structured(0, &Cpuid::ecx, 7, 29), kXsaves},
    {kXfd, kXsaves},
    {kXfd, kXgetbv1},
    // FMA, F16C; AVX2, AVX-512F; VAES, VPCLMULQDQ; SM3, SM4; XOP, FMA4
    {basic_ecx(12, 29), kAvx},
    {structured(0, &Cpuid::ebx, 5, 16), kAvx},
    {structured(0, &Cpuid::ecx, 9, 10), kAvx},
    {structured(1, &Cpuid::eax, 1, 2), kAvx},
    {extended(&Cpuid::ecx, 11, 16), kAvx},
    // SHA512, AVX-VNNI, AVX-IFMA; AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16
    {structured(1, &Cpuid::eax, 0, 4, 23), kAvx2},
    {structured(1, &Cpuid::edx, 4, 5, 10), kAvx2},
    // AVX-512's DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VPOPCNTDQ; 4VNNIW, 4FMAPS
    {structured(0, &Cpuid::ebx, 17, 21, 26, 27, 28, 30, 31), kAvx512f},
    {structured(0, &Cpuid::ecx, 1, 14), kAvx512f},
    {structured(0, &Cpuid::edx, 2, 3), kAvx512f},
    // VBMI2, VNNI, BITALG; VP2INTERSECT; BF16; FP16
    {structured(0, &Cpuid::ecx, 6, 11, 12), kAvx512vl},
    {structured(0, &Cpuid::edx, 8), kAvx512vl},
    {structured(1, &Cpuid::eax, 5), kAvx512vl},
    {structured(0, &Cpuid::edx, 23), kAvx512bw},
    // AMX: its tiles; BF16, INT8; FP16; COMPLEX
    {kAmxTile, kXfd},
    {structured(0, &Cpuid::edx, 22, 25), kAmxTile},
    {structured(1, &Cpuid::eax, 21), kAmxTile},
    {structured(1, &Cpuid::edx, 8), kAmxTile},
    // AMD has MMX and FXSR twice; the extensions of MMX, FFXSR, both of 3DNow!; SSE4A,
    // misaligned SSE
    {extended(&Cpuid::edx, 22, 23, 30, 31), kMmx},
    {extended(&Cpuid::edx, 24, 25), kFxsr},
    {extended(&Cpuid::ecx, 6, 7), kSse2},
};

bool has(CpuidSource source, const Features& one) {
    if ((source(one.leaf, one.subleaf).*one.word & one.bits) == 0)
        return false;
    for (const Dependency& d : kDependencies)
        if (d.features.leaf == one.leaf && d.features.subleaf == one.subleaf &&
            d.features.word == one.word && d.features.bits & one.bits && !has(source, d.needed))
            return false;
    return true;
}

bool has_subleaves(uint32_t leaf) {
    return leaf == kCpuidStructured || leaf == kCpuidXsave;
}

} // namespace

Cpuid consistent_cpuid(CpuidSource source, uint32_t leaf, uint32_t subleaf) {
    if (leaf == kCpuidXsave && !has(source, kXsave))
        return {};
    Cpuid r = source(leaf, subleaf);
    for (const auto& [features, needed] : kDependencies)
        if (features.leaf == leaf && (features.subleaf == subleaf || !has_subleaves(leaf)) &&
            r.*features.word & features.bits && !has(source, needed))
            r.*features.word &= ~features.bits;
    return r;
}

} // namespace sevhost
