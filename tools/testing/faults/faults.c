// SPDX-License-Identifier: GPL-2.0-only
/*
 * What xfrm_ext calls of the kernel and can fail does so when it is told to (selftests/faults).
 *
 * scripts/faults.sh has the module call what is here in place of the kernel's function of the
 * same name; its code is that of every other test. Each call counts, wherever it comes from;
 * the n-th fails, or with "lasting" all from there on. Nothing of the kernel's has been done
 * then: what shall be left behind is what was there before.
 *
 *	nth	counts down, and is 0 when one has failed, or none shall; "lasting" fails until
 *		0 is written
 *	error	the errno, where there is one
 *	hit	the first that has failed, "NAME CALLER+OFFSET"
 */
#include <crypto/aead.h>
#include <crypto/hash.h>
#include <linux/audit.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/rhashtable.h>
#include <linux/version.h>
#include <net/dst.h>
#include <net/genetlink.h>
#include <net/gro_cells.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/net_namespace.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/xfrm.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif

static atomic_t left;
static bool lasting;
static unsigned int error = ENOMEM;
static char hit[KSYM_SYMBOL_LEN + 64];
module_param(lasting, bool, 0644);
module_param(error, uint, 0644);
module_param_string(hit, hit, sizeof(hit), 0444);

/* "lasting", and one has failed */
static bool failing;

static int nth_set(const char *value, const struct kernel_param *kp)
{
	int n, err = kstrtoint(value, 0, &n);

	if (err)
		return err;
	atomic_set(&left, 0);
	WRITE_ONCE(failing, false);
	if (n)
		*hit = '\0';
	atomic_set(&left, n);
	return 0;
}

static int nth_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&left));
}

static const struct kernel_param_ops nth_ops = {
	.set	= nth_set,
	.get	= nth_get,
};
module_param_cb(nth, &nth_ops, NULL, 0644);

static noinline bool fails(const char *name, unsigned long caller)
{
	if (READ_ONCE(failing))
		return true;
	if (!atomic_read(&left) || atomic_dec_if_positive(&left))
		return false;
	snprintf(hit, sizeof(hit), "%s %pS", name, (void *)caller);
	WRITE_ONCE(failing, lasting);
	return true;
}

#define ERROR		(-(int)READ_ONCE(error))
#define FAIL(name)	fails(#name, _RET_IP_)

#define FAULT1(ret, failure, name, t1)					\
	ret xe_fault_##name(t1 a);					\
	ret xe_fault_##name(t1 a)					\
	{								\
		return FAIL(name) ? (failure) : name(a);		\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)
#define FAULT2(ret, failure, name, t1, t2)				\
	ret xe_fault_##name(t1 a, t2 b);				\
	ret xe_fault_##name(t1 a, t2 b)					\
	{								\
		return FAIL(name) ? (failure) : name(a, b);		\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)
#define FAULT3(ret, failure, name, t1, t2, t3)				\
	ret xe_fault_##name(t1 a, t2 b, t3 c);				\
	ret xe_fault_##name(t1 a, t2 b, t3 c)				\
	{								\
		return FAIL(name) ? (failure) : name(a, b, c);		\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)
#define FAULT4(ret, failure, name, t1, t2, t3, t4)			\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d);			\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d)			\
	{								\
		return FAIL(name) ? (failure) : name(a, b, c, d);	\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)
#define FAULT5(ret, failure, name, t1, t2, t3, t4, t5)			\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d, t5 e);		\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d, t5 e)		\
	{								\
		return FAIL(name) ? (failure) : name(a, b, c, d, e);	\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)
#define FAULT6(ret, failure, name, t1, t2, t3, t4, t5, t6)		\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d, t5 e, t6 f);	\
	ret xe_fault_##name(t1 a, t2 b, t3 c, t4 d, t5 e, t6 f)		\
	{								\
		return FAIL(name) ? (failure) : name(a, b, c, d, e, f);	\
	}								\
	EXPORT_SYMBOL_GPL(xe_fault_##name)

/* --- memory ----------------------------------------------------------------- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
FAULT2(void *, NULL, __kmalloc_noprof, size_t, gfp_t);
FAULT3(void *, NULL, __kmalloc_cache_noprof, struct kmem_cache *, gfp_t, size_t);
FAULT4(void *, NULL, __kvmalloc_node_noprof, size_t, unsigned long, gfp_t, int);
FAULT4(void __percpu *, NULL, pcpu_alloc_noprof, size_t, size_t, bool, gfp_t);
FAULT1(struct net_device *, NULL, alloc_netdev_dummy, int);
#else
FAULT2(void *, NULL, __kmalloc, size_t, gfp_t);
FAULT3(void *, NULL, kmalloc_trace, struct kmem_cache *, gfp_t, size_t);
FAULT3(void *, NULL, kvmalloc_node, size_t, gfp_t, int);
FAULT3(void __percpu *, NULL, __alloc_percpu_gfp, size_t, size_t, gfp_t);
#endif
FAULT1(struct xfrm_state *, NULL, xfrm_state_alloc, struct net *);

/* --- ciphers ---------------------------------------------------------------- */

FAULT3(struct crypto_aead *, ERR_PTR(ERROR), crypto_alloc_aead, const char *, u32, u32);
FAULT3(int, ERROR, crypto_aead_setkey, struct crypto_aead *, const u8 *, unsigned int);
FAULT2(int, ERROR, crypto_aead_setauthsize, struct crypto_aead *, unsigned int);
FAULT1(int, ERROR, crypto_aead_encrypt, struct aead_request *);
FAULT1(int, ERROR, crypto_aead_decrypt, struct aead_request *);
FAULT3(struct crypto_shash *, ERR_PTR(ERROR), crypto_alloc_shash, const char *, u32, u32);
FAULT3(int, ERROR, crypto_shash_setkey, struct crypto_shash *, const u8 *, unsigned int);
FAULT4(int, ERROR, crypto_shash_finup, struct shash_desc *, const u8 *, unsigned int, u8 *);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
FAULT1(int, ERROR, crypto_shash_init, struct shash_desc *);
#else
FAULT3(int, ERROR, crypto_shash_update, struct shash_desc *, const u8 *, unsigned int);
#endif

/* --- packets ---------------------------------------------------------------- */

FAULT4(struct sk_buff *, NULL, __alloc_skb, unsigned int, gfp_t, int, int);
FAULT4(int, ERROR, pskb_expand_head, struct sk_buff *, int, int, gfp_t);
FAULT3(int, ERROR, skb_cow_data, struct sk_buff *, int, struct sk_buff **);
FAULT2(void *, NULL, __pskb_pull_tail, struct sk_buff *, int);
FAULT2(int, ERROR, ___pskb_trim, struct sk_buff *, unsigned int);
FAULT1(struct sec_path *, NULL, secpath_set, struct sk_buff *);
FAULT4(int, -EMSGSIZE, skb_to_sgvec, struct sk_buff *, struct scatterlist *, int, int);
FAULT2(int, ERROR, skb_csum_hwoffload_help, struct sk_buff *, const netdev_features_t);
FAULT3(struct sk_buff *, ERR_PTR(ERROR), __skb_gso_segment, struct sk_buff *, netdev_features_t,
       bool);
typedef int finish_t(struct net *, struct sock *, struct sk_buff *);
FAULT2(int, -ENOBUFS, xfrm_trans_queue, struct sk_buff *, finish_t *);
FAULT3(struct rtable *, ERR_PTR(ERROR), ip_route_output_key_hash, struct net *, struct flowi4 *,
       const struct sk_buff *);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
FAULT5(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED, ip_route_input_noref,
       struct sk_buff *, __be32, __be32, dscp_t, struct net_device *);
#else
FAULT5(int, ERROR, ip_route_input_noref, struct sk_buff *, __be32, __be32, u8,
       struct net_device *);
#endif
FAULT3(struct audit_buffer *, NULL, audit_log_start, struct audit_context *, gfp_t, int);

/* These have a route in any case, which then leads nowhere */
static struct dst_entry *nowhere(struct net *net)
{
	struct dst_entry *dst = &net->ipv6.ip6_null_entry->dst;

	dst_hold(dst);
	return dst;
}

FAULT4(struct dst_entry *, nowhere(a), ip6_route_output_flags, struct net *, const struct sock *,
       struct flowi6 *, int);
FAULT5(struct dst_entry *, nowhere(a), ip6_route_input_lookup, struct net *, struct net_device *,
       struct flowi6 *, const struct sk_buff *, int);

/* These consume, whatever becomes of it */
static int consumed(struct sk_buff *skb, int err)
{
	kfree_skb(skb);
	return err;
}

FAULT2(int, consumed(b, NET_RX_DROP), gro_cells_receive, struct gro_cells *, struct sk_buff *);
FAULT4(int, consumed(b, -ENOBUFS), netlink_unicast, struct sock *, struct sk_buff *, u32, int);

/* --- messages --------------------------------------------------------------- */

FAULT6(void *, NULL, genlmsg_put, struct sk_buff *, u32, u32, const struct genl_family *, int, u8);
FAULT4(int, -EMSGSIZE, nla_put, struct sk_buff *, int, int, const void *);
FAULT5(int, -EMSGSIZE, nla_put_64bit, struct sk_buff *, int, int, const void *, int);
FAULT3(struct nlattr *, NULL, nla_reserve, struct sk_buff *, int, int);

/* --- what is registered ------------------------------------------------------- */

FAULT1(int, ERROR, genl_register_family, struct genl_family *);
FAULT1(int, ERROR, register_pernet_subsys, struct pernet_operations *);
FAULT1(int, ERROR, register_module_notifier, struct notifier_block *);
FAULT3(int, ERROR, nf_register_net_hooks, struct net *, const struct nf_hook_ops *, unsigned int);
FAULT2(int, ERROR, gro_cells_init, struct gro_cells *, struct net_device *);
FAULT2(int, -1, inet_add_protocol, const struct net_protocol *, unsigned char);
FAULT2(int, -1, inet6_add_protocol, const struct inet6_protocol *, unsigned char);
FAULT2(int, -EEXIST, xfrm4_protocol_register, struct xfrm4_protocol *, unsigned char);
FAULT2(int, -EEXIST, xfrm6_protocol_register, struct xfrm6_protocol *, unsigned char);
FAULT1(bool, false, try_module_get, struct module *);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
FAULT3(int, ERROR, __rhltable_init_noprof, struct rhltable *, const struct rhashtable_params *,
       struct lock_class_key *);
#else
FAULT2(int, ERROR, rhltable_init, struct rhltable *, const struct rhashtable_params *);
#endif
FAULT3(void *, ERR_PTR(ERROR), rhashtable_insert_slow, struct rhashtable *, const void *,
       struct rhash_head *);

/* By which the gate looks for who is there before it: as if no module could be loaded */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 15, 0)
FAULT2(int, -EPROTONOSUPPORT, xfrm_init_state, struct xfrm_state *, struct netlink_ext_ack *);
#else
FAULT1(int, -EPROTONOSUPPORT, xfrm_init_state, struct xfrm_state *);
#endif

MODULE_DESCRIPTION("What xfrm_ext calls fails");
MODULE_LICENSE("GPL");
