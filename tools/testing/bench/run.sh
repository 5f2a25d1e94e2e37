#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# All benches: runs what measures here, boots the guests of what does not, reports.
#
#   run.sh [PART]...     PART is one of
#     quick    instructions per packet on 6.1, of what tx.insn.ratio and rx.insn.ratio
#              need and no more: half a minute
#     quick-7.3            the same on 7.3
#     insn     instructions per packet, all sizes, algorithms and formats: 6.1 and 7.3
#     pps      packets per second, on one CPU and two: User-mode Linux, and QEMU
#     forward  what gateways forward: packets per second of two on User-mode Linux,
#              instructions of one on 6.1
#     forward-insn         the latter alone
#     gro      instructions per packet that comes by GRO: 6.1 and 7.3
#     gro-6.1, gro-7.3     one of them
#     floods   instructions per packet of somebody who has no key: 6.1; and what replays write that
#              other CPUs have, too
#     floods-insn, floods-lines
#              one of them
#     steer    one SA through one receive queue, with xfrm-ext-steer and without: User-mode
#              Linux, and QEMU
#     steer-6.1, steer-uml, steer-tcg
#              one of them; the first is of instructions
#     tcp      TCP end to end: instructions per octet, and what is sent again: 6.1 and 7.3
#     tcp-6.1, tcp-7.3     one of them
#     sa       what an extended SA takes
#     profile  where the time goes, by function: User-mode Linux under perf
#     functions            where the instructions go, by function: 6.1
#     functions-7.3        the same on 7.3
#     functions-forward    the same of gateways: 6.1
#     functions-gro        the same of packets that come by GRO: 6.1
#     functions-gro-7.3    the same on 7.3
#     functions-floods     the same of floods: 6.1
#     functions-gso        the same of packets that are cut: 6.1
#     functions-gso-7.3    the same on 7.3
#     lines    which cache lines two CPUs take from each other: 6.1
#     lines-7.3            the same on 7.3
#     lines-many           the same of 2, 4, 8 and 16 CPUs: 7.3, and 6.1
#     lines-many-7.3, lines-many-6.1
#                          one of them
#     window, trailer, tail, memory
#              the script of that name beside this one
#     build    alone: what runs on this machine is built, and does not run
#     all      all of them but the last, the quick ones and the profiles; the default
#
# Leaves what the guests have said (*.results, *.log), report.json and *.svg in $OUT, by
# default bench in the cache, in place of the last run's. ROUNDS=N for pps and forward, in
# place of 15 and 9.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

here=$ROOT/tools/testing/bench parts=()
OUT=${OUT:-$CACHE/bench}

# What guests say is kept, and shown as it comes but for results
guest() { # name option...
	local name=$1 rc=0

	shift
	log "# $name"
	"$ROOT/tools/testing/qemu/run.sh" --raw "$@" >"$OUT/$name.log" || rc=$?
	grep -v -e '^KTAP' -e '^= ' "$OUT/$name.log" || true
	grep '^= ' "$OUT/$name.log" >"$OUT/$name.results" || true
	((!rc)) || die "$name failed: $OUT/$name.log"
}

insn() { # name set kernel option...
	guest "$1" --kernel "$3" --icount --append cryptomgr.notests=1 --env METER=insn \
		--env "SET=$2" "${@:4}" "$here/datapath.sh"
}

tcp() { # kernel
	guest "tcp-$1" --kernel "$1" --icount --append cryptomgr.notests=1 "${rounds[@]}" \
		"$here/tcp.sh"
}

pps() { # name set kernel option...
	guest "$1" --kernel "$3" --smp 2 --append cryptomgr.notests=1 --env METER=pps \
		--env "SET=$2" "${rounds[@]}" "${@:4}" "$here/datapath.sh"
}

# The guest says when it measured what; the samples in between are looked up in its symbols
profile() {
	type perf >/dev/null || die "needs perf: Debian's linux-perf"
	rm -rf "$OUT/profile"
	mkdir "$OUT/profile"
	perf record -q -e cpu-clock:u -F 10000 -k realtime -o "$OUT/profile/perf.data" -- \
		"$ROOT/tools/testing/qemu/run.sh" --kernel 7.3-uml --smp 1 --raw --out "$OUT/profile" \
		--env METER=pps --env SET=profile "$here/datapath.sh" >"$OUT/profile/windows"
	perf script --ns -i "$OUT/profile/perf.data" -F time,ip |
		/usr/bin/python3 "$here/profile.py" "$OUT/profile/windows" "$OUT/profile/kallsyms"
}

# A plugin for QEMU
plugin() { # name to
	gcc -O2 -Wall -Werror -shared -fPIC -fvisibility=hidden -o "$2" "$here/$1.c"
}

# What a plugin counts in a guest is looked up in the guest's symbols
plugged() { # name words set kernel option...
	local name=$1 out=$OUT/$1-$4

	rm -rf "$out"
	mkdir "$out"
	plugin "$name" "$out/$name.so"
	guest "$name-$4/guest" --kernel "$4" --append cryptomgr.notests=1 --env "SET=$3" \
		--out "$out" --plugin "$out/$name.so,out=$out/counts$2" "${@:5}" "$here/datapath.sh"
	/usr/bin/python3 -B "$here/$name.py" "$out/"{guest.results,counts,kallsyms} "$OUT"
}

functions() { # kernel set option...
	plugged functions '' "${2:-functions}" "$1" --icount --env METER=insn "${@:3}"
}

# Without a plugin packets are ten times as fast
lines() { # kernel
	plugged lines ,mem=1024,ahead=0 lines "$1" --mem 1024 --smp 2 --env METER=pps
}

# They keep pace: all replay at once
flood_lines() { # kernel
	plugged lines ,mem=1024,ahead=256 floods-lines "$1" --mem 1024 --smp 2 --env METER=pps
}

# How far CPUs may be apart is less than half a packet
lines_many() { # kernel
	plugged lines ,mem=1024,ahead=256 lines-many "$1" --mem 1024 --smp 16 --env METER=pps
}

# For who changes what they have in common with the module
build() {
	local tmp name

	tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
	for name in functions lines; do
		plugin "$name" "$tmp/$name.so"
	done
	rm -r "$tmp"
	for name in window trailer; do
		"$here/$name.sh" --build
	done
}

rounds=()
[[ ! ${ROUNDS-} ]] || rounds=(--env "ROUNDS=$ROUNDS")
(($#)) || set -- all
for part; do
	case $part in
	all) parts+=(window trailer tail memory insn pps forward floods sa) ;;
	*) parts+=("$part") ;;
	esac
done
if [[ ${parts[*]} == build ]]; then
	build
	exit
fi
mkdir -p "$OUT"
# A report is of one run: what an earlier one found may be of another module
rm -f "$OUT"/*.results "$OUT"/report.json "$OUT"/*.svg
for part in "${parts[@]}"; do
	case $part in
	quick) insn quick-6.1 quick 6.1-cloud ;;
	quick-7.3) insn quick-7.3 quick 7.3-bench ;;
	insn)
		for kernel in 6.1-cloud 7.3-bench; do
			insn "insn-$kernel" full $kernel
			insn "insn-$kernel-cheap" cheap $kernel
		done
		;;
	pps)
		pps pps-uml full 7.3-uml
		pps pps-uml-cheap cheap 7.3-uml
		pps pps-tcg full 6.1-cloud
		;;
	forward-insn) insn forward-6.1 forward 6.1-cloud ;;
	forward)
		insn forward-6.1 forward 6.1-cloud
		guest forward-uml --kernel 7.3-uml --smp 2 "${rounds[@]}" "$here/forward.sh"
		;;
	gro)
		for kernel in 6.1-cloud 7.3-bench; do
			insn "gro-$kernel" gro $kernel
		done
		;;
	gro-6.1) insn gro-6.1 gro 6.1-cloud ;;
	gro-7.3) insn gro-7.3 gro 7.3-bench ;;
	tcp)
		for kernel in 6.1-cloud 7.3-bench; do
			tcp $kernel
		done
		;;
	tcp-6.1) tcp 6.1-cloud ;;
	tcp-7.3) tcp 7.3-bench ;;
	steer)
		insn steer-6.1 steer 6.1-cloud --with steer
		pps steer-uml steer 7.3-uml-bench --with steer
		pps steer-tcg steer 6.1-cloud --with steer
		;;
	steer-6.1) insn steer-6.1 steer 6.1-cloud --with steer ;;
	steer-tcg) pps steer-tcg steer 6.1-cloud --with steer ;;
	steer-uml) pps steer-uml steer 7.3-uml-bench --with steer ;;
	floods)
		insn floods-6.1 floods 6.1-cloud
		flood_lines 6.1-cloud
		;;
	floods-insn) insn floods-6.1 floods 6.1-cloud ;;
	floods-lines) flood_lines 6.1-cloud ;;
	sa) guest sa --kernel 6.1-cloud --smp 2 "$here/sabytes.sh" ;;
	profile) profile ;;
	functions) functions 6.1-cloud ;;
	functions-forward) functions 6.1-cloud forward ;;
	functions-gro) functions 6.1-cloud gro ;;
	functions-gro-7.3) functions 7.3-bench gro ;;
	functions-floods) functions 6.1-cloud floods ;;
	functions-gso) functions 6.1-cloud gso --append 'cryptomgr.notests=1 init_on_alloc=0' ;;
	functions-gso-7.3) functions 7.3-bench gso --append 'cryptomgr.notests=1 init_on_alloc=0' ;;
	functions-7.3) functions 7.3-bench ;;
	lines) lines 6.1-cloud ;;
	lines-7.3) lines 7.3-bench ;;
	lines-many)
		for kernel in 7.3-bench 6.1-cloud; do
			lines_many $kernel
		done
		;;
	lines-many-6.1) lines_many 6.1-cloud ;;
	lines-many-7.3) lines_many 7.3-bench ;;
	window | trailer) "$here/$part.sh" ;;
	tail) "$ROOT/tools/testing/qemu/run.sh" --kernel 7.3-uml --raw "$here/tail.sh" ;;
	memory) "$ROOT/tools/testing/qemu/run.sh" --kernel 6.1-cloud --raw "$here/memory.sh" ;;
	*) die "unknown part $part" ;;
	esac
done
if compgen -G "$OUT/*.results" >/dev/null; then
	/usr/bin/python3 -B "$here/report.py" "$OUT"
fi
