/* SPDX-License-Identifier: GPL-2.0-only */
/* As much of the kernel as window.c and trailer.c need, for a process */
#ifndef SHIM_H
#define SHIM_H

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define u8	uint8_t
#define u32	uint32_t
#define u64	uint64_t
#define s64	int64_t
#define gfp_t	unsigned int

/* LKMM's atomics in C11's words */
#define atomic64_t	struct shim_atomic64

struct shim_atomic64 {
	s64 counter;
};

#define atomic64_read(v)	__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic64_read_acquire(v) \
	__atomic_load_n(&(v)->counter, __ATOMIC_ACQUIRE)
#define atomic64_add(n, v) \
	((void)__atomic_fetch_add(&(v)->counter, n, __ATOMIC_RELAXED))
#define atomic64_inc(v)		atomic64_add(1, v)
#define shim_cas(v, old, new, order) \
	__atomic_compare_exchange_n(&(v)->counter, old, new, false, order, \
				    __ATOMIC_RELAXED)
#define atomic64_try_cmpxchg(v, old, new) \
	shim_cas(v, old, new, __ATOMIC_SEQ_CST)
#define atomic64_try_cmpxchg_relaxed(v, old, new) \
	shim_cas(v, old, new, __ATOMIC_RELAXED)
#define atomic64_try_cmpxchg_release(v, old, new) \
	shim_cas(v, old, new, __ATOMIC_RELEASE)
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define max_t(type, a, b) ({ \
	type _a = (a), _b = (b); \
	_a > _b ? _a : _b; })
#define min_t(type, a, b) ({ \
	type _a = (a), _b = (b); \
	_a < _b ? _a : _b; })
#define __fls(x)		(63 - __builtin_clzll(x))
#define ilog2(x)		__fls(x)
#define hweight32(x)		__builtin_popcount(x)

#define ALIGN(x, a) ({ \
	__typeof__(x) _m = (a) - 1; \
	((x) + _m) & ~_m; })

static inline unsigned int get_unaligned_be16(const void *p)
{
	const uint8_t *octets = p;

	return octets[0] << 8 | octets[1];
}

static inline void *kcalloc(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes = (n * size + 63) & ~63UL;
	void *p = aligned_alloc(64, bytes);

	return p ? __builtin_memset(p, 0, bytes) : NULL;
}

#define kzalloc(size, gfp)	kcalloc(1, size, gfp)
#define kfree(p)		free(p)

#endif /* SHIM_H */
