// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzers of beet.c's suite: what is well-formed, then changed here and
 * there. They make the same inputs every time, of a seed.
 */
#include <linux/sched.h>

#include "beet.h"
#include "suites.h"

static u32 any(struct beet_bench *b, u32 below)
{
	return prandom_u32_state(&b->rnd) % below;
}

static void any_octets(struct beet_bench *b, u8 *at, unsigned int len)
{
	prandom_bytes_state(&b->rnd, at, len);
}

/* Options that parse */
static void seed_options(struct beet_bench *b, u8 *at, unsigned int len)
{
	unsigned int n;

	while (len) {
		u32 kind = any(b, 16);

		if (kind == 0) {
			any_octets(b, at, len);
			at[0] = 0;
			return;
		}
		if (kind < 6 || len < 2) {
			n = 1;
			at[0] = 1;
		} else {
			n = 2 + any(b, min(len - 1, 12u));
			any_octets(b, at, n);
			at[0] = 2 + any(b, 254);
			at[1] = n;
		}
		at += n;
		len -= n;
	}
}

/* A pseudo header of any shape, and some payload; or something else */
static void seed_input(struct beet_bench *b)
{
	const struct shape *s = &b->shapes[any(b, SHAPES)];
	unsigned int end = 8 * s->header_len + 8;
	u8 *at = b->input;

	any_octets(b, at, INPUT_MAX);
	if (any(b, 16) == 0) {
		/* What stands in this place without one: an inner packet */
		at[0] = any(b, 2) ? 0x45 + any(b, 11) : 0x60;
		b->len = any(b, INPUT_MAX + 1);
		return;
	}
	if (at[0] == PROTO_BEETPH)
		at[0] = 0;
	at[1] = s->header_len;
	at[2] = s->pad_len;
	if (s->f != F_OPTIONS)
		at[3] = s->f << 6 | (at[3] & 0x3f);
	if (s->f != F_OPTIONS && !(at[4] & 0x3f) && !at[5])
		at[4] = 0x20;
	seed_options(b, at + end - s->options, s->options);
	b->len = end + any(b, INPUT_MAX - end + 1);
}

/* Up to three changes, most of them where it hurts */
static void mutate(struct beet_bench *b, unsigned int max, unsigned int hot)
{
	static const u8 nasty[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 40, 44, 94, 0x40, 0x80, 0xc0, 255
	};
	u32 i, rounds = any(b, 4);

	for (i = 0; i < rounds; i++) {
		unsigned int len = b->len, at, n, from;

		if (!len)
			return;
		at = any(b, any(b, 2) ? min(len, hot) : len);
		switch (any(b, 8)) {
		case 0 ... 2:
			b->input[at] ^= 1 << any(b, 8);
			break;
		case 3 ... 4:
			b->input[at] = nasty[any(b, ARRAY_SIZE(nasty))];
			break;
		case 5:		/* cut, by little or by much */
			n = any(b, any(b, 2) ? min(len, 9u) : len) + 1;
			b->len -= n;
			break;
		case 6:		/* a piece of the one before */
			if (!b->last_len)
				break;
			from = any(b, b->last_len);
			n = 1 + any(b, min(b->last_len - from, max - at));
			memcpy(b->input + at, b->last + from, n);
			b->len = max(len, at + n);
			break;
		case 7:		/* take a piece out */
			n = 1 + any(b, min(len - at, 8u));
			memmove(b->input + at, b->input + at + n, len - at - n);
			b->len -= n;
			break;
		}
	}
}

/* The input to where nothing stands behind it */
static const u8 *input_ready(struct beet_bench *b)
{
	u8 *at = b->exact[b->len];

	memcpy(at, b->input, b->len);
	memcpy(b->last, b->input, b->len);
	b->last_len = b->len;
	return at;
}

/* What was taken, written again: the same but for what is not looked at */
static const char *rebuild(struct beet_bench *b, const u8 *at,
			   bool fragments, const struct xe_beet_ph *ph)
{
	unsigned int len = xe_beet_ph_len(ph), i;
	unsigned int fixed = ph->fragment ? 6 : 4;
	unsigned int options = len - ph->options;
	u8 copy[XE_BEET_PH_MAX], *again;
	struct xe_beet_ph got;

	/* The input may stand in the memory of just this length */
	memcpy(copy, at, len);
	again = b->exact[len];
	memset(again, 0xa5, options);
	memcpy(again + options, copy + options, ph->options);
	xe_beet_ph_build(again, ph);
	copy[3] &= ph->fragment ? 0xc0 : 0;
	for (i = fixed; i < options; i++)
		copy[i] = ph->fragment ? 0 : 1;
	if (memcmp(again, copy, len))
		return "rebuilt another";
	if (xe_beet_ph_parse(again, len, fragments, &got) != XE_BEET_OK ||
	    !beet_ph_same(&got, ph))
		return "rebuilt, not read back";
	return NULL;
}

/* A fuzzer that makes nothing good, or nothing else, tests nothing */
static void fuzz_done(struct kunit *test, const char *what, u64 inputs,
		      u64 taken)
{
	kunit_info(test, "seed %#lx, %llu inputs, %llu taken%s\n",
		   xe_kunit_seed, inputs, taken, what);
	KUNIT_EXPECT_GT(test, taken, inputs / 20);
	KUNIT_EXPECT_LT(test, taken, inputs - inputs / 20);
}

void beet_fuzz(struct kunit *test)
{
	struct beet_bench *b = test->priv;
	u64 i, goal = xe_kunit_ops / 10, taken[2] = {}, fragments = 0;
	u64 shapes[2] = {};
	enum xe_beet_verdict verdict;
	struct xe_beet_ph got;
	const char *mistake;
	const u8 *at;
	int frag;

	prandom_seed_state(&b->rnd, xe_kunit_seed);
	for (i = 0; i < goal; i++) {
		seed_input(b);
		mutate(b, INPUT_MAX, 8);
		at = input_ready(b);
		for (frag = 0; frag <= 1; frag++) {
			mistake = beet_judge(b, at, b->len, frag, &got,
					     &verdict);
			fragments += verdict == XE_BEET_FRAGMENT;
			if (!mistake && verdict == XE_BEET_OK) {
				taken[frag]++;
				shapes[frag] |= 1ULL << (got.options / 4 +
							 16 * got.fragment);
				mistake = rebuild(b, at, frag, &got);
				memcpy(b->exact[b->len], b->input, b->len);
			}
			if (mistake) {
				KUNIT_FAIL(test,
					   "input %llu, fragments %d, %s: %*ph",
					   i, frag, mistake, (int)b->len,
					   b->input);
				return;
			}
		}
		if (i % 1024 == 0)
			cond_resched();
	}
	fuzz_done(test, " with fragments", goal, taken[1]);
	fuzz_done(test, " without", goal, taken[0]);
	kunit_info(test, "%llu refused as fragments\n", fragments);
	KUNIT_EXPECT_GT(test, fragments, goal / 20);
	/* Each shape, changed or not, has got through */
	KUNIT_EXPECT_EQ(test, shapes[0], 0x7fe);
	KUNIT_EXPECT_EQ(test, shapes[1], 0x7ff07fe);
}

/* All strings of up to five octets that mean something to options */
void beet_options_every(struct kunit *test)
{
	static const u8 alphabet[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 0x83, 0x94, 255
	};
	struct beet_bench *b = test->priv;
	unsigned int len, count = 1, i, n, v;
	u64 good = 0;

	for (len = 0; len <= 5; len++) {
		u8 *at = b->exact[len];

		for (i = 0; i < count; i++) {
			for (n = 0, v = i; n < len; n++) {
				at[n] = alphabet[v % ARRAY_SIZE(alphabet)];
				v /= ARRAY_SIZE(alphabet);
			}
			good += beet_oracle_options(at, len);
			if (xe_beet_options_ok(at, len) !=
			    beet_oracle_options(at, len)) {
				KUNIT_FAIL(test, "%*ph", (int)len, at);
				return;
			}
		}
		count *= ARRAY_SIZE(alphabet);
		cond_resched();
	}
	kunit_info(test, "%llu good\n", good);
	KUNIT_EXPECT_GT(test, good, count / 100);
}

void beet_options_fuzz(struct kunit *test)
{
	struct beet_bench *b = test->priv;
	u64 i, goal = xe_kunit_ops / 10, good = 0;
	const u8 *at;
	bool ok;

	prandom_seed_state(&b->rnd, xe_kunit_seed);
	for (i = 0; i < goal; i++) {
		b->len = any(b, OPTIONS_MAX + 1);
		seed_options(b, b->input, b->len);
		mutate(b, OPTIONS_MAX, OPTIONS_MAX);
		at = input_ready(b);
		ok = xe_beet_options_ok(at, b->len);
		good += ok;
		if (ok != beet_oracle_options(at, b->len)) {
			KUNIT_FAIL(test, "input %llu, %d: %*ph", i, ok,
				   (int)b->len, at);
			return;
		}
		if (i % 1024 == 0)
			cond_resched();
	}
	fuzz_done(test, "", goal, good);
}
