/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * xfrm_ext: extensions of ordinary xfrm SAs, over generic netlink.
 *
 * The family is described, attribute by attribute and command by command, in
 * Documentation/netlink/specs/xfrm_ext.yaml; scripts/check-uapi.py compares
 * the two.
 *
 * How an extended SA is made:
 *
 *   1. XFRM_EXT_CMD_ANNOUNCE: what the SA shall be. Validated at once; answers
 *      with an error and a text that names the attribute, or with 0.
 *   2. XFRM_MSG_NEWSA (or UPDSA of an allocated SPI) as always, with the bit
 *      XFRM_EXT_SA_XFLAG in XFRMA_SA_EXTRA_FLAGS. The SA is claimed before
 *      anyone can see it: there is no moment at which it is a plain SA. If the
 *      announcement does not fit the SA, or is gone, NEWSA fails with a text.
 *   3. XFRM_EXT_CMD_GET: the SA's state must be XFRM_EXT_STATE_READY, or
 *      XFRM_EXT_STATE_HELD if the announcement said so. Anything else: read
 *      XFRM_EXT_A_REASON and delete the SA.
 *
 * An announcement that no SA has claimed ages out (XFRM_EXT_A_CAP_ANNOUNCE_TTL
 * seconds) and can be taken back with XFRM_EXT_CMD_WITHDRAW.
 *
 * All integers are in host byte order except where said otherwise.
 */
#ifndef _UAPI_LINUX_XFRM_EXT_H
#define _UAPI_LINUX_XFRM_EXT_H

#define XFRM_EXT_GENL_NAME		"xfrm_ext"
#define XFRM_EXT_GENL_VERSION		1
#define XFRM_EXT_MCGRP_EVENTS		"events"
#define XFRM_EXT_MCGRP_ECHO		"echo"

/* XFRMA_SA_EXTRA_FLAGS: this SA is extended; plain ESP must never run it. */
#define XFRM_EXT_SA_XFLAG		0x80000000u

#define XFRM_EXT_SUBSPACES_MAX		65536
/* The same of XFRM_EXT_FORMAT_EESP, where each has a transform of its own */
#define XFRM_EXT_SUB_SAS_MAX		1024
/* Octets, a multiple of 4 */
#define XFRM_EXT_CRYPT_OFFSET_MAX	252
/* Octets of an echo's data that its sender chooses, and is told of the reply */
#define XFRM_EXT_ECHO_DATA_MAX		64
#define XFRM_EXT_WINDOW_MIN		64
#define XFRM_EXT_WINDOW_MAX		65536
#define XFRM_EXT_SN_MAX			0xffffffffffff

/* Defaults */
#define XFRM_EXT_WINDOW_DEFAULT		1024
#define XFRM_EXT_TX_WARN_DEFAULT	0xf00000000000
#define XFRM_EXT_MEMORY_MAX_DEFAULT	67108864
#define XFRM_EXT_GAP_DEFAULT		4294967296
/* The same with format esp; the first without ESN only */
#define XFRM_EXT_TX_WARN_DEFAULT_ESP	0xf0000000
#define XFRM_EXT_GAP_DEFAULT_ESP	268435456

/* Layout on the wire */
enum xfrm_ext_format {
	XFRM_EXT_FORMAT_ESP64,		/* SPI 32, Subspace ID 16, SN 48 */
	XFRM_EXT_FORMAT_ESP,		/* RFC 4303: SPI 32, SN 32; one counter */
	XFRM_EXT_FORMAT_EESP,		/* draft-ietf-ipsecme-eesp, IP protocol of its own */
};

/* Where Pad Length and Next Header stand */
enum xfrm_ext_trailer {
	XFRM_EXT_TRAILER_END,		/* RFC 4303 */
	XFRM_EXT_TRAILER_FRONT,		/* in a word before the payload */
	XFRM_EXT_TRAILER_OMIT,		/* nowhere; tunnel mode only */
};

enum xfrm_ext_iv {
	XFRM_EXT_IV_EXPLICIT,		/* on the wire, as long as the cipher's is */
	XFRM_EXT_IV_IMPLICIT,		/* RFC 8750: made from the number */
};

/*
 * Which transmit subspace a packet takes: tx-base + class * select-cpus +
 * CPU number % select-cpus; this is what makes the class.
 */
enum xfrm_ext_select {
	XFRM_EXT_SELECT_CPU,		/* nothing: all are of class 0 */
	XFRM_EXT_SELECT_DSCP,		/* XFRM_EXT_A_SELECT_DSCP of the inner DSCP */
	XFRM_EXT_SELECT_MARK,		/* (mark & mask) >> shift, modulo classes */
	XFRM_EXT_SELECT_FLOW,		/* hash of the inner flow */
};

enum xfrm_ext_state {
	XFRM_EXT_STATE_CLAIMED,		/* not in use yet: drops and counts */
	XFRM_EXT_STATE_READY,
	XFRM_EXT_STATE_FAILED,		/* drops and counts; see the reason */
	XFRM_EXT_STATE_HELD,		/* drops and counts until released */
};

/* XFRM_EXT_A_FLAGS */
enum xfrm_ext_sa_flags {
	XFRM_EXT_SA_F_NO_FASTPATH = 1 << 0,	/* only the kernel's own path */
	XFRM_EXT_SA_F_NO_REPLAY_PROTECTION = 1 << 1,	/* no windows */
	XFRM_EXT_SA_F_HOLD = 1 << 2,		/* starts in XFRM_EXT_STATE_HELD */
	XFRM_EXT_SA_F_BEET_FRAG = 1 << 3,		/* carry inner IPv4 fragments */
	XFRM_EXT_SA_F_ESN = 1 << 4,		/* XFRM_EXT_FORMAT_ESP, 64-bit numbers */
	XFRM_EXT_SA_F_SPREAD = 1 << 5,		/* each subspace a flow of its own outside */
	XFRM_EXT_SA_F_ECHO = 1 << 6,		/* requests of ESP Echo are answered */
};

/* XFRM_EXT_A_RULE_FLAGS */
enum xfrm_ext_rule_flags {
	XFRM_EXT_RULE_F_OR_PLAIN = 1 << 0,	/* plain, if it cannot be extended */
	XFRM_EXT_RULE_F_PLAIN = 1 << 1,		/* plain; rules behind do not count */
};

enum xfrm_ext_cmd {
	XFRM_EXT_CMD_UNSPEC,
	XFRM_EXT_CMD_CAPS,		/* do */
	XFRM_EXT_CMD_ANNOUNCE,		/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_WITHDRAW,		/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_GET,		/* do and dump, CAP_NET_ADMIN */
	XFRM_EXT_CMD_SET,		/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_DUMMY,		/* do, CAP_NET_ADMIN: send a packet of nothing */

	/* Events; each tells the SA and the subspace */
	XFRM_EXT_CMD_FIRST_USE,		/* event, first packet of a subspace */
	XFRM_EXT_CMD_NEAR_END,		/* event, it has passed tx-warn */
	XFRM_EXT_CMD_EXHAUSTED,		/* event, it has sent its last number */
	XFRM_EXT_CMD_WINDOW_DROPS,	/* event, many replays or too old */
	XFRM_EXT_CMD_OUT_OF_RANGE,	/* event, Subspace ID >= rx-subspaces */

	/* Rules: SAs that nobody announces */
	XFRM_EXT_CMD_RULE_ADD,		/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_RULE_DEL,		/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_RULE_FLUSH,	/* do, CAP_NET_ADMIN */
	XFRM_EXT_CMD_RULE_GET,		/* dump, CAP_NET_ADMIN */
	XFRM_EXT_CMD_RULE_REFUSED,	/* event, an SA could not be what a rule says */

	XFRM_EXT_CMD_NONE_AUTHENTIC,	/* event, nothing but bad ICVs so far */
	XFRM_EXT_CMD_TOTALS,		/* do, CAP_NET_ADMIN: of the namespace */

	XFRM_EXT_CMD_ECHO,		/* do, CAP_NET_ADMIN: send a request of ESP Echo */
	XFRM_EXT_CMD_ECHO_REPLY,	/* event, to the group echo: a reply has come */
	XFRM_EXT_CMD_REASSEMBLED,	/* event, the first packet that came as fragments */
	XFRM_EXT_CMD_CRYPT_OFFSET,	/* event, authentic, and more in clear than accepted */

	__XFRM_EXT_CMD_MAX
};

#define XFRM_EXT_CMD_MAX (__XFRM_EXT_CMD_MAX - 1)

enum xfrm_ext_attr {
	XFRM_EXT_A_UNSPEC,
	XFRM_EXT_A_PAD,

	/* Which SA: what the kernel's own lookup takes */
	XFRM_EXT_A_FAMILY,		/* u16, AF_INET or AF_INET6, outer */
	XFRM_EXT_A_DADDR,		/* 4 or 16 octets */
	XFRM_EXT_A_SPI,			/* u32, network byte order */
	XFRM_EXT_A_MARK,		/* u32, default 0 */
	XFRM_EXT_A_MARK_MASK,		/* u32, default 0 */

	/* What it is */
	XFRM_EXT_A_FORMAT,		/* u32, enum xfrm_ext_format */
	XFRM_EXT_A_TRAILER,		/* u32, enum xfrm_ext_trailer */
	XFRM_EXT_A_IV,			/* u32, enum xfrm_ext_iv */
	XFRM_EXT_A_TX_SUBSPACES,	/* u32, absent: the SA cannot send */
	XFRM_EXT_A_TX_BASE,		/* u32, the first Subspace ID of these */
	XFRM_EXT_A_SELECT,		/* u32, enum xfrm_ext_select */
	XFRM_EXT_A_SELECT_CPUS,		/* u32, subspaces of each class */
	XFRM_EXT_A_SELECT_DSCP,		/* binary, 64 u16: class of each code point */
	XFRM_EXT_A_SELECT_MASK,		/* u32 */
	XFRM_EXT_A_SELECT_SHIFT,	/* u32, bits to the right */
	XFRM_EXT_A_TX_START,		/* u64, first number of each subspace */
	XFRM_EXT_A_TX_WARN,		/* u64, number at which the end is near */
	XFRM_EXT_A_RX_SUBSPACES,	/* u32, absent: it cannot receive */
	XFRM_EXT_A_WINDOW,		/* u32, packets, power of two */
	XFRM_EXT_A_MEMORY_MAX,		/* u64, octets the subspaces may take */
	XFRM_EXT_A_FLAGS,		/* u32, enum xfrm_ext_sa_flags */

	/* How it fares */
	XFRM_EXT_A_STATE,		/* u32, enum xfrm_ext_state */
	XFRM_EXT_A_REASON,		/* string, with STATE_FAILED */
	XFRM_EXT_A_STATS,		/* nest, enum xfrm_ext_stat */
	XFRM_EXT_A_TX_SUBSPACE,		/* nest, many, enum xfrm_ext_subspace */
	XFRM_EXT_A_RX_SUBSPACE,		/* nest, many, enum xfrm_ext_subspace */
	XFRM_EXT_A_MEMORY,		/* u64, octets the subspaces take */
	XFRM_EXT_A_OUT_OF_RANGE,	/* u32, first such ID, not authenticated */

	/* XFRM_EXT_CMD_SET */
	XFRM_EXT_A_GAP,			/* u64, numbers to skip when sending */
	XFRM_EXT_A_RELEASE,		/* flag, XFRM_EXT_STATE_HELD ends */

	/* XFRM_EXT_CMD_DUMMY */
	XFRM_EXT_A_DUMMY_LEN,		/* u32, octets of nothing, default 0 */
	XFRM_EXT_A_DUMMY_SUBSPACE,	/* u32, ID; absent: class 0's of the CPU */

	/* What this module and kernel can do */
	XFRM_EXT_A_CAP_FORMATS,		/* u32, bit per enum xfrm_ext_format */
	XFRM_EXT_A_CAP_TRAILERS,	/* u32, bit per enum xfrm_ext_trailer */
	XFRM_EXT_A_CAP_IVS,		/* u32, bit per enum xfrm_ext_iv */
	XFRM_EXT_A_CAP_SELECTS,		/* u32, bit per enum xfrm_ext_select */
	XFRM_EXT_A_CAP_MODES,		/* u32, bit per XFRM_MODE_ */
	XFRM_EXT_A_CAP_FLAGS,		/* u32, enum xfrm_ext_sa_flags */
	XFRM_EXT_A_CAP_SUBSPACES_MAX,	/* u32 */
	XFRM_EXT_A_CAP_WINDOW_MIN,	/* u32 */
	XFRM_EXT_A_CAP_WINDOW_MAX,	/* u32 */
	XFRM_EXT_A_CAP_ALGORITHM,	/* string, many: names for NEWSA */
	XFRM_EXT_A_CAP_ANNOUNCE_TTL,	/* u32, seconds */
	XFRM_EXT_A_CAP_NETNS_MEMORY,	/* u64, octets that all SAs take */
	XFRM_EXT_A_CAP_NETNS_MEMORY_MAX, /* u64, octets that they may take */

	/*
	 * Rules. What an SA must be like for one: these, and family, mark and
	 * mark-mask; what is absent, matches all
	 */
	XFRM_EXT_A_RULE_PREF,		/* u32, place in the order; also of an SA */
	XFRM_EXT_A_RULE_FLAGS,		/* u32, enum xfrm_ext_rule_flags */
	XFRM_EXT_A_RULE_REQID,		/* u32 */
	XFRM_EXT_A_RULE_IF_ID,		/* u32 */
	XFRM_EXT_A_RULE_SRC,		/* 4 or 16 octets, outer source address */
	XFRM_EXT_A_RULE_SRC_LEN,	/* u32, bits of it; absent: all */
	XFRM_EXT_A_RULE_DST,		/* 4 or 16 octets, outer destination */
	XFRM_EXT_A_RULE_DST_LEN,	/* u32 */
	XFRM_EXT_A_RULE_HITS,		/* u64, SAs made extended ones */
	XFRM_EXT_A_RULE_REFUSED,	/* u64, SAs refused */
	XFRM_EXT_A_RULE_PLAIN,		/* u64, SAs left plain */

	XFRM_EXT_A_UNAUTHENTIC,		/* u64, packets with bad ICVs */
	XFRM_EXT_A_CAP_RULES_MAX,	/* u32, rules of a namespace */
	XFRM_EXT_A_CAP_NETNS_KEYS,	/* u32, keys remembered that no SA has */
	XFRM_EXT_A_CAP_NETNS_KEYS_MEMORY, /* u64, octets that these take */
	XFRM_EXT_A_SAS,			/* u32, extended SAs that there are */

	/* XFRM_EXT_FORMAT_EESP; what it is, of an SA and of a rule */
	XFRM_EXT_A_SUB_KEY,		/* u32, bits of the keys that its Sub SAs have */
	XFRM_EXT_A_TX_CRYPT_OFFSET,	/* u32, octets sent in clear; absent: none */
	XFRM_EXT_A_RX_CRYPT_OFFSET,	/* u32, the most that is accepted; absent: none */

	XFRM_EXT_A_CAP_EESP_PROTOCOL,	/* u32, IP protocol number */
	XFRM_EXT_A_CAP_SUB_SAS_MAX,	/* u32 */

	/* XFRM_EXT_CMD_ECHO, XFRM_EXT_CMD_ECHO_REPLY */
	XFRM_EXT_A_ECHO_ID,		/* u16, Identifier, default 0 */
	XFRM_EXT_A_ECHO_SEQ,		/* u16, Sequence, default 0 */
	XFRM_EXT_A_ECHO_REPLY_SPI,	/* u32, network byte order, absent: none is wanted */
	XFRM_EXT_A_ECHO_SUBSPACE,	/* u32, ID; absent: class 0's of the CPU */
	XFRM_EXT_A_ECHO_LEN,		/* u32, octets of data; absent: as there are of the next */
	XFRM_EXT_A_ECHO_DATA,		/* binary, the first of them; zeros follow */

	/* Packets that came as fragments of the outer packet */
	XFRM_EXT_A_REASSEMBLED,		/* u64, packets; absent: none */
	XFRM_EXT_A_FRAGMENT_MAX,	/* u32, octets of the largest, with its IP header */

	/* XFRM_EXT_CMD_CRYPT_OFFSET */
	XFRM_EXT_A_EXPOSED,		/* u32, octets that were in clear */

	__XFRM_EXT_A_MAX
};

#define XFRM_EXT_A_MAX (__XFRM_EXT_A_MAX - 1)

/* XFRM_EXT_A_TX_SUBSPACE, XFRM_EXT_A_RX_SUBSPACE */
enum xfrm_ext_subspace {
	XFRM_EXT_SUBSPACE_UNSPEC,
	XFRM_EXT_SUBSPACE_PAD,
	XFRM_EXT_SUBSPACE_ID,		/* u32, the Subspace ID */
	XFRM_EXT_SUBSPACE_HIGHEST,	/* u64, highest number sent/accepted */
	XFRM_EXT_SUBSPACE_PACKETS,	/* u64, receive: accepted */
	XFRM_EXT_SUBSPACE_REPLAYS,	/* u64, receive: seen before */
	XFRM_EXT_SUBSPACE_TOO_OLD,	/* u64, receive: left of the window */
	XFRM_EXT_SUBSPACE_BACKTRACK,	/* u64, receive: deepest accepted */

	__XFRM_EXT_SUBSPACE_MAX
};

#define XFRM_EXT_SUBSPACE_MAX (__XFRM_EXT_SUBSPACE_MAX - 1)

/*
 * XFRM_EXT_A_STATS: one u64 each. Every packet that an extended SA drops adds
 * one to exactly one of these. Documentation/counters.rst says what each means
 * and what to do about it.
 */
enum xfrm_ext_stat {
	XFRM_EXT_STAT_UNSPEC,
	XFRM_EXT_STAT_PAD,
	XFRM_EXT_STAT_TX_PACKETS,
	XFRM_EXT_STAT_TX_BYTES,
	XFRM_EXT_STAT_RX_PACKETS,
	XFRM_EXT_STAT_RX_BYTES,

	XFRM_EXT_STAT_TX_NOT_READY,	/* SA claimed, held, failed or not valid */
	XFRM_EXT_STAT_TX_NO_SUBSPACES,	/* SA made for receiving only */
	XFRM_EXT_STAT_TX_EXPIRED,	/* hard limit of the SA reached */
	XFRM_EXT_STAT_TX_EXHAUSTED,	/* subspace sent its last number */
	XFRM_EXT_STAT_TX_INNER,		/* not what this mode can carry */
	XFRM_EXT_STAT_TX_FRAGMENT,	/* a fragment, which it must not carry */
	XFRM_EXT_STAT_TX_TOO_BIG,	/* longer than an IP packet can be */
	XFRM_EXT_STAT_TX_SEGMENT,	/* GSO or checksum could not be done */
	XFRM_EXT_STAT_TX_NOMEM,
	XFRM_EXT_STAT_TX_CRYPTO,	/* the cipher failed */

	XFRM_EXT_STAT_RX_NOT_READY,	/* SA claimed, held, failed or not valid */
	XFRM_EXT_STAT_RX_NO_SUBSPACES,	/* SA made for sending only */
	XFRM_EXT_STAT_RX_EXPIRED,	/* hard limit of the SA reached */
	XFRM_EXT_STAT_RX_TRUNCATED,	/* shorter than header, IV, ICV */
	XFRM_EXT_STAT_RX_SUBSPACE,	/* Subspace ID >= rx-subspaces */
	XFRM_EXT_STAT_RX_ZERO,		/* sequence number 0 */
	XFRM_EXT_STAT_RX_REPLAY,	/* seen before */
	XFRM_EXT_STAT_RX_TOO_OLD,	/* left of the window */
	XFRM_EXT_STAT_RX_ICV,		/* authentication failed */
	XFRM_EXT_STAT_RX_TRAILER,	/* trailer does not fit the packet */
	XFRM_EXT_STAT_RX_NEXT_HEADER,	/* does not fit the mode */
	XFRM_EXT_STAT_RX_DUMMY,		/* Next Header 59: not an error */
	XFRM_EXT_STAT_RX_PSEUDO_HEADER,	/* BEET's, malformed */
	XFRM_EXT_STAT_RX_FRAGMENT,	/* a fragment in BEET, not to be taken */
	XFRM_EXT_STAT_RX_INNER,		/* inner header malformed */
	XFRM_EXT_STAT_RX_NOMEM,
	XFRM_EXT_STAT_RX_NOMEM_WINDOW,	/* no memory for a subspace's window */
	XFRM_EXT_STAT_RX_CRYPTO,	/* the cipher failed, not the ICV */
	XFRM_EXT_STAT_RX_HEADER,	/* EESP: version, options or protocol are wrong */
	XFRM_EXT_STAT_RX_CRYPT_OFFSET,	/* EESP: more sent in clear than is accepted */
	XFRM_EXT_STAT_RX_ECHO,		/* ESP Echo, answered or told: not an error */
	XFRM_EXT_STAT_RX_ECHO_REFUSED,	/* ESP Echo, and neither */

	__XFRM_EXT_STAT_MAX
};

#define XFRM_EXT_STAT_MAX (__XFRM_EXT_STAT_MAX - 1)

#endif /* _UAPI_LINUX_XFRM_EXT_H */
