// What a firmware leaves its other processors in (edk2: UefiCpuPkg/Library/MpInitLib, SEV-ES): real
// mode, in AP reset hold by the GHCB MSR. Who is released goes where the AP jump table says (56421,
// 4.1.8): IP, then CS. Copied to memory of the guest, a page for the code and a page for the table.

        MSR_GHCB = 0xc0010130
        RESET_HOLD = 6                  // the request; the response has 7, and a SIPI's data are not 0
        HELD = 7

        .section .rodata, "a", @progbits
        .code16

// Expects CS:0 to be this page. Leaves nothing: the jump's target is on its own.
        .globl  sevhost_waiting_room, sevhost_waiting_room_held, sevhost_waiting_room_end
sevhost_waiting_room:
        movl    $MSR_GHCB, %ecx
        movl    $RESET_HOLD, %eax
        xorl    %edx, %edx
        wrmsr
        rep
        vmmcall
sevhost_waiting_room_held:
        movl    $MSR_GHCB, %ecx
        rdmsr
        movl    %eax, %ebx
        andw    $0xfff, %bx
        cmpw    $HELD, %bx
        jne     sevhost_waiting_room
        shrl    $12, %eax
        orl     %edx, %eax
        jz      sevhost_waiting_room
        movw    %cs, %ax
        addw    $0x100, %ax             // the next page
        movw    %ax, %ds
        ljmpw   *0
sevhost_waiting_room_end:

        .section .note.GNU-stack, "", @progbits
