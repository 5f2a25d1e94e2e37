// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who takes EESP, which has an IP protocol number of its own: IANA has assigned none, so
 * it is a module parameter's. An xfrm state knows only ESP. So the packets come here
 * first, and go on as ESP would, but that the kernel is told the SPI, since it would look for
 * that in the wrong place: who takes ESP is asked in turn. VTI is before us; then we
 * find the SA, for our own path; behind us are xfrm interfaces and esp4.
 *
 * Only while there are SAs of it: else the number is whose it was before.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/protocol.h>
#include <net/route.h>

#include "packet.h"

/* For experiments: RFC 3692, RFC 4727 */
static unsigned char xe_protocol = 253;
module_param_named(eesp_protocol, xe_protocol, byte, 0444);
MODULE_PARM_DESC(eesp_protocol, "IP protocol number of EESP, which IANA has not assigned yet (default 253)");

static unsigned char xe_version;
module_param_named(eesp_version, xe_version, byte, 0444);
MODULE_PARM_DESC(eesp_version, "Version of EESP's header, 0 to 15 (default 0, the draft's)");

module_param_named(eesp_option_pad1, xe_eesp_numbers.pad1, byte, 0444);
MODULE_PARM_DESC(eesp_option_pad1, "Type of EESP's option Pad1 (default 0, the draft's)");
module_param_named(eesp_option_padn, xe_eesp_numbers.padn, byte, 0444);
MODULE_PARM_DESC(eesp_option_padn, "Type of EESP's option PadN (default 1, the draft's)");
module_param_named(eesp_option_crypt_offset, xe_eesp_numbers.crypt_offset, byte,
		   0444);
MODULE_PARM_DESC(eesp_option_crypt_offset, "Type of EESP's option Crypt Offset (default 2, the draft's)");

static DEFINE_MUTEX(listen_lock);
static unsigned int listen_users; /* under listen_lock */

/**
 * xe_listen_protocol - the IP protocol number of EESP
 *
 * Return: it does not change.
 */
u8 xe_listen_protocol(void)
{
	return xe_protocol;
}

static bool listen_is_eesp(const struct xe_sa *sa)
{
	return sa && sa->params.format == XFRM_EXT_FORMAT_EESP;
}

/*
 * The kernel has a state of ours in place that has not been told to us yet, or not at
 * all: a clone that MIGRATE has made. Its first packet sees to that.
 */
static bool listen_awaits(struct net *net, u32 mark, u16 family,
			  const void *daddr, __be32 spi)
{
	struct xfrm_state *x;
	bool ours;

	x = xfrm_state_lookup(net, mark, daddr, spi, IPPROTO_ESP, family);
	if (!x)
		return false;
	ours = listen_is_eesp(xe_sa_of(x));
	xfrm_state_put(x);
	return ours;
}

/*
 * May it be for an SA of EESP? What is not must not come to an SA of ESP that has such an
 * SPI, nor to one in VTI. VTI's mark is not known here.
 */
static bool listen_knows(struct net *net, u32 mark, u16 family,
			 const void *daddr, __be32 spi)
{
	return xe_sa_has_eesp(net, family, daddr, spi) ||
	       listen_awaits(net, mark, family, daddr, spi);
}

/* As the kernel does with ESP: nobody is told but who reads counters and the audit log */
static void listen_unknown(struct sk_buff *skb, u16 family, __be32 spi)
{
	struct net *net = dev_net(skb->dev);

	if (spi) {
		XFRM_INC_STATS(net, LINUX_MIB_XFRMINNOSTATES);
		xfrm_audit_state_notfound(skb, family, spi, 0);
	} else {
		XFRM_INC_STATS(net, LINUX_MIB_XFRMINHDRERROR);
	}
	kfree_skb(skb);
}

/* The SPI of what begins as EESP does, and may be an SA's; 0: it is not */
static __be32 listen_spi(struct sk_buff *skb, u16 family, const void *daddr,
			 __be32 *spi)
{
	xe_assert_bh_off();
	xe_assert_rcu();
	*spi = 0;
	if (!pskb_may_pull(skb, XE_EESP_BASE_LEN))
		return 0;
	*spi = xe_eesp_spi(skb->data);
	return listen_knows(dev_net(skb->dev), skb->mark, family, daddr,
			    *spi) ? *spi : 0;
}

static int listen_rcv4(struct sk_buff *skb)
{
	__be32 daddr = ip_hdr(skb)->daddr, spi;

	if (listen_spi(skb, AF_INET, &daddr, &spi))
		return xfrm4_rcv_encap(skb, IPPROTO_ESP, spi, 0);
	listen_unknown(skb, AF_INET, spi);
	return 0;
}

static int listen_rcv6(struct sk_buff *skb)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;
	__be32 spi;

	if (listen_spi(skb, AF_INET6, &daddr, &spi))
		return xfrm6_rcv_encap(skb, IPPROTO_ESP, spi, 0);
	listen_unknown(skb, AF_INET6, spi);
	return 0;
}

/*
 * Behind UDP, where the first bit tells it from ESP: draft, section 6. What is no packet
 * of an SA of ours is left to who has asked before. Else all are asked anew, with the SPI.
 */
static bool listen_may_be(const struct sk_buff *skb, __be32 spi, int encap_type)
{
	return !spi && encap_type == UDP_ENCAP_ESPINUDP &&
	       skb_headlen(skb) && *skb->data & XE_EESP_NOT_ESP;
}

static int listen_udp4(struct sk_buff *skb, int nexthdr, __be32 spi,
		       int encap_type)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	if (!listen_may_be(skb, spi, encap_type) ||
	    !listen_spi(skb, AF_INET, &daddr, &spi))
		return -EINVAL;
	xfrm4_rcv_encap(skb, IPPROTO_ESP, spi, encap_type);
	return 0;
}

static int listen_udp6(struct sk_buff *skb, int nexthdr, __be32 spi,
		       int encap_type)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

	if (!listen_may_be(skb, spi, encap_type) ||
	    !listen_spi(skb, AF_INET6, &daddr, &spi))
		return -EINVAL;
	xfrm6_rcv_encap(skb, IPPROTO_ESP, spi, encap_type);
	return 0;
}

/*
 * With an SPI it is EESP that the two above have had. 0: taken; -EINVAL: the kernel
 * goes on, and so it does with what is encapsulated and should not be, or the
 * reverse: it counts that.
 */
static int listen_input(struct sk_buff *skb, u16 family, const void *daddr,
			__be32 spi, int encap_type)
{
	struct net *net = dev_net(skb->dev);
	struct xe_sa *sa;

	if (!spi)
		return -EINVAL;
	sa = xe_sa_lookup(net, family, daddr, spi, skb->mark);
	if (listen_is_eesp(sa)) {
		if (!READ_ONCE(xe_fastpath) || sa->x->if_id ||
		    sa->params.flags & XFRM_EXT_SA_F_NO_FASTPATH ||
		    !encap_type != !sa->encap_len)
			return -EINVAL;
		xe_receive(sa, skb, false);
		return 0;
	}
	if (!sa && listen_awaits(net, skb->mark, family, daddr, spi))
		return -EINVAL;
	listen_unknown(skb, family, spi);
	return 0;
}

static int listen_input4(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	__be32 daddr = ip_hdr(skb)->daddr;

	return listen_input(skb, AF_INET, &daddr, spi, encap_type);
}

static int listen_input6(struct sk_buff *skb, int nexthdr, __be32 spi,
			 int encap_type)
{
	struct in6_addr daddr = ipv6_hdr(skb)->daddr;

	return listen_input(skb, AF_INET6, &daddr, spi, encap_type);
}

/* Does somebody say something of a packet of ours? */
static bool listen_sent(struct net *net, const struct sk_buff *skb, u16 family,
			const void *daddr, const u8 *header)
{
	return listen_knows(net, skb->mark, family, daddr,
			    xe_eesp_spi(header));
}

/* PMTU and redirects, as esp4 has them of ESP */
static int listen_err4(struct sk_buff *skb, u32 info)
{
	const struct iphdr *iph = (const struct iphdr *)skb->data;
	const struct icmphdr *icmp = icmp_hdr(skb);
	struct net *net = dev_net(skb->dev);

	if (icmp->type != ICMP_REDIRECT &&
	    (icmp->type != ICMP_DEST_UNREACH ||
	     icmp->code != ICMP_FRAG_NEEDED))
		return 0;
	if (!listen_sent(net, skb, AF_INET, &iph->daddr,
			 skb->data + iph->ihl * 4))
		return 0;
	if (icmp->type == ICMP_REDIRECT)
		ipv4_redirect(skb, net, 0, xe_protocol);
	else
		ipv4_update_pmtu(skb, net, info, 0, xe_protocol);
	return 0;
}

static int listen_err6(struct sk_buff *skb, struct inet6_skb_parm *opt, u8 type,
		       u8 code, int offset, __be32 info)
{
	const struct ipv6hdr *iph = (const struct ipv6hdr *)skb->data;
	struct net *net = dev_net(skb->dev);

	if (type != ICMPV6_PKT_TOOBIG && type != NDISC_REDIRECT)
		return 0;
	if (!listen_sent(net, skb, AF_INET6, &iph->daddr, skb->data + offset))
		return 0;
	if (type == NDISC_REDIRECT)
		ip6_redirect(skb, net, skb->dev->ifindex, 0,
			     sock_net_uid(net, NULL));
	else
		ip6_update_pmtu(skb, net, info, 0, 0, sock_net_uid(net, NULL));
	return 0;
}

static const struct net_protocol listen_proto4 = {
	.handler	= listen_rcv4,
	.err_handler	= listen_err4,
	.no_policy	= 1,
};

static const struct inet6_protocol listen_proto6 = {
	.handler	= listen_rcv6,
	.err_handler	= listen_err6,
	.flags		= INET6_PROTO_NOPOLICY,
};

/* Of plain ESP, which comes to these as well */
static int listen_none(struct sk_buff *skb)
{
	return -EINVAL;
}

static int listen_cb(struct sk_buff *skb, int err)
{
	return 1;
}

static int listen_none4(struct sk_buff *skb, u32 info)
{
	return -ENOENT;
}

static int listen_none6(struct sk_buff *skb, struct inet6_skb_parm *opt,
			u8 type, u8 code, int offset, __be32 info)
{
	return -ENOENT;
}

/*
 * Before VTI (100), which would look for an SPI in the first word; and behind it, but
 * before receive.c
 */
#define XE_LISTEN_UDP_PRIORITY	110
#define XE_LISTEN_PRIORITY	60

static struct xfrm4_protocol listen_xfrm4[] = {
	{
		.handler	= listen_none,
		.input_handler	= listen_input4,
		.cb_handler	= listen_cb,
		.err_handler	= listen_none4,
		.priority	= XE_LISTEN_PRIORITY,
	},
	{
		.handler	= listen_none,
		.input_handler	= listen_udp4,
		.cb_handler	= listen_cb,
		.err_handler	= listen_none4,
		.priority	= XE_LISTEN_UDP_PRIORITY,
	},
};

static struct xfrm6_protocol listen_xfrm6[] = {
	{
		.handler	= listen_none,
		.input_handler	= listen_input6,
		.cb_handler	= listen_cb,
		.err_handler	= listen_none6,
		.priority	= XE_LISTEN_PRIORITY,
	},
	{
		.handler	= listen_none,
		.input_handler	= listen_udp6,
		.cb_handler	= listen_cb,
		.err_handler	= listen_none6,
		.priority	= XE_LISTEN_UDP_PRIORITY,
	},
};

static void listen_deregister(int n4, int n6)
{
	while (n6)
		xfrm6_protocol_deregister(&listen_xfrm6[--n6], IPPROTO_ESP);
	while (n4)
		xfrm4_protocol_deregister(&listen_xfrm4[--n4], IPPROTO_ESP);
}

/* What hands on to the others comes last, and goes first */
static int listen_register(void)
{
	const int count = ARRAY_SIZE(listen_xfrm4);
	int n4, n6 = 0, err = 0;

	BUILD_BUG_ON(ARRAY_SIZE(listen_xfrm6) != ARRAY_SIZE(listen_xfrm4));
	for (n4 = 0; n4 < count; n4++) {
		err = xfrm4_protocol_register(&listen_xfrm4[n4], IPPROTO_ESP);
		if (err)
			goto err_out;
	}
	for (n6 = 0; n6 < count; n6++) {
		err = xfrm6_protocol_register(&listen_xfrm6[n6], IPPROTO_ESP);
		if (err)
			goto err_out;
	}
	return 0;

err_out:
	listen_deregister(n4, n6);
	return err;
}

static int listen_begin(struct netlink_ext_ack *extack)
{
	int err;

	if (inet_add_protocol(&listen_proto4, xe_protocol))
		goto taken;
	if (inet6_add_protocol(&listen_proto6, xe_protocol)) {
		inet_del_protocol(&listen_proto4, xe_protocol);
		goto taken;
	}
	err = listen_register();
	if (err) {
		inet6_del_protocol(&listen_proto6, xe_protocol);
		inet_del_protocol(&listen_proto4, xe_protocol);
		xe_extack(extack, "cannot take EESP beside ESP: %d", err);
		return err;
	}
	xe_gro_eesp_begin(xe_protocol);
	static_branch_inc(&xe_eesp_used);
	return 0;

taken:
	xe_extack(extack,
		  "IP protocol %u is somebody else's: load xfrm_ext with another eesp_protocol",
		  xe_protocol);
	return -EBUSY;
}

static void listen_end(void)
{
	static_branch_dec(&xe_eesp_used);
	xe_gro_eesp_end(xe_protocol);
	listen_deregister(ARRAY_SIZE(listen_xfrm4), ARRAY_SIZE(listen_xfrm6));
	inet6_del_protocol(&listen_proto6, xe_protocol);
	inet_del_protocol(&listen_proto4, xe_protocol);
}

/**
 * xe_listen_get - an SA of EESP is being made
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep.
 * Return: 0, for xe_listen_put(), or a negative errno: somebody else has the number.
 */
int xe_listen_get(struct netlink_ext_ack *extack)
{
	int err = 0;

	mutex_lock(&listen_lock);
	if (!listen_users)
		err = listen_begin(extack);
	if (!err)
		listen_users++;
	mutex_unlock(&listen_lock);
	return err;
}

/**
 * xe_listen_put - it is no more
 *
 * Context: process, may sleep. With the last one no packet is with us any more.
 */
void xe_listen_put(void)
{
	mutex_lock(&listen_lock);
	if (!--listen_users)
		listen_end();
	mutex_unlock(&listen_lock);
}

/**
 * xe_listen_init - can there be EESP?
 *
 * Return: 0, or -EINVAL if that cannot be its numbers.
 */
int xe_listen_init(void)
{
	const struct xe_eesp_numbers *n = &xe_eesp_numbers;

	if (!xe_protocol || xe_protocol == IPPROTO_RAW) {
		pr_err("eesp_protocol %u: must be 1 to 254\n", xe_protocol);
		return -EINVAL;
	}
	if (xe_version > XE_EESP_VERSION_MAX) {
		pr_err("eesp_version %u: must be 0 to %u\n", xe_version,
		       XE_EESP_VERSION_MAX);
		return -EINVAL;
	}
	if (n->pad1 == n->padn || n->pad1 == n->crypt_offset ||
	    n->padn == n->crypt_offset) {
		pr_err("eesp_option_pad1 %u, eesp_option_padn %u, eesp_option_crypt_offset %u: must be three numbers\n",
		       n->pad1, n->padn, n->crypt_offset);
		return -EINVAL;
	}
	/* The version, in the four bits behind the first */
	xe_eesp_numbers.first = XE_EESP_NOT_ESP | xe_version << 3;
	return 0;
}
