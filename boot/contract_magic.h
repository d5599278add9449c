// The magic by which each contract is told, where assembly and C++ both look;
// and the numbers of those parts of the boot that are no contract's.
// Sources: Xen public/arch-x86/hvm/start_info.h, Multiboot 0.6.96, Multiboot 2.0,
// Linux Documentation/arch/x86/boot.rst.
#pragma once

#define PVH_MAGIC 0x336ec578
#define MULTIBOOT1_MAGIC 0x2badb002
#define MULTIBOOT2_MAGIC 0x36d76289
#define LINUX_MAGIC 0x53726448 // "HdrS", in boot_params
#define IGVM_MAGIC 0x4d564749  // "IGVM", in the information page

// Of contracts that have none: numbers of our own, which no loader passes on.
#define VMD_MAGIC 0x62646d76     // "vmdb"
#define FREEBSD_MAGIC 0x62736266 // "fbsb"

#define WISHED_MAPS_MAGIC 0x68736977
#define RANDOM_PLACES_MAGIC 0x646e6172

// Knows a contract by what its loader left, where EAX has no magic.
#define RECOGNISER_MAGIC 0x776f6e6b
