// SPDX-License-Identifier: GPL-2.0-only
/*
 * Of packets that were kept, those that somebody without the key would send.
 */
#include <linux/ip.h>
#include <linux/sched.h>
#include <net/ip.h>

#include "datapath.h"

/* Where it stands behind an outer IPv4 header without options, in ESP and in EESP */
#define ESP_SPI		20
#define ESP_NUMBER	24
#define EESP_OPTIONS	21
#define EESP_SESSION	22
#define EESP_SPI	24
#define EESP_FIRST	28

/* As many as an option of one octet can be there */
#define PADS		252

static bool flood_is_eesp(const struct sk_buff *skb)
{
	return ((struct iphdr *)skb->data)->protocol == BENCH_PROTO_EESP;
}

/* Options of EESP, none of which says anything */
static int flood_options(struct sk_buff *skb)
{
	struct iphdr *iph;

	if (!flood_is_eesp(skb) || pskb_expand_head(skb, PADS, 0, GFP_KERNEL))
		return -EINVAL;
	__skb_push(skb, PADS);
	memmove(skb->data, skb->data + PADS, EESP_FIRST);
	memset(skb->data + EESP_FIRST, 0, PADS);
	skb->data[EESP_OPTIONS] = PADS;
	iph = (struct iphdr *)skb->data;
	iph->tot_len = htons(skb->len);
	ip_send_check(iph);
	return 0;
}

static int flood_spoil(struct sk_buff *skb, enum bench_spoil how)
{
	switch (how) {
	case BENCH_SPOIL_SPI:
		skb->data[flood_is_eesp(skb) ? EESP_SPI : ESP_SPI] ^= 0x5a;
		return 0;
	case BENCH_SPOIL_ICV:
		skb->data[skb->len - 1] ^= 1;
		return 0;
	case BENCH_SPOIL_ID:
		memset(skb->data + (flood_is_eesp(skb) ? EESP_SESSION :
							 ESP_NUMBER), 0xff, 2);
		return 0;
	case BENCH_SPOIL_OPTIONS:
		return flood_options(skb);
	default:
		return 0;
	}
}

/* The first one is received now, all others are it once more */
static int flood_replay(struct sk_buff_head *kept)
{
	struct sk_buff *first = skb_peek(kept), *skb;

	skb_queue_walk(kept, skb) {
		if (skb->len != first->len)
			return -EINVAL;
		if (skb != first)
			memcpy(skb->data, first->data, first->len);
	}
	skb = skb_copy(first, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	local_bh_disable();
	netif_receive_skb(skb);
	local_bh_enable();
	/* What is inside may go on in a thread */
	schedule_timeout_uninterruptible(2);
	return 0;
}

/**
 * bench_flood - make a flood of packets
 * @kept: packets, as a driver gives them to the stack; in one piece
 * @how: what shall be wrong with them
 *
 * Context: process, on the CPU that will receive them.
 * Return: 0 or a negative errno.
 */
int bench_flood(struct sk_buff_head *kept, enum bench_spoil how)
{
	struct sk_buff *skb;
	int err;

	if (how == BENCH_SPOIL_REPLAY)
		return flood_replay(kept);
	skb_queue_walk(kept, skb) {
		err = flood_spoil(skb, how);
		if (err)
			return err;
	}
	return 0;
}
