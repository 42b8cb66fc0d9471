// SPDX-License-Identifier: Apache-2.0
//
// The functions of functions.inc, as CLibraries.h tells. None of them takes a floating-point number: the registers for those
// are not kept while a library is opened.

#if defined(__aarch64__)
#define PAGE 65536
#else
#define PAGE 4096
#endif

// The counts of the libraries' functions so far.
.set pki_libcrypto_count, 0
.set pki_libssl_count, 0
.set pki_libsqlite3_count, 0
.set pki_libpq_count, 0

.macro crypto name
    define pki_libcrypto, \name
.endm

.macro ssl name
    define pki_libssl, \name
.endm

.macro sqlite name
    define pki_libsqlite3, \name
.endm

.macro pq name
    define pki_libpq, \name
.endm

.macro define library, name
    .section .rodata.\library, "a"
    .asciz "\name"
    .text
    .globl \name
    .hidden \name
    .type \name, %function
    .p2align 4
\name:
    enter \library, \name, \library\()_count
    .size \name, . - \name
    .set \library\()_count, \library\()_count + 1
.endm

// The library as the loader sees it, its names, and its table.
.macro library label, file
    .section .rodata.\label, "a"
    .byte 0
    .section .rodata.pki_files, "a"
.Lfile_\label:
    .asciz "\file"
    .section .data.rel.pki_libraries, "aw"
    .p2align 3
    .globl \label
    .hidden \label
\label:
    .quad .Lfile_\label, .Lnames_\label, .Ltable_\label, 8 * \label\()_count, 0
    .section .bss.\label, "aw", %nobits
    .balign PAGE
.Ltable_\label:
    .skip 8 * \label\()_count
    .balign PAGE
.endm

.macro names label
    .section .rodata.\label, "a"
.Lnames_\label:
.endm

#if defined(__x86_64__)

// Jumps to the function, or has the library opened first.
.macro enter library, name, number
    endbr64
    movq .Ltable_\library + 8 * \number(%rip), %r11
    testq %r11, %r11
    je .Lopen_\name
    jmp *%r11
.Lopen_\name:
    movl $\number, %r11d
    leaq \library(%rip), %r10
    jmp .Lopen
.endm

    .text
.Lopen:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %r8
    pushq %r9
    pushq %rax
    subq $8, %rsp
    movq %r10, %rdi
    movl %r11d, %esi
    callq pki_open_library
    movq %rax, %r11
    addq $8, %rsp
    popq %rax
    popq %r9
    popq %r8
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %rbp
    .cfi_def_cfa %rsp, 8
    jmp *%r11
    .cfi_endproc

#elif defined(__aarch64__)

.macro enter library, name, number
    bti c
    adrp x16, .Ltable_\library + 8 * \number
    ldr x16, [x16, :lo12:.Ltable_\library + 8 * \number]
    cbz x16, .Lopen_\name
    br x16
.Lopen_\name:
    mov x17, #\number
    adrp x16, \library
    add x16, x16, :lo12:\library
    b .Lopen
.endm

    .text
.Lopen:
    .cfi_startproc
    stp x29, x30, [sp, #-96]!
    .cfi_def_cfa_offset 96
    .cfi_offset x29, -96
    .cfi_offset x30, -88
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    str x8, [sp, #80]
    mov x0, x16
    mov x1, x17
    bl pki_open_library
    mov x16, x0
    ldp x0, x1, [sp, #16]
    ldp x2, x3, [sp, #32]
    ldp x4, x5, [sp, #48]
    ldp x6, x7, [sp, #64]
    ldr x8, [sp, #80]
    ldp x29, x30, [sp], #96
    .cfi_def_cfa_offset 0
    br x16
    .cfi_endproc

#else
#error "entries.S knows x86-64 and arm64"
#endif

    names pki_libcrypto
    names pki_libssl
    names pki_libsqlite3
    names pki_libpq

#include "functions.inc"

    library pki_libcrypto, libcrypto.so.3
    library pki_libssl, libssl.so.3
    library pki_libsqlite3, libsqlite3.so.0
    library pki_libpq, libpq.so.5

    .section .note.GNU-stack, "", %progbits
