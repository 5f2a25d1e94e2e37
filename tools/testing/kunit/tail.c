// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is touched, copied and allocated behind a payload, for each placement of
 * the trailer and each shape of a packet. Documentation/trailers.rst says what
 * it means; the tables there are what is printed here.
 *
 * "today" is what output.c and input.c do with a packet. "least" is what is left
 * where nothing needs the packet in one piece: fragments stay where they are,
 * and a device, or a cipher working on scatterlists, does the rest. What is
 * expected is worked out by hand, in tail.h; what is printed has been seen
 * happening to packets.
 */
#include <linux/gfp.h>
#include <linux/in.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "../../../net/xfrm_ext/trailer.h"
#include "suites.h"
#include "tail.h"

/* ------------------------------------------------------------------ packets */

static unsigned int octets_of(enum part part, unsigned int all)
{
	switch (part) {
	case ALL:
		return all;
	case TWICE:
		return 2 * all;
	case HEAD:
		return T_HEAD;
	case LAST:
		return all - T_HEAD - T_PART;
	default:
		return 0;
	}
}

/* The plaintext, without trailer.c; an IPv4 packet, as far as it matters */
static unsigned int plaintext(u8 *p, u32 trailer, unsigned int payload)
{
	unsigned int tail = tail_octets[trailer][payload % 4], i;
	u8 *begin = p;

	if (trailer == XFRM_EXT_TRAILER_FRONT) {
		*p++ = 0;
		*p++ = 0;
		*p++ = IPPROTO_IPIP;
		*p++ = tail;
	}
	for (i = 0; i < payload; i++)
		p[i] = i * 7 + 1;
	p[0] = 0x45;
	p[2] = payload >> 8;
	p[3] = payload;
	p += payload;
	memset(p, 0, tail);
	if (trailer == XFRM_EXT_TRAILER_END) {
		for (i = 0; i < tail - 2; i++)
			p[i] = i + 1;
		p[tail - 2] = tail - 2;
		p[tail - 1] = IPPROTO_IPIP;
	}
	return p + tail - begin;
}

/* A head of a page; what is before its data begins a cache line */
static struct sk_buff *one_head(struct kunit *test, const u8 *octets,
				unsigned int len, int tailroom,
				unsigned int headroom)
{
	struct sk_buff *skb = alloc_skb(SKB_WITH_OVERHEAD(PAGE_SIZE),
					GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb_reserve(skb, tailroom == T_MANY ? 2 * T_LINE + headroom :
					      skb_tailroom(skb) - len - tailroom);
	skb_put_data(skb, octets, len);
	return skb;
}

static void add_page(struct kunit *test, struct sk_buff *skb, const u8 *octets,
		     unsigned int len, unsigned int at)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	memcpy(page_address(page) + at, octets, len);
	skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, at, len,
			PAGE_SIZE);
}

static void add_skb(struct sk_buff *skb, struct sk_buff **at,
		    struct sk_buff *more)
{
	*at = more;
	skb->len += more->len;
	skb->data_len += more->len;
	skb->truesize += more->truesize;
}

/* @over: what of shape EDGE is in the last page */
static struct sk_buff *packet(struct kunit *test, const struct shape *s,
			      const u8 *octets, unsigned int len,
			      unsigned int headroom, unsigned int over)
{
	unsigned int head = s->kind == LINEAR ? len : T_HEAD;
	unsigned int rest = len - head;
	struct sk_buff *skb, *more;

	skb = one_head(test, octets, head, s->tailroom, headroom);
	octets += head;
	switch (s->kind) {
	case LINEAR:
		break;
	case FRAGS:
		add_page(test, skb, octets, T_PART, 0);
		add_page(test, skb, octets + T_PART, rest - T_PART, 0);
		break;
	case EDGE:
		rest -= over;
		add_page(test, skb, octets, rest, PAGE_SIZE - rest);
		add_page(test, skb, octets + rest, over, 0);
		break;
	case LIST:
		more = one_head(test, octets, T_PART, 0, 0);
		add_skb(skb, &skb_shinfo(skb)->frag_list, more);
		add_skb(skb, &more->next,
			one_head(test, octets + T_PART, rest - T_PART, 0, 0));
		break;
	}
	return skb;
}

static struct sk_buff *last_of(struct sk_buff *skb)
{
	struct sk_buff *last = skb_shinfo(skb)->frag_list;

	if (!last)
		return skb;
	while (last->next)
		last = last->next;
	return last;
}

/* ------------------------------------------------------------- observations */

struct seen {
	unsigned int heads, copied, pieces;
	unsigned int written;		/* behind the payload */
	unsigned int front, tail;	/* read, in the plaintext and at its end */
	unsigned int lines, pages;	/* of tail octets, and of nothing else */
};

/* The heads of a packet, to see which have been replaced */
struct heads {
	const void *head[3];
	unsigned int len[3];
	int n;
};

static void heads_of(const struct sk_buff *skb, struct heads *h)
{
	const struct sk_buff *more;

	h->n = 0;
	h->head[h->n] = skb->head;
	h->len[h->n++] = skb_headlen(skb);
	for (more = skb_shinfo(skb)->frag_list; more && h->n < 3;
	     more = more->next) {
		h->head[h->n] = more->head;
		h->len[h->n++] = more->len;
	}
}

/* The old head is free only when there is the new one: they differ */
static void heads_compare(const struct heads *old, const struct sk_buff *skb,
			  struct seen *seen)
{
	struct heads new;
	int i;

	heads_of(skb, &new);
	for (i = 0; i < new.n && i < old->n; i++) {
		if (new.head[i] == old->head[i])
			continue;
		seen->heads++;
		seen->copied += old->len[i];
	}
	/* Out of pages, or out of the list */
	if (new.len[0] > old->len[0])
		seen->copied += new.len[0] - old->len[0];
}

static struct sk_buff *cow_step(struct kunit *test, struct sk_buff *skb,
				unsigned int tail, struct seen *seen)
{
	struct sk_buff *last;
	struct heads old;

	heads_of(skb, &old);
	KUNIT_ASSERT_GT(test, skb_cow_data(skb, tail, &last), 0);
	heads_compare(&old, skb, seen);
	return last;
}

/*
 * Without a list skb_cow_data() first sees to a copy of its own, then to the
 * room: with a first call for no room at all, each is seen by itself.
 */
static struct sk_buff *cow(struct kunit *test, struct sk_buff *skb,
			   unsigned int tail, struct seen *seen)
{
	if (tail && !skb_has_frag_list(skb))
		cow_step(test, skb, 0, seen);
	return cow_step(test, skb, tail, seen);
}

/* Where an octet of a packet is, wherever that is */
static unsigned long address(const struct sk_buff *skb, unsigned int at)
{
	const struct sk_buff *more;
	int i;

	if (at < skb_headlen(skb))
		return (unsigned long)skb->data + at;
	at -= skb_headlen(skb);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		if (at < skb_frag_size(frag))
			return (unsigned long)skb_frag_address(frag) + at;
		at -= skb_frag_size(frag);
	}
	for (more = skb_shinfo(skb)->frag_list; more; more = more->next) {
		if (at < more->len)
			return address(more, at);
		at -= more->len;
	}
	return 0;
}

/*
 * Units (cache lines, pages) that have an octet of @mask, at @from of the
 * packet, but nothing of the @headers octets that it begins with
 */
static unsigned int units(const struct sk_buff *skb, unsigned int headers,
			  unsigned int from, u64 mask, unsigned long unit)
{
	unsigned long first = address(skb, 0) / unit;
	unsigned long last = address(skb, headers - 1) / unit;
	unsigned long u, before = 0;
	unsigned int n = 0;

	for (; mask; mask >>= 1, from++) {
		if (!(mask & 1))
			continue;
		u = address(skb, from) / unit;
		if ((u < first || u > last) && u != before)
			n++;
		before = u;
	}
	return n;
}

/* ------------------------------------------------------------------- sender */

/* As xe_protect() does it */
static u8 *today_room(struct kunit *test, struct sk_buff *skb, unsigned int len,
		      struct seen *seen)
{
	struct sk_buff *last = cow(test, skb, len, seen);

	return pskb_put(skb, last, len);
}

/* Where fragments may stay; NULL if there is nothing to make room for */
static u8 *least_room(struct kunit *test, struct sk_buff *skb, unsigned int len,
		      struct seen *seen)
{
	struct sk_buff *last = last_of(skb);
	struct heads old;
	struct page *page;

	if (!len)
		return NULL;
	/* Neither tailroom nor list of fragments are a clone's own */
	if (skb_cloned(last)) {
		heads_of(skb, &old);
		KUNIT_ASSERT_EQ(test, pskb_expand_head(skb, 0,
						       skb_is_nonlinear(skb) ?
						       0 : len, GFP_KERNEL), 0);
		heads_compare(&old, skb, seen);
	}
	if (!skb_is_nonlinear(last) && skb_tailroom(last) >= len)
		return pskb_put(skb, last, len);
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	seen->pieces++;
	skb_add_rx_frag(last, skb_shinfo(last)->nr_frags, page, 0, len,
			T_LINE);
	if (last != skb) {
		skb->len += len;
		skb->data_len += len;
	}
	return page_address(page);
}

/* Return a bit for each octet behind the payload that has been written */
static u64 send_once(struct kunit *test, const struct shape *s, u32 trailer,
		     unsigned int payload, bool today, unsigned int icv,
		     u8 fill, struct seen *seen)
{
	unsigned int plen, len, i, front = xe_trailer_front(trailer);
	u8 *expected = kunit_kzalloc(test, T_MAX, GFP_KERNEL);
	u8 *got = kunit_kzalloc(test, T_MAX, GFP_KERNEL);
	struct sk_buff *skb, *clone = NULL;
	u64 written = 0;
	u8 *behind;

	KUNIT_ASSERT_NOT_NULL(test, expected);
	KUNIT_ASSERT_NOT_NULL(test, got);
	len = plaintext(expected, trailer, payload);
	skb = packet(test, s, expected + front, payload, T_HDR, 1);
	if (s->cloned) {
		clone = skb_clone(skb, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, clone);
	}

	memset(seen, 0, sizeof(*seen));
	plen = xe_trailer_len(trailer, payload, T_ALIGN);
	KUNIT_EXPECT_EQ(test, plen, tail_octets[trailer][payload % 4]);
	behind = today ? today_room(test, skb, plen + icv, seen) :
			 least_room(test, skb, plen + icv, seen);
	if (behind)
		memset(behind, fill, plen + icv);
	xe_trailer_build(trailer, __skb_push(skb, front), behind, plen,
			 IPPROTO_IPIP);
	for (i = 0; i < plen + icv; i++)
		if (behind[i] != fill)
			written |= BIT_ULL(i);

	/* What goes to the cipher is right, wherever it is, and so is the clone */
	KUNIT_EXPECT_EQ(test, skb->len, len + icv);
	KUNIT_EXPECT_EQ(test, skb_copy_bits(skb, 0, got, len), 0);
	KUNIT_EXPECT_EQ(test, memcmp(got, expected, len), 0);
	if (clone) {
		KUNIT_EXPECT_EQ(test, clone->len, payload);
		KUNIT_EXPECT_EQ(test, skb_copy_bits(clone, 0, got, payload), 0);
		KUNIT_EXPECT_EQ(test, memcmp(got, expected + front, payload), 0);
	}
	/* The same in both rounds: the layout does not depend on what is written */
	seen->lines = units(skb, front + T_HEADERS, front + payload,
			    BIT_ULL(plen) - 1, T_LINE);
	seen->pages = units(skb, front + T_HEADERS, front + payload,
			    BIT_ULL(plen) - 1, PAGE_SIZE);
	kfree_skb(clone);
	kfree_skb(skb);
	kunit_kfree(test, got);
	kunit_kfree(test, expected);
	return written;
}

/* With two fills, so that no written octet looks like one that was not */
static void send(struct kunit *test, const struct shape *s, u32 trailer,
		 unsigned int payload, bool today, unsigned int icv,
		 struct seen *seen)
{
	unsigned int plen = tail_octets[trailer][payload % 4];
	enum room room = icv ? (plen ? ROOM_BOTH : ROOM_ICV) :
			       (plen ? ROOM_TRAILER : ROOM_NONE);
	const struct cost *c = today ? &s->today[room] : &s->least[room];
	u64 written;

	written = send_once(test, s, trailer, payload, today, icv, 0x5a, seen);
	written |= send_once(test, s, trailer, payload, today, icv, 0xa5, seen);
	seen->written = hweight64(written);

	KUNIT_EXPECT_EQ_MSG(test, written, BIT_ULL(plen) - 1, "%s, trailer %u",
			    s->name, trailer);
	KUNIT_EXPECT_EQ_MSG(test, seen->heads, c->heads, "%s, trailer %u, icv %u",
			    s->name, trailer, icv);
	KUNIT_EXPECT_EQ_MSG(test, seen->copied, octets_of(c->copied, payload),
			    "%s, trailer %u, icv %u", s->name, trailer, icv);
	KUNIT_EXPECT_EQ_MSG(test, seen->pieces, c->pieces,
			    "%s, trailer %u, icv %u", s->name, trailer, icv);
	if (today)
		return;
	/* In a line of its own, and, where it did not fit, in another page */
	KUNIT_EXPECT_EQ_MSG(test, seen->lines, plen ? 1 : 0, "%s, trailer %u",
			    s->name, trailer);
	KUNIT_EXPECT_EQ_MSG(test, seen->pages, plen ? c->pieces : 0,
			    "%s, trailer %u", s->name, trailer);
}

/* A line of a table: of each figure those of end/front/omit */
struct row {
	char text[160];
	int len;
};

static void row_text(struct row *r, const char *text, int width)
{
	r->len += scnprintf(r->text + r->len, sizeof(r->text) - r->len, "%-*s",
			    width, text);
}

static void row_begin(struct row *r, const char *name)
{
	r->len = 0;
	row_text(r, name, 25);
}

static void row_figures(struct row *r, const struct seen *seen, size_t member,
			int width)
{
	unsigned int v[T_TRAILERS], i;
	char text[24];

	for (i = 0; i < T_TRAILERS; i++)
		v[i] = *(const unsigned int *)((const char *)&seen[i] + member);
	scnprintf(text, sizeof(text), "%u/%u/%u", v[0], v[1], v[2]);
	row_text(r, text, width);
}

static void row_costs(struct row *r, const struct seen *seen)
{
	row_figures(r, seen, offsetof(struct seen, heads), 6);
	row_figures(r, seen, offsetof(struct seen, copied), 15);
}

static void row_least(struct row *r, const struct seen *seen)
{
	row_text(r, "| ", 2);
	row_costs(r, seen);
	row_figures(r, seen, offsetof(struct seen, pieces), 6);
	row_figures(r, seen, offsetof(struct seen, lines), 6);
	row_figures(r, seen, offsetof(struct seen, pages), 6);
}

static void tail_sender(struct kunit *test)
{
	static const unsigned int payloads[] = { 1400, 1401, 1402, 1403 };
	struct seen today[T_TRAILERS], memory[T_TRAILERS], device[T_TRAILERS];
	const struct shape *s;
	struct row r;
	u32 trailer;
	int i, p;

	for (p = 0; p < ARRAY_SIZE(payloads); p++) {
		kunit_info(test, "sender, payload %u, end/front/omit",
			   payloads[p]);
		kunit_info(test, "%-25s%-29s| %-39s| %s", "", "today",
			   "least, ICV into memory", "least, ICV by the device");
		kunit_info(test,
			   "%-25sheads copied         written | heads copied         piece lines pages | heads copied         piece lines pages",
			   "");
		for (i = 0; i < ARRAY_SIZE(shapes); i++) {
			s = &shapes[i];
			for (trailer = 0; trailer < T_TRAILERS; trailer++) {
				send(test, s, trailer, payloads[p], true,
				     T_ICV, &today[trailer]);
				send(test, s, trailer, payloads[p], false,
				     T_ICV, &memory[trailer]);
				send(test, s, trailer, payloads[p], false, 0,
				     &device[trailer]);
			}
			row_begin(&r, s->name);
			row_costs(&r, today);
			row_figures(&r, today, offsetof(struct seen, written), 8);
			row_least(&r, memory);
			row_least(&r, device);
			kunit_info(test, "%s", r.text);
		}
	}
}

/* ----------------------------------------------------------------- receiver */

/* As xe_accept_trailer() does it. 0, or a negative errno */
static int find(const struct sk_buff *skb, u32 trailer, unsigned int at,
		unsigned int len, struct xe_inside *inside)
{
	u8 first[XE_TRAILER_LOOK] = {}, last[2];
	int err;

	if (trailer == XFRM_EXT_TRAILER_END)
		err = skb_copy_bits(skb, at + len - sizeof(last), last,
				    sizeof(last));
	else
		err = skb_copy_bits(skb, at, first,
				    min_t(unsigned int, len, sizeof(first)));
	if (err)
		return err;
	return xe_trailer_parse(trailer, first, last, len, inside) ? -EINVAL : 0;
}

/* Which octets decide: each is changed in turn, and something else comes out */
static bool decides(struct kunit *test, struct sk_buff *skb, u32 trailer,
		    unsigned int len, unsigned int at,
		    const struct xe_inside *right)
{
	struct xe_inside wrong = {};
	u8 octet, other;
	bool differs;

	KUNIT_ASSERT_EQ(test, skb_copy_bits(skb, at, &octet, 1), 0);
	other = octet ^ 0xff;
	KUNIT_ASSERT_EQ(test, skb_store_bits(skb, at, &other, 1), 0);
	differs = find(skb, trailer, T_HDR, len, &wrong) ||
		  wrong.next_header != right->next_header ||
		  wrong.at != right->at || wrong.len != right->len;
	KUNIT_ASSERT_EQ(test, skb_store_bits(skb, at, &octet, 1), 0);
	return differs;
}

static void look(struct kunit *test, struct sk_buff *skb, u32 trailer,
		 unsigned int len, unsigned int payload, struct seen *seen)
{
	unsigned int front = xe_trailer_front(trailer), at, behind;
	struct xe_inside inside = {};
	u64 tail = 0;

	KUNIT_EXPECT_EQ(test, find(skb, trailer, T_HDR, len, &inside), 0);
	KUNIT_EXPECT_EQ(test, inside.next_header, IPPROTO_IPIP);
	KUNIT_EXPECT_EQ(test, inside.at, front);
	KUNIT_EXPECT_EQ(test, inside.len, payload);
	behind = T_HDR + front + payload;
	for (at = 0; at < skb->len; at++) {
		if (!decides(test, skb, trailer, len, at, &inside))
			continue;
		if (at >= behind)
			tail |= BIT_ULL(at - behind);
		else
			seen->front++;
	}
	seen->tail = hweight64(tail);
	seen->lines = units(skb, T_HDR + front + T_HEADERS, behind, tail,
			    T_LINE);
	seen->pages = units(skb, T_HDR + front + T_HEADERS, behind, tail,
			    PAGE_SIZE);
}

static void receive(struct kunit *test, const struct shape *s, u32 trailer,
		    unsigned int payload, bool today, struct seen *seen)
{
	unsigned int front = xe_trailer_front(trailer), len;
	const struct cost *c = today ? &s->cow : &s->trim;
	u8 *octets = kunit_kzalloc(test, T_MAX, GFP_KERNEL);
	struct sk_buff *skb, *clone = NULL;
	struct heads old;

	KUNIT_ASSERT_NOT_NULL(test, octets);
	len = plaintext(octets + T_HDR, trailer, payload);
	/* The last page of EDGE begins with what is Next Header in "end" */
	skb = packet(test, s, octets, T_HDR + len + T_ICV, 0, T_ICV + 1);
	if (s->cloned) {
		clone = skb_clone(skb, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, clone);
	}

	memset(seen, 0, sizeof(*seen));
	if (today)
		cow(test, skb, 0, seen);
	look(test, skb, trailer, len, payload, seen);
	heads_of(skb, &old);
	KUNIT_EXPECT_EQ(test, pskb_trim(skb, T_HDR + front + payload), 0);
	heads_compare(&old, skb, seen);
	__skb_pull(skb, T_HDR + front);
	KUNIT_EXPECT_EQ(test, skb->len, payload);

	KUNIT_EXPECT_EQ_MSG(test, seen->heads, c->heads, "%s, trailer %u",
			    s->name, trailer);
	KUNIT_EXPECT_EQ_MSG(test, seen->copied,
			    octets_of(c->copied, T_HDR + len + T_ICV),
			    "%s, trailer %u", s->name, trailer);
	/* First four bits and a length, or Pad Length, and a Next Header */
	KUNIT_EXPECT_EQ(test, seen->front,
			trailer == XFRM_EXT_TRAILER_END ? 0 : 3);
	KUNIT_EXPECT_EQ(test, seen->tail,
			trailer == XFRM_EXT_TRAILER_END ? 2 : 0);
	if (!today) {
		KUNIT_EXPECT_EQ_MSG(test, seen->lines,
				    trailer == XFRM_EXT_TRAILER_END ?
				    s->lines : 0, "%s, trailer %u", s->name,
				    trailer);
		KUNIT_EXPECT_EQ_MSG(test, seen->pages,
				    trailer == XFRM_EXT_TRAILER_END ?
				    s->pages : 0, "%s, trailer %u", s->name,
				    trailer);
	}
	kfree_skb(clone);
	kfree_skb(skb);
	kunit_kfree(test, octets);
}

static void tail_receiver(struct kunit *test)
{
	static const unsigned int payloads[] = { 1401, 1402, 1403, 1400 };
	struct seen today[T_TRAILERS], least[T_TRAILERS];
	const struct shape *s;
	struct row r;
	u32 trailer;
	int i, p;

	kunit_info(test, "receiver, payload 1400, end/front/omit");
	kunit_info(test, "%-25s%-27s| %s", "", "today", "least");
	kunit_info(test,
		   "%-25sheads copied         read  | heads copied         front read  lines pages",
		   "");
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		s = &shapes[i];
		for (p = 0; p < ARRAY_SIZE(payloads); p++) {
			for (trailer = 0; trailer < T_TRAILERS; trailer++) {
				receive(test, s, trailer, payloads[p], true,
					&today[trailer]);
				receive(test, s, trailer, payloads[p], false,
					&least[trailer]);
			}
		}
		row_begin(&r, s->name);
		row_costs(&r, today);
		row_figures(&r, today, offsetof(struct seen, tail), 6);
		row_text(&r, "| ", 2);
		row_costs(&r, least);
		row_figures(&r, least, offsetof(struct seen, front), 6);
		row_figures(&r, least, offsetof(struct seen, tail), 6);
		row_figures(&r, least, offsetof(struct seen, lines), 6);
		row_figures(&r, least, offsetof(struct seen, pages), 6);
		kunit_info(test, "%s", r.text);
	}
}

/* A packet of 40 octets and its trailer are in one line with the ESP header */
static void tail_short(struct kunit *test)
{
	static const struct shape s = { .tailroom = T_MANY };
	struct seen seen;
	u32 trailer;

	for (trailer = 0; trailer < T_TRAILERS; trailer++)
		receive(test, &s, trailer, 40, false, &seen);
}

/* Of a packet that is still coming in, the beginning, and how long it will be */
static void tail_early(struct kunit *test)
{
	static const struct shape s = { .tailroom = T_MANY };
	u8 *octets = kunit_kzalloc(test, T_MAX, GFP_KERNEL);
	struct xe_inside inside;
	struct sk_buff *skb;
	unsigned int len;
	u32 trailer;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, octets);
	for (trailer = 0; trailer < T_TRAILERS; trailer++) {
		len = plaintext(octets + T_HDR, trailer, 1401);
		skb = packet(test, &s, octets, T_LINE, 0, 0);
		inside.len = 0;
		err = find(skb, trailer, T_HDR, len, &inside);
		if (trailer == XFRM_EXT_TRAILER_END) {
			KUNIT_EXPECT_EQ(test, err, -EFAULT);
		} else {
			KUNIT_EXPECT_EQ(test, err, 0);
			KUNIT_EXPECT_EQ(test, inside.len, 1401);
			KUNIT_EXPECT_EQ(test, inside.next_header, IPPROTO_IPIP);
		}
		kfree_skb(skb);
	}
}

/* Octets on the wire beside payload and ICV, for any lengths at all */
static void tail_wire(struct kunit *test)
{
	/* Of four payloads, one of each length mod 4; of sixteen */
	static const unsigned int of_4[T_TRAILERS] = { 14, 22, 6 };
	static const unsigned int of_16[T_TRAILERS] = { 152, 184, 120 };
	unsigned int payload, words, blocks;
	u32 trailer;

	for (trailer = 0; trailer < T_TRAILERS; trailer++) {
		words = 0;
		blocks = 0;
		for (payload = 1400; payload < 1404; payload++)
			words += xe_trailer_front(trailer) +
				 xe_trailer_len(trailer, payload, 4);
		for (payload = 1400; payload < 1416; payload++)
			blocks += xe_trailer_front(trailer) +
				  xe_trailer_len(trailer, payload, 16);
		KUNIT_EXPECT_EQ(test, words, of_4[trailer]);
		KUNIT_EXPECT_EQ(test, blocks, of_16[trailer]);
	}
}

/*
 * Is Next Header in a line that has no octet of the payload, so that nobody who
 * reads the payload to its end comes by? Of all places a payload can end at
 */
static void tail_alone(struct kunit *test)
{
	unsigned int payload, at, end, alone = 0, behind;

	for (payload = 1400; payload < 1404; payload++)
		for (at = 0; at < T_LINE; at++) {
			end = at + payload;
			behind = xe_trailer_len(XFRM_EXT_TRAILER_END, payload,
						T_ALIGN);
			alone += (end - 1) / T_LINE !=
				 (end + behind - 1) / T_LINE;
		}
	/* 4, 3, 2 and 5 places out of 64 each */
	KUNIT_EXPECT_EQ(test, alone, 14);
}

static struct kunit_case tail_cases[] = {
	KUNIT_CASE(tail_sender),
	KUNIT_CASE(tail_receiver),
	KUNIT_CASE(tail_short),
	KUNIT_CASE(tail_early),
	KUNIT_CASE(tail_wire),
	KUNIT_CASE(tail_alone),
	{}
};

static struct kunit_suite tail_suite = {
	.name = "xfrm_ext_tail",
	.test_cases = tail_cases,
};

kunit_test_suite(tail_suite);
