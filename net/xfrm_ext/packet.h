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
int xe_output_dummy(struct xe_sa *sa, struct sk_buff *skb, u32 place,
		    xe_op_sent *sent);
int xe_local_out(struct net *net, struct sock *sk, struct sk_buff *skb);
int xe_protect(struct xe_sa *sa, struct sk_buff *skb, u8 next_header,
	       const u32 *place, xe_op_sent *sent, bool fast);

/* hook.c APIs: process context */
int xe_hooks_register(struct net *net);
void xe_hooks_unregister(struct net *net);

/* dummy.c APIs: */
int xe_dummy_send(struct xe_sa *sa, u32 place, unsigned int len,
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
int xe_gro_init(void);
void xe_gro_exit(void);

#endif /* XFRM_EXT_PACKET_H */
