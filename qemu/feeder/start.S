// Multiboot 1 entry of the feeder.
// Expects the Multiboot machine state: flat 32-bit segments, paging off, EAX = magic, EBX = info.
// Leaves the feeder's own stack and calls feed(magic, info), which does not return.

.set HEADER_MAGIC, 0x1badb002
.set HEADER_FLAGS, 0
.set STACK_BYTES, 4096

  .section .multiboot, "a"
  .balign 4
  .long HEADER_MAGIC, HEADER_FLAGS, -(HEADER_MAGIC + HEADER_FLAGS)

  .section .text.start, "ax"
  .globl start
start:
  cld
  mov $stack_top, %esp
  sub $8, %esp                // so that the call's arguments end on a 16-byte boundary
  push %ebx
  push %eax
  call feed

  .bss
  .balign 16
  .skip STACK_BYTES
stack_top:

  .section .note.GNU-stack, "", @progbits
