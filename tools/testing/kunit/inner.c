// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tunnel mode takes for an inner packet, in packets of one piece and of
 * several. Behind the end of each there is what would make it good: a check
 * that looks too far takes what it must not.
 */
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/skbuff.h>

#include "../../../net/xfrm_ext/mode.h"
#include "suites.h"

#define INNER_MAX	100
#define INNER_PIECE	512	/* of the page, for each of the pieces */

/**
 * struct inner_bench - what a test works with
 * @page: of the pieces that are not linear
 * @octets: the packet
 * @len: octets of it
 * @head: how many of them are linear
 * @second: how many are in a third piece
 * @spare: room behind the linear ones
 * @taken: how many were
 */
struct inner_bench {
	struct page *page;
	u8 octets[INNER_MAX];
	unsigned int len, head, second, spare;
	u64 taken;
};

static int inner_init(struct kunit *test)
{
	struct inner_bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	if (!b)
		return -ENOMEM;
	test->priv = b;
	b->page = alloc_page(GFP_KERNEL);
	return b->page ? 0 : -ENOMEM;
}

static void inner_exit(struct kunit *test)
{
	struct inner_bench *b = test->priv;

	if (b && b->page)
		put_page(b->page);
}

static void inner_piece(struct inner_bench *b, struct sk_buff *skb, int i,
			unsigned int from, unsigned int len)
{
	unsigned int offset = i * INNER_PIECE;

	memcpy(page_address(b->page) + offset, b->octets + from, len);
	get_page(b->page);
	skb_add_rx_frag(skb, i, b->page, offset, len, INNER_PIECE);
}

static struct sk_buff *inner_skb(struct inner_bench *b, u8 behind)
{
	struct sk_buff *skb = alloc_skb(b->head + b->spare, GFP_KERNEL);
	unsigned int rest = b->len - b->head;

	if (!skb)
		return NULL;
	memset(skb->data, behind, b->head + b->spare);
	memset(page_address(b->page), behind, 2 * INNER_PIECE);
	skb_put_data(skb, b->octets, b->head);
	if (rest > b->second)
		inner_piece(b, skb, 0, b->head, rest - b->second);
	if (rest && b->second)
		inner_piece(b, skb, skb_shinfo(skb)->nr_frags,
			    b->len - b->second, b->second);
	return skb;
}

/* Return what is wrong, or NULL */
static const char *inner_judge(struct inner_bench *b, int next_header)
{
	unsigned int need = next_header == 4 ? 20 : 40;
	enum xfrm_ext_stat wanted, got;
	const char *mistake = NULL;
	u8 after[INNER_MAX];
	struct sk_buff *skb;

	if (next_header != 4 && next_header != 41)
		wanted = XFRM_EXT_STAT_RX_NEXT_HEADER;
	else if (b->len < need ||
		 (b->octets[0] & 0xf0) != (next_header == 4 ? 0x40 : 0x60))
		wanted = XFRM_EXT_STAT_RX_INNER;
	else
		wanted = 0;

	skb = inner_skb(b, next_header == 4 ? 0x45 : 0x60);
	if (!skb)
		return "no memory";
	got = xe_mode_tunnel.check(NULL, skb, next_header);
	if (got != wanted)
		mistake = "wrong verdict";
	else if (!got && skb_headlen(skb) < need)
		mistake = "header not linear";
	else if (skb->len != b->len || skb_copy_bits(skb, 0, after, b->len) ||
		 memcmp(after, b->octets, b->len))
		mistake = "packet changed";
	b->taken += !got;
	kfree_skb(skb);
	return mistake;
}

static bool inner_try(struct kunit *test, int next_header)
{
	struct inner_bench *b = test->priv;
	const char *mistake = inner_judge(b, next_header);

	if (mistake)
		KUNIT_FAIL(test,
			   "next header %d, %u octets, %u linear, %u last: %s: %*ph",
			   next_header, b->len, b->head, b->second, mistake,
			   (int)min(b->len, 40u), b->octets);
	return !mistake;
}

/* All versions and lengths, and all places where the linear part can end */
static void inner_every(struct kunit *test)
{
	static const int next_headers[] = { 4, 41 };
	struct inner_bench *b = test->priv;
	unsigned int version;
	int i;

	for (i = 0; i < ARRAY_SIZE(next_headers); i++) {
		for (version = 0; version < 16; version++) {
			for (b->len = 0; b->len <= 48; b->len++) {
				for (b->head = 0; b->head <= b->len; b->head++) {
					b->octets[0] = version << 4 | 5;
					if (!inner_try(test, next_headers[i]))
						return;
				}
			}
			cond_resched();
		}
	}
	/* Lengths from 20 or 40, each cut in all places */
	KUNIT_EXPECT_EQ(test, b->taken, (49 * 50 - 20 * 21) / 2 +
					(49 * 50 - 40 * 41) / 2);
}

/* An inner packet's header, or the beginning of one; then changed */
static int inner_seed_packet(struct inner_bench *b, struct rnd_state *rnd)
{
	static const u8 edges[] = { 19, 20, 21, 39, 40, 41 };
	u32 r = prandom_u32_state(rnd);
	bool v4 = r & 1;

	prandom_bytes_state(rnd, b->octets, INNER_MAX);
	b->len = r >> 8 & 3 ? (r >> 12) % (INNER_MAX + 1) :
		 edges[(r >> 12) % ARRAY_SIZE(edges)];
	b->octets[0] = v4 ? 0x40 | (r >> 20 & 15) : 0x60;
	switch (r >> 24 & 15) {
	case 0 ... 3:
		b->octets[0] ^= 1 << (r >> 28 & 7);
		break;
	case 4:
		b->octets[0] = r >> 16;
		break;
	}
	r = prandom_u32_state(rnd);
	b->head = r & 1 ? b->len : (r >> 8) % (b->len + 1);
	b->second = r & 2 ? (r >> 16) % (b->len - b->head + 1) : 0;
	b->spare = r & 4 ? 128 : 0;
	/* Mostly that of the packet */
	switch (r >> 4 & 15) {
	case 0:
		return r >> 24;
	case 1:
		return v4 ? 41 : 4;
	default:
		return v4 ? 4 : 41;
	}
}

static void inner_fuzz(struct kunit *test)
{
	struct inner_bench *b = test->priv;
	u64 i, goal = xe_kunit_ops / 200;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, xe_kunit_seed);
	for (i = 0; i < goal; i++) {
		int next_header = inner_seed_packet(b, &rnd);

		if (!inner_try(test, next_header))
			return;
		if (i % 1024 == 0)
			cond_resched();
	}
	kunit_info(test, "seed %#lx, %llu inputs, %llu taken\n", xe_kunit_seed,
		   goal, b->taken);
	KUNIT_EXPECT_GT(test, b->taken, goal / 20);
	KUNIT_EXPECT_LT(test, b->taken, goal - goal / 20);
}

static struct kunit_case inner_cases[] = {
	KUNIT_CASE(inner_every),
	KUNIT_CASE(inner_fuzz),
	{}
};

struct kunit_suite inner_suite = {
	.name = "xfrm_ext_inner",
	.init = inner_init,
	.exit = inner_exit,
	.test_cases = inner_cases,
};
