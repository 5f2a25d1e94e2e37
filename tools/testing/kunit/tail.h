/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tail.c expects, worked out by hand from RFC 4303, wire-formats.rst, and
 * what skb_cow_data(), pskb_expand_head() and pskb_trim() are known to do.
 */
#define T_HDR		16	/* ESP header and IV */
#define T_ICV		16
#define T_ALIGN		4
#define T_HEADERS	40	/* of the inner packet, that somebody looks at */
#define T_HEAD		200	/* linear part of a packet in fragments */
#define T_PART		600	/* its first fragment */
#define T_LINE		64
#define T_MAX		2048
#define T_TRAILERS	3
#define T_MANY		(-1)

/* Octets behind the payload, padding included, by payload length mod 4 */
static const u8 tail_octets[T_TRAILERS][4] = {
	[XFRM_EXT_TRAILER_END]   = { 4, 3, 2, 5 },
	[XFRM_EXT_TRAILER_FRONT] = { 0, 3, 2, 1 },
	[XFRM_EXT_TRAILER_OMIT]  = { 0, 3, 2, 1 },
};

/* How much room a sender wants behind the payload */
enum room {
	ROOM_NONE,	/* the device appends the ICV, and there is no trailer */
	ROOM_TRAILER,	/* the device appends the ICV */
	ROOM_ICV,	/* there is no trailer */
	ROOM_BOTH,
	ROOM_KINDS
};

enum part { NOTHING, ALL, TWICE, HEAD, LAST };

/* New heads, what is copied, and new page fragments for the tail */
struct cost {
	u8 heads;
	enum part copied;
	u8 pieces;
};

enum kind { LINEAR, FRAGS, EDGE, LIST };

static const struct shape {
	const char *name;
	enum kind kind;
	int tailroom;
	bool cloned;
	/* Sender; today there is always an ICV to make room for */
	struct cost today[ROOM_KINDS], least[ROOM_KINDS];
	/* Receiver: skb_cow_data() today, pskb_trim() at least */
	struct cost cow, trim;
	/* Where the last two octets before the ICV are, that "end" looks at */
	u8 lines, pages;
} shapes[] = {
	{
		.name = "linear, tailroom", .kind = LINEAR, .tailroom = T_MANY,
		.lines = 1,
	}, {
		.name = "linear, room for the ICV", .kind = LINEAR,
		.tailroom = T_ICV,
		.today = { [ROOM_BOTH] = { 1, ALL } },
		.least = { [ROOM_BOTH] = { .pieces = 1 } },
		.lines = 1,
	}, {
		.name = "linear, no tailroom", .kind = LINEAR,
		.today = { [ROOM_ICV] = { 1, ALL }, [ROOM_BOTH] = { 1, ALL } },
		.least = { {}, { .pieces = 1 }, { .pieces = 1 },
			   { .pieces = 1 } },
		.lines = 1,
	}, {
		.name = "head and pages", .kind = FRAGS,
		.today = { [ROOM_ICV] = { 1, ALL }, [ROOM_BOTH] = { 1, ALL } },
		.least = { {}, { .pieces = 1 }, { .pieces = 1 },
			   { .pieces = 1 } },
		.cow = { 1, ALL },
		.lines = 1, .pages = 1,
	}, {
		.name = "one octet over", .kind = EDGE,
		.today = { [ROOM_ICV] = { 1, ALL }, [ROOM_BOTH] = { 1, ALL } },
		.least = { {}, { .pieces = 1 }, { .pieces = 1 },
			   { .pieces = 1 } },
		.cow = { 1, ALL },
		.lines = 2, .pages = 2,
	}, {
		.name = "frag_list", .kind = LIST,
		.today = { [ROOM_ICV] = { 1, LAST }, [ROOM_BOTH] = { 1, LAST } },
		.least = { {}, { .pieces = 1 }, { .pieces = 1 },
			   { .pieces = 1 } },
		.lines = 1, .pages = 1,
	}, {
		.name = "cloned, tailroom", .kind = LINEAR, .tailroom = T_MANY,
		.cloned = true,
		.today = { [ROOM_ICV] = { 1, ALL }, [ROOM_BOTH] = { 1, ALL } },
		.least = { {}, { 1, ALL }, { 1, ALL }, { 1, ALL } },
		.cow = { 1, ALL },
		.lines = 1,
	}, {
		/* First for a copy of its own, then for the room */
		.name = "cloned, no tailroom", .kind = LINEAR, .cloned = true,
		.today = { [ROOM_ICV] = { 2, TWICE }, [ROOM_BOTH] = { 2, TWICE } },
		.least = { {}, { 1, ALL }, { 1, ALL }, { 1, ALL } },
		.cow = { 1, ALL },
		.lines = 1,
	}, {
		/* Clones share the list of fragments, which is in the head */
		.name = "cloned, head and pages", .kind = FRAGS, .cloned = true,
		.today = { [ROOM_ICV] = { 1, ALL }, [ROOM_BOTH] = { 1, ALL } },
		.least = { {}, { 1, HEAD, 1 }, { 1, HEAD, 1 }, { 1, HEAD, 1 } },
		.cow = { 1, ALL }, .trim = { 1, HEAD },
		.lines = 1, .pages = 1,
	},
};
