/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels that xfrm_ext runs on, and nothing
 * else. No other file looks at LINUX_VERSION_CODE.
 */
#ifndef XFRM_EXT_COMPAT_H
#define XFRM_EXT_COMPAT_H

#include <linux/version.h>
#include <linux/crypto.h>
#include <linux/netdevice.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/route.h>
#include <net/xfrm.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "xfrm_ext needs Linux 6.1 or later"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#include <asm/unaligned.h>
#else
#include <linux/unaligned.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/netdev_rx_queue.h>
#endif

#ifndef CONFIG_64BIT
#error "xfrm_ext needs a 64-bit kernel: counters are read without locks"
#endif

/*
 * Where BH is off another task may come in between there, or the same one go on
 * with another's half of a per-CPU figure: credits, counters, spare memory
 */
#ifdef CONFIG_PREEMPT_RT
#error "xfrm_ext needs a kernel without PREEMPT_RT: BH off protects what is a CPU's own"
#endif

/*
 * 6.1 has extack texts, but no room in them for values; 6.2 and later have
 * room for 80 octets, which cuts ours. The texts that we format are kept in
 * extack.c.
 */
const char *xe_extack_text(const char *fmt, ...) __printf(1, 2);
void xe_extack_exit(void);
#define xe_extack(extack, fmt, ...) do {				\
	struct netlink_ext_ack *__xe_extack = (extack);			\
									\
	if (__xe_extack)						\
		__xe_extack->_msg =					\
			xe_extack_text("xfrm_ext: " fmt, ##__VA_ARGS__); \
} while (0)

/*
 * XE_CRYPTO_DONE(name) { ... } defines a crypto completion that gets its data
 * and an err; before 6.3 the kernel passes the request
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define XE_CRYPTO_DONE(name)						\
static void name##_data(void *data, int err);				\
static void name(struct crypto_async_request *base, int err)		\
{									\
	name##_data(base->data, err);					\
}									\
static void name##_data(void *data, int err)
#else
#define XE_CRYPTO_DONE(name)						\
static void name(void *data, int err)
#endif

/* A device without a name, to hang NAPI instances on */
static inline struct net_device *xe_dummy_netdev_alloc(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	struct net_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (dev)
		init_dummy_netdev(dev);
	return dev;
#else
	return alloc_netdev_dummy(0);
#endif
}

static inline void xe_dummy_netdev_free(struct net_device *dev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	kfree(dev);
#else
	free_netdev(dev);
#endif
}

/* xfrm_init_state(); later kernels take an extack */
static inline int
__xe_state_init(int (*init)(struct xfrm_state *x), struct xfrm_state *x)
{
	return init(x);
}

static inline int
__xe_state_init_extack(int (*init)(struct xfrm_state *x,
				   struct netlink_ext_ack *extack),
		       struct xfrm_state *x)
{
	return init(x, NULL);
}

#define xe_state_init(x)						\
	__builtin_choose_expr(						\
		__same_type(xfrm_init_state, int (struct xfrm_state *)),\
		__xe_state_init, __xe_state_init_extack)(xfrm_init_state, x)

/* XFRMA_SA_DIR: which way the SA is for; 0 if it was not said */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define XFRM_SA_DIR_IN	1
#define XFRM_SA_DIR_OUT	2
#endif

static inline u8 xe_state_dir(const struct xfrm_state *x)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	return 0;
#else
	return x->dir;
#endif
}

static inline void xe_state_copy_dir(struct xfrm_state *to,
				     const struct xfrm_state *from)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	to->dir = from->dir;
#endif
}

/* XFRMA_SA_PCPU: the one CPU that the SA is for; U32_MAX if for all */
static inline u32 xe_state_cpu(const struct xfrm_state *x)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 13)
	return U32_MAX;
#else
	return x->pcpu_num;
#endif
}

/* Find the way of a received IPv4 packet; under RCU */
static inline int xe_route_input(struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	return ip_route_input_noref(skb, iph->daddr, iph->saddr, iph->tos,
				    skb->dev);
#else
	return ip_route_input_noref(skb, iph->daddr, iph->saddr,
				    ip4h_dscp(iph), skb->dev);
#endif
}

/* Does anything of tc or BPF look at what a device receives? Under RCU */
static inline bool xe_dev_has_ingress(const struct net_device *dev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#ifdef CONFIG_NET_CLS_ACT
	return rcu_access_pointer(dev->miniq_ingress);
#endif
#else
#ifdef CONFIG_NET_XGRESS
	return rcu_access_pointer(dev->tcx_ingress);
#endif
#endif
	return false;
}

/* Are a packet's pages memory, and not a device's? */
static inline bool xe_frags_readable(const struct sk_buff *skb)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return true;
#else
	return skb_frags_readable(skb);
#endif
}

#endif /* XFRM_EXT_COMPAT_H */
