#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
#
# What an extended SA takes by the kernel's account, in a guest with two CPUs: with 8
# subspaces to receive in and windows of 1,024 packets, when none of them is in use, and what
# the windows add. Beside it a plain SA, and a transform alone. In octets; differences of
# slab, vmalloc and per-CPU memory over many SAs.
. "$(dirname "$0")/../selftests/lib.sh"
. "$(dirname "$0")/../selftests/lib-wire.sh"

many=256

kernel_memory() {
	# What is freed a grace period later, and what caches let go of, nobody tells
	sync
	sleep 2
	awk '$1 == "Slab:" || $1 == "VmallocUsed:" || $1 == "Percpu:" { n += $2 }
		END { print n * 1024 }' /proc/meminfo
}

states() { # number spi word...
	local i key

	for ((i = 0; i < $1; i++)); do
		key_for $(($2 + i))
		echo "xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi $(($2 + i)) reqid 1" \
			"mode tunnel aead $aead $key 128 ${*:3}"
	done
}

extended() { # number
	states "$1" 0x1000 ext rx-subspaces 8 window 1024
}

# Octets of each: difference over a command that makes so many
each() { # number command...
	local before

	before=$(kernel_memory)
	"${@:2}"
	echo $((($(kernel_memory) - before) / $1))
}

make() { # function word...
	"$@" | ip -n "$g2" -batch -
}

held() { # number name octets
	echo "hold alg=$2 keylen=$3 packets=$1" >/proc/xfrm_ext_bench
}

# A packet in each of the first one's subspaces
use() {
	local n key

	key_for 0x1000
	printf '{"spi": "0x1000", "key": "%s", "icv": "128", "src": "10.0.0.1", "dst": "10.0.0.2"}\n' \
		"$key" >"$tmp/sa"
	for n in {0..7}; do
		echo "valid $n 1"
	done | ip netns exec "$g1" "$reference/inject.py" --sa "$tmp/sa" --batch \
		--inner udp:10.1.0.1:1000:10.2.0.1:9:8 >/dev/null
}

say() { # variant value
	echo "= kernel=$KERNEL_NAME meter=octets dir=rx variant=$1 alg=aes128 len=0 cpus=$(nproc) round=1 value=$2"
}

modprobe -a xfrm_ext xfrm_ext_bench
modprobe -q aesni_intel || true
pair
# What the first ones of all make
make extended 8
use
held 8 'gcm(aes)' 16
used=$(stat "$g2" 0x1000 memory)
flush

# From here on nothing is freed, or the next would find it again
say plain "$(each $many make states $many 0x5000 replay-window 32)"
say transform "$(each $many held $many 'gcm(aes)' 16)"
say idle "$(each $many make extended $many)"
# All of them are powers of two, so that its own account is the kernel's
say windows $((used - $(stat "$g2" 0x1000 memory)))
flush
