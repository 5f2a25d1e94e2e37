/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets: out, in, of nothing; what received ones carry, and how long they may be.
 */
#ifndef XFRM_EXT_PACKET_H
#define XFRM_EXT_PACKET_H

#include "crypto.h"
#include "eesp.h"
#include "mode.h"
#include "state.h"

/* mtu.c APIs: process context */
int xe_mtu_init(struct xe_sa *sa, struct xfrm_state *x);
void xe_mtu_exit(struct xe_sa *sa, struct xfrm_state *x);

/* standin.c APIs: BH off, under RCU */
struct xfrm_state *xe_standin_get(struct xe_sa *sa, const struct sk_buff *skb,
				  int next_header, bool itself);
/* Process context: */
void xe_standin_exit(struct xe_sa *sa);

/* classify.c APIs: BH off */
u32 xe_classify(const struct xe_sa *sa, const struct sk_buff *skb,
		u8 next_header);

/* Which subspace does a packet take? Its place in the SA's range */
static inline u32 xe_select(const struct xe_sa *sa, const struct sk_buff *skb,
			    u8 next_header)
{
	const struct xe_select *s = &sa->params.select;
	u32 class = 0;

	if (unlikely(s->by != XFRM_EXT_SELECT_CPU))
		class = xe_classify(sa, skb, next_header);
	return xe_select_place(s, class, raw_smp_processor_id());
}

/* Octets from the header to the plaintext, of a packet that is sent */
static inline unsigned int xe_crypt_at(const struct xe_sa *sa)
{
	return sa->format->hdr_len + sa->cipher.iv_len;
}

/* How much of a plaintext is sent as it is: whole words, no more than the payload has */
static inline unsigned int xe_exposed(const struct xe_sa *sa,
				      unsigned int payload_len)
{
	return min(sa->params.tx_crypt_offset - 1, payload_len) & ~3u;
}

/* output.c APIs: */
int xe_output(struct xfrm_state *x, struct sk_buff *skb);
int xe_output_own(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
		  u32 place, xe_op_sent *sent);
int xe_local_out(struct net *net, struct sock *sk, struct sk_buff *skb);
int xe_protect(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
	       const u32 *place, xe_op_sent *sent, bool fast);

/* hook.c APIs: process context */
int xe_hooks_register(struct net *net);
void xe_hooks_unregister(struct net *net);

/* own.c APIs: process context, or BH off where they say so */
struct sk_buff *xe_own_make(struct xe_sa *sa, unsigned int len, gfp_t gfp,
			    struct netlink_ext_ack *extack);
int xe_own_send(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
		u32 place);
int xe_own_told(int err, const char *what, struct netlink_ext_ack *extack);
int xe_dummy_send(struct xe_sa *sa, u32 place, unsigned int len,
		  struct netlink_ext_ack *extack);

/* RFC 9347's AGGFRAG_PAYLOAD, of which ESP Echo has two sub-types */
#define XE_NEXT_HEADER_ECHO	144

/**
 * struct xe_echo_request - what a request of ESP Echo says
 * @id: Identifier
 * @seq: Sequence
 * @reply_spi: of the SA that the reply shall come by, network byte order; 0: it asks for none
 * @len: octets of data
 * @data: the first of them; zeros follow
 * @data_len: how many
 */
struct xe_echo_request {
	u16 id;
	u16 seq;
	__be32 reply_spi;
	u16 len;
	const void *data;
	u16 data_len;
};

/* echo.c APIs: BH off */
enum xfrm_ext_stat xe_echo_received(struct xe_sa *sa, const struct sk_buff *skb,
				    unsigned int at, unsigned int len,
				    u32 subspace);
/* Process context: */
int xe_echo_send(struct xe_sa *sa, u32 place, const struct xe_echo_request *what,
		 struct netlink_ext_ack *extack);

/* input.c APIs: */
int xe_input(struct xfrm_state *x, struct sk_buff *skb);
int xe_accept(struct xe_sa *sa, struct sk_buff *skb, crypto_completion_t done,
	      bool private, bool fast);
int xe_accept_done(struct xe_sa *sa, struct sk_buff *skb, struct xe_seq seq,
		   const struct xe_frame *frame, bool fast, int err);
bool xe_input_use(struct xe_sa *sa, const struct sk_buff *skb, bool fast);
void xe_deliver(struct xe_sa *sa, struct sk_buff *skb, int next_header,
		bool fast);
int xe_input_init(void);
void xe_input_exit(void);

/* receive.c APIs: BH off, under RCU */
void xe_receive(struct xe_sa *sa, struct sk_buff *skb, bool private);
/* Process context: */
int xe_receive_init(void);
void xe_receive_exit(void);

/* listen.c APIs: process context */
int xe_listen_get(struct netlink_ext_ack *extack);
void xe_listen_put(void);
u8 xe_listen_protocol(void);
int xe_listen_init(void);

/* gro.c APIs: process context */
void xe_gro_eesp_begin(u8 protocol);
void xe_gro_eesp_end(u8 protocol);
int xe_gro_init(void);
void xe_gro_exit(void);

#endif /* XFRM_EXT_PACKET_H */
