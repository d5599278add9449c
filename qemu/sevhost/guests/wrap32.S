// An ELF64 file around a 32-bit image, which the host enters at its first byte.

        .section .start, "ax", @progbits
        .globl  start
start:
        .incbin GUEST_IMAGE

        .section .bss
        .space  0x100000                // the image's .bss, which is not in its file
