// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loops of the bench: fresh packets into dst_output(), packets that were
 * prepared into netif_receive_skb(), plaintext into a cipher.
 */
#include <crypto/aead.h>
#include <linux/etherdevice.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/tick.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/tcp.h>
#include <net/xfrm.h>

#include "datapath.h"

/* What a driver leaves before the IP header of a packet that is forwarded */
#define HEADROOM	(NET_SKB_PAD + NET_IP_ALIGN + ETH_HLEN)
/* Its buffers are larger than small packets; this holds any ESP trailer */
#define TAILROOM	64

/* The payload of a packet that is to be cut is in pages */
#define GSO_PAGES	15
#define GSO_HEADERS	(sizeof(struct iphdr) + sizeof(struct tcphdr))

/* Of a packet that is received into pages, as much as drivers copy of it */
#define LINEAR		128

/* Smaller buffers are no part of a page, as those of drivers with XDP are */
#define XDP_BUFFER	1024

/* So long packets may be on their way when a receiver has given its last */
#define PATIENCE_NS	(20 * NSEC_PER_MSEC)

static DEFINE_PER_CPU(u64, bench_arrivals);

/* Packets for receivers, each CPU's own */
static DEFINE_PER_CPU_ALIGNED(struct sk_buff_head, bench_kept);

/* The receiver's, each CPU's own */
static DEFINE_PER_CPU_ALIGNED(struct napi_struct, bench_napi);

/**
 * struct flow - what one CPU sends
 * @dst: its way, looked up once, as a socket keeps it
 * @packet: its linear part
 * @len: octets of that
 * @page: each piece of the rest, if it is to be cut
 * @gso: octets of payload of a segment, or 0
 */
struct flow {
	struct dst_entry *dst;
	u8 *packet;
	unsigned int len;
	struct page *page;
	unsigned int gso;
};

static void flow_close(struct flow *f)
{
	dst_release(f->dst);
	kfree(f->packet);
	if (f->page)
		__free_page(f->page);
}

static void flow_header(const struct flow *f, const struct bench_run *run,
			__be32 saddr, __be32 daddr)
{
	unsigned int len = f->len + (f->gso ? GSO_PAGES * PAGE_SIZE : 0);
	struct iphdr *iph = (struct iphdr *)f->packet;
	struct tcphdr *th = (struct tcphdr *)(iph + 1);
	struct udphdr *uh = (struct udphdr *)(iph + 1);

	iph->version = 4;
	iph->ihl = sizeof(*iph) / 4;
	iph->tot_len = htons(len);
	iph->frag_off = htons(IP_DF);
	iph->ttl = 64;
	iph->protocol = f->gso ? IPPROTO_TCP : run->proto;
	iph->saddr = saddr;
	iph->daddr = daddr;
	ip_send_check(iph);
	if (iph->protocol == IPPROTO_UDP) {
		/* The same one as of its answers */
		uh->source = htons(9);
		uh->dest = htons(9);
		uh->len = htons(len - sizeof(*iph));
	}
	if (!f->gso)
		return;
	th->source = htons(1000);
	th->dest = htons(9);
	th->doff = sizeof(*th) / 4;
	th->ack = 1;
	th->check = ~tcp_v4_check(len - sizeof(*iph), saddr, daddr, 0);
}

/*
 * On the CPU that sends: each has routes of its own, and a bundle. What is there
 * is flow_close()'s, also if there is an error.
 */
static int flow_open(struct flow *f, const struct bench_run *run,
		     unsigned int cpu)
{
	struct flowi4 fl4 = {
		.saddr = run->src,
		.daddr = htonl(ntohl(run->dst) + cpu),
		.flowi4_proto = run->gso ? IPPROTO_TCP : run->proto,
	};
	struct rtable *rt;

	memset(f, 0, sizeof(*f));
	f->gso = run->gso;
	f->len = run->gso ? GSO_HEADERS : run->len;
	f->packet = kzalloc(f->len, GFP_KERNEL);
	if (!f->packet)
		return -ENOMEM;
	if (f->gso) {
		f->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!f->page)
			return -ENOMEM;
	}
	rt = ip_route_output_flow(run->net, &fl4, NULL);
	if (IS_ERR(rt))
		return PTR_ERR(rt);
	f->dst = &rt->dst;
	flow_header(f, run, fl4.saddr, fl4.daddr);
	return 0;
}

static void fresh_gso(struct sk_buff *skb, const struct flow *f)
{
	int i;

	for (i = 0; i < GSO_PAGES; i++) {
		get_page(f->page);
		skb_add_rx_frag(skb, i, f->page, 0, PAGE_SIZE, PAGE_SIZE);
	}
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct tcphdr, check);
	skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
	skb_shinfo(skb)->gso_size = f->gso;
	skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(GSO_PAGES * PAGE_SIZE, f->gso);
}

static struct sk_buff *fresh(const struct flow *f)
{
	struct sk_buff *skb = alloc_skb(HEADROOM + f->len + TAILROOM,
					GFP_ATOMIC);

	if (unlikely(!skb))
		return NULL;
	skb_reserve(skb, HEADROOM);
	skb_put_data(skb, f->packet, f->len);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, sizeof(struct iphdr));
	skb->protocol = htons(ETH_P_IP);
	skb->dev = f->dst->dev;
	skb_dst_set(skb, dst_clone(f->dst));
	if (f->gso)
		fresh_gso(skb, f);
	return skb;
}

static int send_batch(const struct flow *f, struct net *net)
{
	struct sk_buff *skb;
	int i;

	for (i = 0; i < BATCH; i++) {
		skb = fresh(f);
		if (unlikely(!skb))
			return -ENOMEM;
		dst_output(net, NULL, skb);
	}
	return 0;
}

/**
 * bench_send - send packets, from their allocation to the sink
 * @w: worker; its batches and packets are counted
 *
 * Return: 0 or a negative errno.
 */
int bench_send(struct bench_worker *w)
{
	const struct bench_run *run = w->run;
	unsigned int n;
	struct flow f;
	int err;
	u64 t;

	err = flow_open(&f, run, w->cpu);
	/* Others wait for it in any case */
	while ((n = bench_turn(w))) {
		while (n-- && !err) {
			t = ktime_get_ns();
			bench_mark(BENCH_MARK_BEGIN);
			local_bh_disable();
			err = send_batch(&f, run->net);
			/* With what it leaves for the softirq */
			local_bh_enable();
			bench_mark(BENCH_MARK_END);
			bench_batch_done(w, ktime_get_ns() - t);
		}
	}
	flow_close(&f);
	return err;
}

static unsigned int bench_keep_proto, bench_keep_room;
static struct page_pool *bench_pool;

#ifdef CONFIG_PAGE_POOL
/* The rest of a packet that a driver receives into pages of its pool */
static int bench_keep_page(struct sk_buff *copy, const struct sk_buff *skb,
			   int at, unsigned int len)
{
	struct page *page;

	if (!len)
		return 0;
	if (len > PAGE_SIZE)
		return -EMSGSIZE;
	page = page_pool_dev_alloc_pages(bench_pool);
	if (!page)
		return -ENOMEM;
	skb_add_rx_frag(copy, 0, page, 0, len, PAGE_SIZE);
	skb_mark_for_recycle(copy);
	return skb_copy_bits(skb, at, page_address(page), len);
}

static int bench_pool_open(void)
{
	const struct page_pool_params params = {
		.pool_size = BATCH, .nid = NUMA_NO_NODE,
	};
	struct page_pool *pool = page_pool_create(&params);

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	bench_pool = pool;
	return 0;
}

static void bench_pool_close(void)
{
	if (bench_pool)
		page_pool_destroy(bench_pool);
	bench_pool = NULL;
}
#else
static int bench_keep_page(struct sk_buff *copy, const struct sk_buff *skb,
			   int at, unsigned int len)
{
	return 0;
}

static int bench_pool_open(void)
{
	return -EOPNOTSUPP;
}

static void bench_pool_close(void)
{
}
#endif

/*
 * What reaches the device (software offload encrypts as late as that): a copy
 * as a driver's, with an Ethernet header to be filled in, on this CPU's list;
 * in one piece, or the headers and the rest in a page
 */
static int bench_keep(struct sk_buff *skb, struct net_device *dev,
		      struct packet_type *pt, struct net_device *orig_dev)
{
	int at = skb_network_offset(skb);
	u8 proto = ip_hdr(skb)->protocol;
	unsigned int len = skb->len - at;
	struct sk_buff *copy;

	if (skb->protocol != htons(ETH_P_IP) ||
	    (proto != IPPROTO_ESP && proto != BENCH_PROTO_EESP &&
	     proto != bench_keep_proto))
		goto out;
	if (bench_pool)
		len = min_t(unsigned int, len, LINEAR - ETH_HLEN);
	copy = netdev_alloc_skb_ip_align(dev, bench_keep_room ?
					 bench_keep_room + XDP_BUFFER + len :
					 ETH_HLEN + len);
	if (!copy)
		goto out;
	skb_reserve(copy, bench_keep_room);
	skb_put_zero(copy, ETH_HLEN);
	if (skb_copy_bits(skb, at, skb_put(copy, len), len) ||
	    bench_keep_page(copy, skb, at + len, skb->len - at - len))
		kfree_skb(copy);
	else
		__skb_queue_tail(this_cpu_ptr(&bench_kept), copy);
out:
	consume_skb(skb);
	return 0;
}

static struct packet_type bench_tap = {
	.type	= htons(ETH_P_ALL),
	.func	= bench_keep,
};

/**
 * bench_forget - nobody will receive what was kept
 */
void bench_forget(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		__skb_queue_purge(per_cpu_ptr(&bench_kept, cpu));
	bench_pool_close();
}

/**
 * bench_keep_begin - from now on keep what a device sends
 * @run: its device, and the protocol of inner packets; in pages, or not
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int bench_keep_begin(const struct bench_run *run)
{
	int err;

	bench_forget();
	if (run->pages) {
		/* One CPU takes from it */
		err = run->cpus > 1 ? -EINVAL : bench_pool_open();
		if (err)
			return err;
	}
	bench_keep_proto = run->proto;
	bench_keep_room = run->xdp ? XDP_PACKET_HEADROOM : 0;
	bench_tap.dev = run->dev;
	bench_tap.af_packet_net = dev_net(run->dev);
	dev_add_pack(&bench_tap);
	return 0;
}

/**
 * bench_keep_end - no more
 *
 * Context: process.
 */
void bench_keep_end(void)
{
	dev_remove_pack(&bench_tap);
}

/* As a driver gives it to the stack */
static void receive_prepare(struct sk_buff *skb, struct net_device *dev)
{
	struct ethhdr *eth = (struct ethhdr *)skb->data;

	ether_addr_copy(eth->h_dest, dev->dev_addr);
	eth->h_proto = htons(ETH_P_IP);
	skb->protocol = eth_type_trans(skb, dev);
}

/* Softirqs that took too long go on in a thread of their own */
static void receive_rest(const u64 *arrivals, u64 until)
{
	u64 end = ktime_get_ns() + PATIENCE_NS;

	while (READ_ONCE(*arrivals) < until && ktime_get_ns() < end)
		schedule_timeout_uninterruptible(1);
}

/* As a driver's NAPI gives a batch to GRO */
static int receive_poll(struct napi_struct *napi, int budget)
{
	struct sk_buff_head *kept = this_cpu_ptr(&bench_kept);
	int i;

	for (i = 0; i < BATCH; i++)
		napi_gro_receive(napi, __skb_dequeue(kept));
	/* All of it is done, and less than the budget */
	napi_complete_done(napi, 0);
	return 0;
}

static void receive_batch(struct sk_buff_head *kept, struct napi_struct *napi)
{
	int i;

	if (napi) {
		napi_schedule(napi);
		return;
	}
	for (i = 0; i < BATCH; i++)
		netif_receive_skb(__skb_dequeue(kept));
}

/**
 * bench_receive - receive the packets that this CPU has kept
 * @w: worker; its batches and packets are counted, and what arrives
 *
 * What arrives, passes the inbound policy and is counted by a protocol handler.
 *
 * Return: 0 or a negative errno.
 */
int bench_receive(struct bench_worker *w)
{
	struct sk_buff_head *kept = per_cpu_ptr(&bench_kept, w->cpu);
	const struct bench_run *run = w->run;
	const u64 *arrivals = per_cpu_ptr(&bench_arrivals, w->cpu);
	u64 before, t;
	struct napi_struct *napi = NULL;
	struct sk_buff *skb;
	unsigned int n;
	int err = 0;

	if (run->gro) {
		napi = per_cpu_ptr(&bench_napi, w->cpu);
		netif_napi_add(run->dev, napi, receive_poll);
		napi_enable(napi);
	}
	skb_queue_walk(kept, skb)
		receive_prepare(skb, run->dev);
	if (run->spoil)
		err = bench_flood(kept, run->spoil);
	before = READ_ONCE(*arrivals);
	/* Others wait for it in any case */
	while ((n = bench_turn(w))) {
		while (n-- && !err && skb_queue_len(kept) >= BATCH) {
			t = ktime_get_ns();
			bench_mark(BENCH_MARK_BEGIN);
			local_bh_disable();
			receive_batch(kept, napi);
			/* This NAPI, and that of inner packets, run here */
			local_bh_enable();
			bench_mark(BENCH_MARK_END);
			bench_batch_done(w, ktime_get_ns() - t);
		}
	}
	if (!run->out) {
		receive_rest(arrivals, before + (run->spoil ? 0 : w->packets));
		w->arrived = READ_ONCE(*arrivals) - before;
	}
	if (napi) {
		napi_disable(napi);
		netif_napi_del(napi);
	}
	return err;
}

/* What the other end of a link has taken from its queue */
static u64 inject_taken(const struct bench_run *run)
{
	struct rtnl_link_stats64 stats;
	struct net_device *dev = run->dev;

	return dev_get_stats(dev->netdev_ops->ndo_get_peer_dev(dev),
			     &stats)->rx_packets;
}

/* Of all CPUs: what is steered arrives on others */
static u64 inject_arrivals(const struct bench_run *run)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu(bench_arrivals, cpu));
	return n;
}

/* Until so many are counted; or if there are no more for long */
static bool inject_wait(const struct bench_run *run,
			u64 (*count)(const struct bench_run *run), s64 until)
{
	u64 now = count(run), last = now, end = 0;

	while ((s64)now < until) {
		schedule_timeout_uninterruptible(1);
		now = count(run);
		if (now != last || !end) {
			last = now;
			end = ktime_get_ns() + 50 * PATIENCE_NS;
		} else if (ktime_get_ns() > end) {
			return false;
		}
	}
	return true;
}

/* The next packet of each CPU that has kept some */
static unsigned int inject_round(struct net_device *dev)
{
	unsigned int n = 0;
	struct sk_buff *skb;
	int cpu;

	for_each_possible_cpu(cpu) {
		skb = __skb_dequeue(per_cpu_ptr(&bench_kept, cpu));
		if (!skb)
			continue;
		ether_addr_copy(((struct ethhdr *)skb->data)->h_dest,
				dev->dev_addr);
		((struct ethhdr *)skb->data)->h_proto = htons(ETH_P_IP);
		skb_reset_mac_header(skb);
		skb_set_network_header(skb, ETH_HLEN);
		skb->protocol = htons(ETH_P_IP);
		skb->dev = dev;
		dev_queue_xmit(skb);
		n++;
	}
	return n;
}

/**
 * bench_inject - send what all CPUs have kept through a device, from this one
 * @w: worker; what arrives is counted, wherever, and the time until the last has
 *
 * At the other end is one receive queue, worked on by this CPU. No more packets are on
 * their way than the queues behind it hold, so that it is not about what they drop.
 *
 * Return: 0, or -ENODATA if not as much was kept.
 */
int bench_inject(struct bench_worker *w)
{
	const struct bench_run *run = w->run;
	u64 before = inject_arrivals(run), taken, start, idle, t;
	unsigned int n, sent = 0;
	bool all = true;

	bench_turn(w);
	if (!run->dev->netdev_ops->ndo_get_peer_dev) {
		bench_turn(w);
		return -EOPNOTSUPP;
	}
	taken = inject_taken(run);
	idle = get_cpu_idle_time_us(w->cpu, NULL);
	start = ktime_get_ns();
	while (all && sent < run->packets) {
		t = ktime_get_ns();
		local_bh_disable();
		for (n = 0; n < BATCH && !skb_queue_empty(this_cpu_ptr(&bench_kept));)
			n += inject_round(run->dev);
		/* The other end's NAPI runs here, or, when it has had its time, later */
		local_bh_enable();
		if (n < BATCH)
			break;
		/* What this CPU does at once, not what is done elsewhere or later */
		bench_batch_done(w, ktime_get_ns() - t);
		sent += n;
		all = inject_wait(run, inject_taken, taken + sent) &&
		      inject_wait(run, inject_arrivals,
				  before + sent - run->queued);
	}
	if (all)
		inject_wait(run, inject_arrivals, before + sent);
	w->ns = ktime_get_ns() - start;
	/* Of one CPU that counts which works, and not for how long this one has slept */
	if (num_online_cpus() == 1)
		w->ns -= (get_cpu_idle_time_us(w->cpu, NULL) - idle) *
			 NSEC_PER_USEC;
	w->arrived = inject_arrivals(run) - before;
	bench_turn(w);
	return all && sent < run->packets ? -ENODATA : 0;
}

/* The end of a received packet: an inner one, for this machine */
static int bench_arrive(struct sk_buff *skb)
{
	this_cpu_inc(bench_arrivals);
	consume_skb(skb);
	return 0;
}

static const struct net_protocol bench_protocol = {
	.handler = bench_arrive,
};

static int cipher_loop(struct bench_worker *w, struct aead_request *req)
{
	unsigned int n;
	int i, err = 0;
	u64 t;

	while ((n = bench_turn(w))) {
		while (n-- && !err) {
			t = ktime_get_ns();
			bench_mark(BENCH_MARK_BEGIN);
			local_bh_disable();
			for (i = 0; !err && i < BATCH; i++)
				err = w->run->decrypt ?
				      crypto_aead_decrypt(req) :
				      crypto_aead_encrypt(req);
			local_bh_enable();
			bench_mark(BENCH_MARK_END);
			bench_batch_done(w, ktime_get_ns() - t);
		}
	}
	return err;
}

/*
 * A request in one piece, as of a linear packet; decrypted into other memory,
 * for what comes out would not be authentic a second time
 */
static int cipher_request(struct bench_worker *w, struct crypto_aead *aead,
			  struct aead_request *req, u8 *in, u8 *out)
{
	const struct bench_run *run = w->run;
	unsigned int size = run->assoc + run->len + 16;
	struct scatterlist src, dst;
	u8 iv[16] = {};
	int err;

	sg_init_one(&src, in, size);
	sg_init_one(&dst, out, size);
	aead_request_set_tfm(req, aead);
	aead_request_set_callback(req, 0, NULL, NULL);
	aead_request_set_ad(req, run->assoc);
	aead_request_set_crypt(req, &src, &src, run->len, iv);
	if (run->decrypt) {
		err = crypto_aead_encrypt(req);
		if (err)
			return err;
		aead_request_set_crypt(req, &src, &dst, run->len + 16, iv);
	}
	return cipher_loop(w, req);
}

/**
 * bench_cipher - encrypt, or decrypt, the same packet again and again
 * @w: worker; its batches are counted
 *
 * Return: 0 or a negative errno.
 */
int bench_cipher(struct bench_worker *w)
{
	const struct bench_run *run = w->run;
	unsigned int size = run->assoc + run->len + 16;
	struct aead_request *req = NULL;
	struct crypto_aead *aead;
	u8 *in, *out;
	int err;

	aead = crypto_alloc_aead(run->alg, 0, 0);
	if (IS_ERR(aead))
		return PTR_ERR(aead);
	err = -ENOMEM;
	in = kzalloc(max(size, run->keylen), GFP_KERNEL);
	out = kzalloc(size, GFP_KERNEL);
	req = aead_request_alloc(aead, GFP_KERNEL);
	if (!in || !out || !req)
		goto out;
	err = crypto_aead_setkey(aead, in, run->keylen);
	if (!err)
		err = crypto_aead_setauthsize(aead, 16);
	if (!err)
		err = cipher_request(w, aead, req, in, out);
out:
	aead_request_free(req);
	kfree(out);
	kfree(in);
	crypto_free_aead(aead);
	return err;
}

int bench_flows_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		__skb_queue_head_init(per_cpu_ptr(&bench_kept, cpu));
	return inet_add_protocol(&bench_protocol, BENCH_PROTO) ? -EBUSY : 0;
}

void bench_flows_exit(void)
{
	inet_del_protocol(&bench_protocol, BENCH_PROTO);
	bench_forget();
}
