/* SPDX-License-Identifier: GPL-2.0-only */
/* What xfrm-ext-steer and its program in the kernel have in common. */
#ifndef XFRM_EXT_STEER_H
#define XFRM_EXT_STEER_H

#define STEER_CPUS_MAX	1024	/* CPU numbers below that */
#define STEER_SAS_MAX	65536

/* An SA as its packets show it; octets of @daddr that IPv4 does not have are 0 */
struct steer_sa {
	__be32 spi;
	__be32 daddr[4];
};

/* What has become of packets, by the CPU that they were sent to */
struct steer_count {
	__u64 steered;	/* sent to it */
	__u64 dropped;	/* of these: lost, its queue was full */
};

struct steer_config {
	__u32 targets;	/* how many CPUs there are to choose from; 0: none yet */
	__u32 cpus_id;	/* id of the map of CPUs */
	__u32 sas;	/* how many it knows of */
};

#ifndef __BPF__
/* The program, as the compiler has made it: object.S */
extern const char steer_object[], steer_object_end[];
#endif

#endif
