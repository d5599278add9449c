// What CPUID says is of one CPU: each feature that is taken away takes those with it that need it,
// and no other. Pairs are by Linux's names (arch/x86/kernel/cpu/cpuid-deps.c), each bit spelt
// again from the SDM's and the APM's tables of CPUID.
#include "cpuid_features.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace sevhost {
namespace {

using Leaf = std::pair<uint32_t, uint32_t>;
enum Register { a, b, c, d };
struct Bit {
    Leaf leaf;
    Register word;
    unsigned number;
};

constexpr Leaf k1{1, 0}, k7{7, 0}, k71{7, 1}, kD1{0xd, 1}, kExt{0x80000001, 0};
// A row an entry.
// clang-format off
const std::map<std::string, Bit> kBits = {
    {"mmx", {k1, d, 23}},          {"fxsr", {k1, d, 24}},
    {"xmm", {k1, d, 25}},          {"xmm2", {k1, d, 26}},
    {"xmm3", {k1, c, 0}},          {"pclmulqdq", {k1, c, 1}},
    {"ssse3", {k1, c, 9}},         {"fma", {k1, c, 12}},
    {"xmm4_1", {k1, c, 19}},       {"xmm4_2", {k1, c, 20}},
    {"aes", {k1, c, 25}},          {"xsave", {k1, c, 26}},
    {"osxsave", {k1, c, 27}},      {"avx", {k1, c, 28}},
    {"f16c", {k1, c, 29}},         {"avx2", {k7, b, 5}},
    {"mpx", {k7, b, 14}},          {"avx512f", {k7, b, 16}},
    {"avx512dq", {k7, b, 17}},     {"avx512ifma", {k7, b, 21}},
    {"avx512pf", {k7, b, 26}},     {"avx512er", {k7, b, 27}},
    {"avx512cd", {k7, b, 28}},     {"sha_ni", {k7, b, 29}},
    {"avx512bw", {k7, b, 30}},     {"avx512vl", {k7, b, 31}},
    {"avx512vbmi", {k7, c, 1}},    {"pku", {k7, c, 3}},
    {"ospke", {k7, c, 4}},         {"avx512_vbmi2", {k7, c, 6}},
    {"shstk", {k7, c, 7}},         {"gfni", {k7, c, 8}},
    {"vaes", {k7, c, 9}},          {"vpclmulqdq", {k7, c, 10}},
    {"avx512_vnni", {k7, c, 11}},  {"avx512_bitalg", {k7, c, 12}},
    {"avx512_vpopcntdq", {k7, c, 14}}, {"enqcmd", {k7, c, 29}},
    {"avx512_4vnniw", {k7, d, 2}}, {"avx512_4fmaps", {k7, d, 3}},
    {"avx512_vp2intersect", {k7, d, 8}}, {"amx_bf16", {k7, d, 22}},
    {"avx512_fp16", {k7, d, 23}},  {"amx_tile", {k7, d, 24}},
    {"amx_int8", {k7, d, 25}},     {"sha512", {k71, a, 0}},
    {"sm3", {k71, a, 1}},          {"sm4", {k71, a, 2}},
    {"avx_vnni", {k71, a, 4}},     {"avx512_bf16", {k71, a, 5}},
    {"amx_fp16", {k71, a, 21}},    {"avx_ifma", {k71, a, 23}},
    {"avx_vnni_int8", {k71, d, 4}}, {"avx_ne_convert", {k71, d, 5}},
    {"amx_complex", {k71, d, 8}},  {"avx_vnni_int16", {k71, d, 10}},
    {"xsaveopt", {kD1, a, 0}},     {"xsavec", {kD1, a, 1}},
    {"xgetbv1", {kD1, a, 2}},      {"xsaves", {kD1, a, 3}},
    {"xfd", {kD1, a, 4}},          {"sse4a", {kExt, c, 6}},
    {"misalignsse", {kExt, c, 7}}, {"xop", {kExt, c, 11}},
    {"lwp", {kExt, c, 15}},        {"fma4", {kExt, c, 16}},
    {"mmxext", {kExt, d, 22}},     {"amd_mmx", {kExt, d, 23}},
    {"amd_fxsr", {kExt, d, 24}},   {"fxsr_opt", {kExt, d, 25}},
    {"3dnowext", {kExt, d, 30}},   {"3dnow", {kExt, d, 31}},
};
// clang-format on

// feature, and what it needs
const std::vector<std::pair<std::string, std::string>> kPairs = {
    {"mmx", "fxsr"},
    {"xsave", "fxsr"},
    {"xmm", "fxsr"},
    {"fxsr_opt", "fxsr"},
    {"amd_fxsr", "fxsr"},
    {"amd_mmx", "mmx"},
    {"mmxext", "mmx"},
    {"3dnow", "mmx"},
    {"3dnowext", "mmx"},
    {"xmm2", "xmm"},
    {"xmm3", "xmm2"},
    {"xmm4_1", "xmm2"},
    {"xmm4_2", "xmm2"},
    {"pclmulqdq", "xmm2"},
    {"ssse3", "xmm2"},
    {"aes", "xmm2"},
    {"sha_ni", "xmm2"},
    {"gfni", "xmm2"},
    {"sse4a", "xmm2"},
    {"misalignsse", "xmm2"},
    {"osxsave", "xsave"},
    {"xsaveopt", "xsave"},
    {"xsavec", "xsave"},
    {"xsaves", "xsave"},
    {"xgetbv1", "xsave"},
    {"avx", "xsave"},
    {"pku", "xsave"},
    {"mpx", "xsave"},
    {"lwp", "xsave"},
    {"ospke", "pku"},
    {"shstk", "xsaves"},
    {"enqcmd", "xsaves"},
    {"xfd", "xsaves"},
    {"xfd", "xgetbv1"},
    {"amx_tile", "xfd"},
    {"amx_bf16", "amx_tile"},
    {"amx_int8", "amx_tile"},
    {"amx_fp16", "amx_tile"},
    {"amx_complex", "amx_tile"},
    {"fma", "avx"},
    {"f16c", "avx"},
    {"vaes", "avx"},
    {"vpclmulqdq", "avx"},
    {"avx2", "avx"},
    {"avx512f", "avx"},
    {"xop", "avx"},
    {"fma4", "avx"},
    {"sm3", "avx"},
    {"sm4", "avx"},
    {"sha512", "avx2"},
    {"avx_vnni", "avx2"},
    {"avx_ifma", "avx2"},
    {"avx_vnni_int8", "avx2"},
    {"avx_ne_convert", "avx2"},
    {"avx_vnni_int16", "avx2"},
    {"avx512ifma", "avx512f"},
    {"avx512pf", "avx512f"},
    {"avx512er", "avx512f"},
    {"avx512cd", "avx512f"},
    {"avx512dq", "avx512f"},
    {"avx512bw", "avx512f"},
    {"avx512vl", "avx512f"},
    {"avx512vbmi", "avx512f"},
    {"avx512_4vnniw", "avx512f"},
    {"avx512_4fmaps", "avx512f"},
    {"avx512_vpopcntdq", "avx512f"},
    {"avx512_vbmi2", "avx512vl"},
    {"avx512_vnni", "avx512vl"},
    {"avx512_bitalg", "avx512vl"},
    {"avx512_vp2intersect", "avx512vl"},
    {"avx512_bf16", "avx512vl"},
    {"avx512_fp16", "avx512bw"},
};

// The machine that the source speaks of: what is not in it, and what its registers hold besides.
std::set<std::string> lacking;
uint32_t filling;

using Member = uint32_t Cpuid::*;
Member member(Register word) {
    constexpr Member kMembers[] = {&Cpuid::eax, &Cpuid::ebx, &Cpuid::ecx, &Cpuid::edx};
    return kMembers[word];
}

Cpuid machine(uint32_t leaf, uint32_t subleaf) {
    Cpuid r = {filling, filling, filling, filling};
    for (const auto& [name, bit] : kBits) {
        const bool indexed = leaf == 7 || leaf == 0xd;
        if (bit.leaf.first != leaf || (indexed && bit.leaf.second != subleaf))
            continue;
        uint32_t& word = r.*member(bit.word);
        const uint32_t mask = 1u << bit.number;
        word = lacking.contains(name) ? word & ~mask : word | mask;
    }
    return r;
}

bool says(const std::string& name) {
    const Bit& bit = kBits.at(name);
    return consistent_cpuid(machine, bit.leaf.first, bit.leaf.second).*member(bit.word) >>
               bit.number &
           1;
}

std::set<std::string> absent() {
    std::set<std::string> names;
    for (const auto& [name, bit] : kBits)
        if (!says(name))
            names.insert(name);
    return names;
}

// All that cannot be there without these, by the pairs, until nothing is added any more.
std::set<std::string> with_what_needs(std::set<std::string> names) {
    size_t before;
    do {
        before = names.size();
        for (const auto& [feature, needed] : kPairs)
            if (names.contains(needed))
                names.insert(feature);
    } while (names.size() != before);
    return names;
}

class CpuidFeatures : public testing::Test {
protected:
    void SetUp() override {
        lacking.clear();
        filling = ~0u;
    }
};

TEST_F(CpuidFeatures, AWholeCpuStaysAsItIs) {
    for (const Leaf& leaf : {k1, k7, k71, kD1, kExt, Leaf{0xd, 0}, Leaf{0x80000008, 0}})
        for (Register word : {a, b, c, d})
            EXPECT_EQ(consistent_cpuid(machine, leaf.first, leaf.second).*member(word), ~0u)
                << std::hex << leaf.first;
}

TEST_F(CpuidFeatures, OneThatIsMissingTakesAlongWhatNeedsIt) {
    for (const auto& [name, bit] : kBits) {
        lacking = {name};
        EXPECT_EQ(absent(), with_what_needs(lacking)) << "without " << name;
    }
}

TEST_F(CpuidFeatures, WithoutXsaveThereIsNoAvx) {
    lacking = {"xsave"};
    for (const char* name : {"avx", "avx2", "avx512f", "avx512_bf16", "fma", "f16c", "pku", "vaes"})
        EXPECT_FALSE(says(name)) << name;
    EXPECT_TRUE(says("aes") && says("sha_ni") && says("xmm4_2"));
}

TEST_F(CpuidFeatures, WithoutXsaveItsLeafIsEmpty) {
    lacking = {"xsave"};
    for (uint32_t subleaf : {0u, 1u, 2u, 9u, 62u}) {
        const Cpuid r = consistent_cpuid(machine, 0xd, subleaf);
        EXPECT_EQ(r.eax | r.ebx | r.ecx | r.edx, 0u) << subleaf;
    }
}

// Without FXSR there is no XSAVE, whatever the source says of it.
TEST_F(CpuidFeatures, XsaveThatLacksFxsrHasNoLeafEither) {
    lacking = {"fxsr"};
    EXPECT_EQ(consistent_cpuid(machine, 0xd, 0).eax, 0u);
}

TEST_F(CpuidFeatures, ASubleafOfALeafWithoutAnyDecidesNothing) {
    lacking = {"xsave"};
    EXPECT_EQ(consistent_cpuid(machine, 1, 5).ecx, consistent_cpuid(machine, 1, 0).ecx);
}

TEST_F(CpuidFeatures, RandomCpusAreConsistentAndLoseNothingElse) {
    std::mt19937 random(7);
    for (int round = 0; round != 100; ++round) {
        filling = static_cast<uint32_t>(random());
        lacking.clear();
        for (const auto& [name, bit] : kBits)
            if (random() % 16 == 0)
                lacking.insert(name);
        ASSERT_EQ(absent(), with_what_needs(lacking)) << "round " << round;
        const Cpuid r = consistent_cpuid(machine, 0x80000008, 0);
        ASSERT_EQ(r.eax & r.ebx & r.ecx & r.edx, filling);
    }
}

} // namespace
} // namespace sevhost
