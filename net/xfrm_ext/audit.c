// SPDX-License-Identifier: GPL-2.0-only
/*
 * Audit records of received packets (RFC 4303 sections 3.4.3 and 3.4.4.1, RFC 4301
 * section 4.4.1): worded as the kernel's own, which cannot tell numbers of more than 32
 * bits, nor where the header of another format has them.
 */
#include <linux/audit.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "sa.h"

#ifdef CONFIG_AUDITSYSCALL
static void xe_audit(const struct xe_sa *sa, const struct sk_buff *skb,
		     const char *op, struct xe_seq seq)
{
	struct audit_buffer *ab = xfrm_audit_start(op);
	u32 spi = be32_to_cpu(sa->id.spi);

	if (!ab)
		return;
	if (sa->id.family == AF_INET)
		audit_log_format(ab, " src=%pI4 dst=%pI4", &ip_hdr(skb)->saddr,
				 &ip_hdr(skb)->daddr);
	else
		audit_log_format(ab, " src=%pI6 dst=%pI6 flowlbl=0x%05x",
				 &ipv6_hdr(skb)->saddr, &ipv6_hdr(skb)->daddr,
				 be32_to_cpu(ip6_flowlabel(ipv6_hdr(skb))));
	audit_log_format(ab, " spi=%u(0x%x) seqno=%llu", spi, spi, seq.sn);
	if (sa->params.format != XFRM_EXT_FORMAT_ESP)
		audit_log_format(ab, " subspace=%u", seq.subspace);
	audit_log_end(ab);
}
#else
static void xe_audit(const struct xe_sa *sa, const struct sk_buff *skb,
		     const char *op, struct xe_seq seq)
{
}
#endif

/**
 * xe_audit_replay - a number was seen before, is too old, or is none
 * @sa: SA
 * @skb: packet; its network header is the outer one
 * @seq: its number, authenticated or not
 *
 * On either path: the kernel's own has no window of an extended SA's. How many
 * records there are is limited by the audit system.
 *
 * Context: any.
 */
void xe_audit_replay(const struct xe_sa *sa, const struct sk_buff *skb,
		     struct xe_seq seq)
{
	xe_audit(sa, skb, "SA-replayed-pkt", seq);
}

/**
 * xe_audit_icv - an integrity check has failed
 * @sa: SA
 * @skb: packet; its network header is the outer one
 * @seq: the number that it claims
 *
 * Context: any.
 */
void xe_audit_icv(const struct xe_sa *sa, const struct sk_buff *skb,
		  struct xe_seq seq)
{
	xe_audit(sa, skb, "SA-icv-failure", seq);
}

/**
 * xe_audit_crypt_offset - an authentic packet says more in clear than its SA accepts
 * @sa: SA in eesp
 * @skb: packet; its network header is the outer one
 * @seq: its number
 *
 * Context: any.
 */
void xe_audit_crypt_offset(const struct xe_sa *sa, const struct sk_buff *skb,
			   struct xe_seq seq)
{
	xe_audit(sa, skb, "SA-crypt-offset", seq);
}

/**
 * xe_audit_subspace - a Subspace ID has come that is none of the SA's
 * @sa: SA
 * @skb: packet; its network header is the outer one
 * @seq: its number, not authenticated
 *
 * The kernel has no such record; draft-ietf-ipsecme-eesp section 2.9.2 wants one.
 *
 * Context: any.
 */
void xe_audit_subspace(const struct xe_sa *sa, const struct sk_buff *skb,
		       struct xe_seq seq)
{
	xe_audit(sa, skb, "SA-subspace-range", seq);
}
