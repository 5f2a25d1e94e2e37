/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs in the kernel, in the program that brings it there */
	.section .rodata
	.balign 8
	.globl steer_object, steer_object_end
steer_object:
	.incbin STEER_OBJECT
steer_object_end:
	.section .note.GNU-stack, "", @progbits
