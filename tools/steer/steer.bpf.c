// SPDX-License-Identifier: GPL-2.0-only
/*
 * Received ESP: the packets of each subspace to a CPU of their own (XDP, cpumap).
 *
 * Only of SAs that xfrm-ext-steer has told: extended ones of format esp64 with
 * several receive subspaces. All else goes on as if nobody had looked. Of what is
 * looked at nothing is authenticated: whoever forges packets chooses on which CPU they
 * are refused, as with any hash of a NIC's.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

#define VLANS	2
#define IP_FRAGMENT	0x3fff	/* offset, and that more follow */

struct vlan {
	__be16 tci;
	__be16 proto;
};

/* The first octets of ESP in format esp64 */
struct esp64 {
	__be32 spi;
	__be16 subspace;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_SAS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct steer_sa);
	__type(value, __u8);
} sas SEC(".maps");

/* Which CPU the n-th one is of those that packets are sent to */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEER_CPUS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, STEER_CPUS_MAX);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_CPUS_MAX);
	__type(key, __u32);
	__type(value, struct steer_count);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_config);
} config SEC(".maps");

static __always_inline const struct steer_config *configured(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&config, &first);
}

static __always_inline int steer(const struct esp64 *esp, void *end,
				 struct steer_sa *sa)
{
	const struct steer_config *c = configured();
	struct steer_count *count;
	__u32 place, *cpu;

	if ((void *)(esp + 1) > end || !c || !c->targets)
		return XDP_PASS;
	sa->spi = esp->spi;
	if (!bpf_map_lookup_elem(&sas, sa))
		return XDP_PASS;
	place = bpf_ntohs(esp->subspace) % c->targets;
	cpu = bpf_map_lookup_elem(&targets, &place);
	if (!cpu)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&counts, cpu);
	if (count)
		count->steered++;
	return bpf_redirect_map(&cpus, *cpu, XDP_PASS);
}

/* ESP, or UDP with ESP in it. Which port that is the SA says, not we: 0 is no SPI */
static __always_inline int transport(void *at, void *end, __u8 protocol,
				     struct steer_sa *sa)
{
	if (protocol == IPPROTO_UDP)
		at += sizeof(struct udphdr);
	else if (protocol != IPPROTO_ESP)
		return XDP_PASS;
	return steer(at, end, sa);
}

SEC("xdp")
int xfrm_ext_steer(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct steer_sa sa = {};
	struct ethhdr *eth = at;
	struct ipv6hdr *ip6;
	struct iphdr *ip4;
	__be16 proto;
	int i;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	proto = eth->h_proto;
	at = eth + 1;
#pragma unroll
	for (i = 0; i < VLANS; i++) {
		struct vlan *vlan = at;

		if (proto != bpf_htons(ETH_P_8021Q) &&
		    proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > end)
			return XDP_PASS;
		proto = vlan->proto;
		at = vlan + 1;
	}
	if (proto == bpf_htons(ETH_P_IP)) {
		ip4 = at;
		if ((void *)(ip4 + 1) > end || ip4->ihl < 5 ||
		    ip4->frag_off & bpf_htons(IP_FRAGMENT))
			return XDP_PASS;
		sa.daddr[0] = ip4->daddr;
		return transport(at + ip4->ihl * 4, end, ip4->protocol, &sa);
	}
	if (proto == bpf_htons(ETH_P_IPV6)) {
		ip6 = at;
		if ((void *)(ip6 + 1) > end)
			return XDP_PASS;
		/* Fragments and other extension headers go the usual way */
		__builtin_memcpy(sa.daddr, &ip6->daddr, sizeof(sa.daddr));
		return transport(ip6 + 1, end, ip6->nexthdr, &sa);
	}
	return XDP_PASS;
}

/* struct trace_event_raw_xdp_cpumap_enqueue, as its format file has it */
struct enqueue {
	__u64 common;
	int map_id;
	__u32 act;
	int cpu;
	unsigned int drops;
	unsigned int processed;
	int to_cpu;
};

SEC("tracepoint/xdp/xdp_cpumap_enqueue")
int xfrm_ext_steer_enqueue(struct enqueue *ctx)
{
	const struct steer_config *c = configured();
	struct steer_count *count;
	__u32 cpu = ctx->to_cpu;

	if (!c || (__u32)ctx->map_id != c->cpus_id || !ctx->drops)
		return 0;
	count = bpf_map_lookup_elem(&counts, &cpu);
	if (count)
		count->dropped += ctx->drops;
	return 0;
}

char gpl[] SEC("license") = "GPL";
