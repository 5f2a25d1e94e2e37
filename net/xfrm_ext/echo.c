// SPDX-License-Identifier: GPL-2.0-only
/*
 * ESP Echo (draft-ietf-ipsecme-encrypted-esp-ping, as of August 2026): does the peer get
 * what goes through an SA, and how long does that take?
 *
 *	Next Header 144:
 *	Sub-type 8 | R 1 | Reserved 7 | Data Length 16
 *	Identifier 16 | Sequence 16
 *	Reply SPI 32
 *	Data
 *
 * A request that has R is answered, if its SA says so, by the SA to the same peer that
 * Reply SPI names: with as many octets, no faster than echo_rate, in the same subspace if there
 * is one. What comes is told to who listens, and ends here: no policy is asked, because nothing
 * is passed on.
 */
#include <linux/module.h>
#include <net/genetlink.h>

#include "packet.h"

/* What RFC 9347 calls AGGFRAG_PAYLOAD, whose sub-types 0 and 1 it has taken */
static u8 echo_request = 2;
module_param(echo_request, byte, 0644);
MODULE_PARM_DESC(echo_request, "Sub-type of ESP Echo's requests, until IANA assigns it (default 2)");

static u8 echo_reply = 3;
module_param(echo_reply, byte, 0644);
MODULE_PARM_DESC(echo_reply, "Sub-type of its replies (default 3)");

static unsigned int echo_rate = 100;
module_param(echo_rate, uint, 0644);
MODULE_PARM_DESC(echo_rate, "Echo packets that an SA answers or tells in a second (default 100)");

#define XE_ECHO_R	0x80

/**
 * struct xe_echo - what stands before the data
 * @type: sub-type
 * @flags: XE_ECHO_R; the rest is reserved
 * @len: octets of data
 * @id: whatever the sender of the request likes
 * @seq: the same
 * @spi: of the SA that a reply shall come by
 */
struct xe_echo {
	u8 type;
	u8 flags;
	__be16 len;
	__be16 id;
	__be16 seq;
	__be32 spi;
};

/* Answers and news are rare, however many the peer sends */
static bool xe_echo_within_rate(struct xe_sa *sa)
{
	struct xe_alarm *a = &sa->alarm;
	unsigned long since = READ_ONCE(a->echo_since), now = jiffies;

	/* Never, or more than a second ago */
	if ((!since || time_after_eq(now, since + HZ)) &&
	    cmpxchg(&a->echo_since, since, now | 1) == since)
		atomic_set(&a->echoes, 0);
	return (unsigned int)atomic_inc_return(&a->echoes) <=
	       READ_ONCE(echo_rate);
}

/* Behind one address there may be many peers, told apart by ports */
static bool xe_echo_same_ports(const struct xfrm_state *in,
			       const struct xfrm_state *out)
{
	if (!in->encap || !out->encap)
		return !in->encap && !out->encap;
	return READ_ONCE(in->encap->encap_sport) ==
	       READ_ONCE(out->encap->encap_dport);
}

/* Security labels: what one of them carries is not for another */
static bool xe_echo_same_label(const struct xfrm_state *in,
			       const struct xfrm_state *out)
{
	const struct xfrm_sec_ctx *a = in->security, *b = out->security;

	if (!a || !b)
		return !a && !b;
	return a->ctx_doi == b->ctx_doi && a->ctx_alg == b->ctx_alg &&
	       a->ctx_len == b->ctx_len &&
	       !memcmp(a->ctx_str, b->ctx_str, a->ctx_len);
}

/*
 * The SA of that SPI to the peer of one that we receive by, with a reference to its state,
 * or NULL. It is another peer's if addresses, ports, interface, mark or label are.
 */
static struct xe_sa *xe_echo_way_back(const struct xe_sa *sa, __be32 spi)
{
	const struct xfrm_state *in = sa->x;
	u16 family = sa->id.family;
	struct xfrm_state *x;
	struct xe_sa *out;

	if (!spi || xfrm_addr_any(&in->props.saddr, family))
		return NULL;
	x = xfrm_state_lookup(xs_net((struct xfrm_state *)in), sa->id.mark.v,
			      &in->props.saddr, spi, IPPROTO_ESP, family);
	if (!x)
		return NULL;
	out = xe_sa_of(x);
	if (out && x->mark.v == in->mark.v && x->mark.m == in->mark.m &&
	    READ_ONCE(x->if_id) == READ_ONCE(in->if_id) &&
	    xfrm_addr_equal(&x->props.saddr, &in->id.daddr, family) &&
	    xe_echo_same_ports(in, x) && xe_echo_same_label(in, x))
		return out;
	xfrm_state_put(x);
	return NULL;
}

/* The subspace of that ID, or what a packet of no class takes */
static u32 xe_echo_place(const struct xe_sa *sa, u32 subspace)
{
	const struct xe_params *p = &sa->params;

	if (subspace >= p->tx_base && subspace - p->tx_base < p->tx_subspaces)
		return subspace - p->tx_base;
	return xe_select_place(&p->select, 0, raw_smp_processor_id());
}

/* Data and all, but for what says that it is a request */
static int xe_echo_answer(struct xe_sa *sa, const struct sk_buff *skb,
			  unsigned int at, const struct xe_echo *request,
			  u32 subspace)
{
	unsigned int len = be16_to_cpu(request->len);
	struct xe_echo *reply;
	struct sk_buff *out;
	struct xe_sa *to;
	struct net *net;
	int err;

	if (!(request->flags & XE_ECHO_R) ||
	    !(sa->params.flags & XFRM_EXT_SA_F_ECHO) ||
	    !xe_echo_within_rate(sa))
		return -EINVAL;
	/* A cipher may have kept the request until the namespace goes, and its routes */
	net = maybe_get_net(xs_net(sa->x));
	if (!net)
		return -ENOENT;
	err = -ENOENT;
	to = xe_echo_way_back(sa, request->spi);
	if (!to)
		goto put_net;
	out = xe_own_make(to, sizeof(*reply) + len, GFP_ATOMIC, NULL);
	err = PTR_ERR_OR_ZERO(out);
	if (err)
		goto put;
	reply = (void *)out->data;
	reply->type = READ_ONCE(echo_reply);
	reply->len = request->len;
	reply->id = request->id;
	reply->seq = request->seq;
	err = skb_copy_bits(skb, at + sizeof(*request), reply + 1, len);
	if (err)
		kfree_skb(out);
	else
		err = xe_own_send(to, out, XE_NEXT_HEADER_ECHO,
				  xe_echo_place(to, subspace));
put:
	xfrm_state_put(to->x);
put_net:
	put_net(net);
	return err;
}

static int xe_echo_put(struct sk_buff *msg, const struct xe_sa *sa,
		       const struct sk_buff *skb, unsigned int at,
		       const struct xe_echo *reply, u32 subspace)
{
	unsigned int len = be16_to_cpu(reply->len);
	struct nlattr *data;

	if (xe_message_put_id(msg, &sa->id) ||
	    nla_put_u16(msg, XFRM_EXT_A_ECHO_ID, be16_to_cpu(reply->id)) ||
	    nla_put_u16(msg, XFRM_EXT_A_ECHO_SEQ, be16_to_cpu(reply->seq)) ||
	    nla_put_u32(msg, XFRM_EXT_A_ECHO_SUBSPACE, subspace) ||
	    nla_put_u32(msg, XFRM_EXT_A_ECHO_LEN, len))
		return -EMSGSIZE;
	len = min_t(unsigned int, len, XFRM_EXT_ECHO_DATA_MAX);
	data = nla_reserve(msg, XFRM_EXT_A_ECHO_DATA, len);
	return data ? skb_copy_bits(skb, at + sizeof(*reply), nla_data(data),
				    len) : -EMSGSIZE;
}

/* To who listens; best effort, as all events are */
static int xe_echo_tell(struct xe_sa *sa, const struct sk_buff *skb,
			unsigned int at, const struct xe_echo *reply,
			u32 subspace)
{
	struct net *net = xs_net(sa->x);
	struct sk_buff *msg;
	void *hdr;

	if (!check_net(net) ||
	    !genl_has_listeners(&xe_family, net, XE_MCGRP_ECHO) ||
	    !xe_echo_within_rate(sa))
		return -ENOENT;
	msg = xe_message_event(XFRM_EXT_CMD_ECHO_REPLY, &hdr);
	if (!msg)
		return -ENOMEM;
	if (xe_echo_put(msg, sa, skb, at, reply, subspace)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	xe_message_multicast(msg, net, XE_MCGRP_ECHO);
	return 0;
}

/**
 * xe_echo_received - an authentic packet has Next Header 144
 * @sa: SA
 * @skb: packet
 * @at: where its payload begins, from data on
 * @len: octets of payload; TFC padding may be among them
 * @subspace: that it came in
 *
 * Frees nothing.
 *
 * Context: BH off.
 * Return: what to count it as: it ends here; or 0: it is no echo, but one of what else
 *         has that Next Header.
 */
enum xfrm_ext_stat xe_echo_received(struct xe_sa *sa, const struct sk_buff *skb,
				    unsigned int at, unsigned int len,
				    u32 subspace)
{
	bool request, reply;
	struct xe_echo e;
	u8 type;
	int err;

	if (!len || skb_copy_bits(skb, at, &type, sizeof(type)))
		return 0;
	request = type == READ_ONCE(echo_request);
	reply = type == READ_ONCE(echo_reply);
	if (!request && !reply)
		return 0;
	if (!xe_lifetime_use(sa, len))
		return XFRM_EXT_STAT_RX_EXPIRED;
	if (len < sizeof(e) || skb_copy_bits(skb, at, &e, sizeof(e)) ||
	    be16_to_cpu(e.len) > len - sizeof(e))
		return XFRM_EXT_STAT_RX_ECHO_REFUSED;
	err = request ? xe_echo_answer(sa, skb, at, &e, subspace) :
			xe_echo_tell(sa, skb, at, &e, subspace);
	return err ? XFRM_EXT_STAT_RX_ECHO_REFUSED : XFRM_EXT_STAT_RX_ECHO;
}

/**
 * xe_echo_send - send a request
 * @sa: SA
 * @place: subspace it takes, by its place in the SA's range
 * @what: what it says
 * @extack: for the reason of a refusal
 *
 * Context: process, may sleep; the namespace's lock is held.
 * Return: as xe_own_send(), or why there is none.
 */
int xe_echo_send(struct xe_sa *sa, u32 place, const struct xe_echo_request *what,
		 struct netlink_ext_ack *extack)
{
	struct xe_echo *request;
	struct sk_buff *skb;
	int err;

	skb = xe_own_make(sa, sizeof(*request) + what->len, GFP_KERNEL, extack);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	request = (void *)skb->data;
	request->type = READ_ONCE(echo_request);
	request->flags = what->reply_spi ? XE_ECHO_R : 0;
	request->len = cpu_to_be16(what->len);
	request->id = cpu_to_be16(what->id);
	request->seq = cpu_to_be16(what->seq);
	request->spi = what->reply_spi;
	if (what->data_len)
		memcpy(request + 1, what->data, what->data_len);
	err = xe_own_send(sa, skb, XE_NEXT_HEADER_ECHO, place);
	return xe_own_told(err, "request", extack);
}
