/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's interface for plugins, version 4, as far as functions.c and lines.c need
 * it: Debian has no package with qemu-plugin.h.
 */
#ifndef XFRM_EXT_BENCH_PLUGIN_H
#define XFRM_EXT_BENCH_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT		__attribute__((visibility("default")))
#define NO_REGS		0	/* QEMU_PLUGIN_CB_NO_REGS */
#define MEM_RW		3	/* QEMU_PLUGIN_MEM_RW */

/* What bench_mark() is: nopl 'X' 'E' 'B' n(%rax) */
#define MARK		"\x0f\x1f\x80XEB"
#define MARK_LEN	6

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;

typedef uint64_t plugin_id;
typedef uint32_t mem_info;
typedef void (*insn_cb)(unsigned int vcpu, void *data);
typedef void (*mem_cb)(unsigned int vcpu, mem_info info, uint64_t vaddr, void *data);

struct mem_value {
	enum { MEM_VALUE_U32 = 2 } type;	/* QEMU_PLUGIN_MEM_VALUE_U32 */
	union {
		uint32_t u32;
		uint64_t u128[2];
	} data;
};

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, insn_cb cb, int flags,
					    void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_cb cb, int flags, int rw,
				      void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
bool qemu_plugin_mem_is_store(mem_info info);
struct mem_value qemu_plugin_mem_get_value(mem_info info);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(mem_info info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *where);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *where);
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* Which mark an instruction is, or -1 */
static inline int mark_of(const struct qemu_plugin_insn *insn)
{
	unsigned char data[MARK_LEN + 1];

	if (qemu_plugin_insn_data(insn, data, sizeof(data)) != sizeof(data) ||
	    memcmp(data, MARK, MARK_LEN))
		return -1;
	return data[MARK_LEN];
}

#endif /* XFRM_EXT_BENCH_PLUGIN_H */
