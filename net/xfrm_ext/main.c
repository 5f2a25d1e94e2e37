// SPDX-License-Identifier: GPL-2.0-only
/*
 * xfrm_ext: extensions of ordinary xfrm SAs. Table of contents, from the ground
 * up: a file uses what stands before it here, never what stands behind it.
 *
 *  leaves: plain values in and out; what KUnit drives
 *	compat/compat.h	what differs between kernels
 *	compat/extack.c	reasons of refusals, on kernels that keep no text of ours
 *	window.h
 *	window.c	sequence numbers in: the anti-replay window
 *	counter.h	sequence numbers out
 *	select.h	which subspace a packet takes
 *	format.h
 *	format.c	layouts on the wire, IVs and nonces
 *	trailer.h
 *	trailer.c	where Pad Length and Next Header stand
 *	beet_ph.h
 *	beet_ph.c	BEET's pseudo header
 *	eesp.h
 *	eesp.c		EESP's header and its options
 *	sskdf.h
 *	sskdf.c		keys derived from a key
 *
 *  ground: what an SA has, and whose it is: net.h, sa.h, crypto.h
 *	memory.c	whose memory SAs take, and how much
 *	net.c		what there is of a namespace
 *	trace.h
 *	stats.c		why packets are dropped
 *	audit.c		what of that is recorded
 *	subspace.c	where counters and windows are kept
 *	numbers.c	one key, one set of them
 *	lifetime.c	limits in packets, octets, time
 *	suites.c	which ciphers there are
 *	sub.c		EESP: a key for each Sub SA
 *	crypto.c	a packet in the cipher's hands
 *	message.c	what is told of an SA
 *
 *  SAs: which packets and requests find, state.h
 *	sa.c		look-up, and what an SA may do
 *	events.c	what is told without being asked
 *
 *  modes: what the payload is, and what stands before ESP, mode.h
 *	outer.c		what they share
 *	spread.c	each subspace a flow of its own
 *	tunnel.c
 *	transport.c
 *	beet.c
 *	udp.c		UDP encapsulation
 *	mode.c		which an SA has
 *
 *  packets: packet.h
 *	mtu.c		how long the kernel takes packets to be
 *	standin.c	what a received packet has in its secpath
 *	classify.c	of which class one is, where that picks its subspace
 *	output.c	packets out, RFC 4303 section 3.3: number, header, cipher
 *	hook.c		fast path: how output.c comes by packets
 *	own.c		packets of an SA's own: dummy packets
 *	echo.c		ESP Echo: requests, and their answers
 *	input.c		packets in, RFC 4303 section 3.4: window, cipher, trailer
 *	receive.c	fast path: how input.c comes by packets
 *	gro.c		the same, earlier
 *	listen.c	EESP has an IP protocol number of its own
 *
 *  control: control.h
 *	params.c	what an announcement says
 *	announce.c	what an SA that does not exist yet shall be
 *	rule.c		what SAs shall be that nobody announces
 *	life.c		how an extended SA comes to be and ends
 *	gate.c		every new ESP state comes here: plain, or who says what it shall be?
 *	netlink.c	requests: announce, withdraw, get, set, capabilities
 *	main.c		the module
 */
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "control.h"

static int __net_init xe_net_init(struct net *net)
{
	struct xe_net *xn = xe_net_alloc(net);

	if (!xn)
		return -ENOMEM;
	xe_announce_init_net(xn);
	xe_rule_init_net(xn);
	xe_life_init_net(xn);
	xe_numbers_init_net(xn);
	xe_net_set(net, xn);
	return 0;
}

/* SAs may outlive this: packets in flight hold them */
static void __net_exit xe_net_exit(struct net *net)
{
	struct xe_net *xn = xe_net(net);

	mutex_lock(&xn->lock);
	/* Announcements look at it under another lock */
	WRITE_ONCE(xn->dead, true);
	if (xn->n_sas)
		xe_hooks_unregister(net);
	mutex_unlock(&xn->lock);
	xe_announce_exit_net(xn);
	xe_rule_flush(xn);
	xe_life_exit_net(xn);
	xe_numbers_exit_net(xn);
	/* xfrm ends after us and may have something to tell until then */
	xe_net_set(net, NULL);
	xe_net_put(xn);
}

static struct pernet_operations xe_net_ops = {
	.init	= xe_net_init,
	.exit	= xe_net_exit,
	.id	= &xe_net_id,
	.size	= sizeof(struct xe_net *),
};

static int __init xe_init(void)
{
	int err;

	err = xe_listen_init();
	if (err)
		return err;
	err = register_pernet_subsys(&xe_net_ops);
	if (err)
		return err;
	err = xe_sa_init();
	if (err)
		goto err_net;
	xe_life_init();
	err = xe_input_init();
	if (err)
		goto err_sa;
	err = xe_receive_init();
	if (err)
		goto err_input;
	err = xe_gro_init();
	if (err)
		goto err_receive;
	err = xe_netlink_init();
	if (err)
		goto err_gro;
	/* Last: states that went through the gate cannot be called back */
	err = xe_gate_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	xe_netlink_exit();
err_gro:
	xe_gro_exit();
err_receive:
	xe_receive_exit();
err_input:
	xe_input_exit();
err_sa:
	xe_life_exit();
	xe_sa_exit();
err_net:
	xe_extack_exit();
	unregister_pernet_subsys(&xe_net_ops);
	return err;
}

static void __exit xe_exit(void)
{
	/* First: until then no ESP state of any kind can be made */
	xe_gate_exit();
	xe_netlink_exit();
	xe_gro_exit();
	xe_receive_exit();
	xe_input_exit();
	xe_life_exit();
	xe_sa_exit();
	xe_op_exit();
	xe_extack_exit();
	unregister_pernet_subsys(&xe_net_ops);
}

module_init(xe_init);
module_exit(xe_exit);

MODULE_DESCRIPTION("Extensions of IPsec SAs: anti-replay subspaces");
MODULE_VERSION("0.9.0");
MODULE_LICENSE("GPL");
/* Whoever asks for the family loads it, anybody: README.md says how to forbid it */
MODULE_ALIAS_GENL_FAMILY(XFRM_EXT_GENL_NAME);
/* With extended SAs come ordinary ones: bring what speaks about them */
MODULE_SOFTDEP("pre: xfrm_user");
