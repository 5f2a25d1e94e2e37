#!/usr/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# After the last script of a boot: the module can go, nothing leaked, and the kernel
# has said nothing that it should not.
set -u

kmemleak=/sys/kernel/debug/kmemleak
kcsan=/sys/kernel/debug/kcsan
echo TAP version 13

# result NAME FILE: fails if the file says anything
result() {
	nr=$((nr + 1))
	if [[ -s $2 ]]; then
		sed 's/^/# /' "$2"
		echo "not ok $nr $1"
	else
		echo "ok $nr $1"
	fi
}
nr=0

report=/run/final
: >"$report"

# Its names, for traces that are read when the module is gone.
awk '$4 ~ /^\[xfrm_ext/ { print $1, $3 }' /proc/kallsyms | sort >"$report.symbols"

if [[ -e $kcsan ]]; then
	# What it found is in the log. That it found nothing says nothing if it was off.
	: >"$report"
	if [[ -s $report.symbols ]]; then
		awk '{ value[$1] = $2 }
			END { if (!value["enabled:"] || !value["setup_watchpoints:"]) print "it has not looked" }
		' $kcsan >"$report"
		sed -n 's/^setup_watchpoints:/# KCSAN looked so often:/p' $kcsan
	fi
	result kcsan "$report"
	: >"$report"
fi

for module in xfrm_ext_kunit xfrm_ext; do
	[[ -d /sys/module/$module ]] || continue
	# Namespaces and freed SAs go in the background. A packet that one CPU has freed
	# for another holds its SA until that one receives something, a fragment until its
	# queue's 30 seconds are over.
	for _ in {1..40}; do
		rmmod "$module" 2>"$report.why" && break
		for ((cpu = 0; cpu < $(nproc); cpu++)); do
			taskset -c "$cpu" ping -q -c 1 -W 1 127.0.0.1 >/dev/null
		done
		sleep 0.5
	done
	[[ -d /sys/module/$module ]] || continue
	echo "$module has $(</sys/module/$module/refcnt) references: $(<"$report.why")" >>"$report"
done
result unload "$report"

# Not reported are objects younger than five seconds, nor any that the scan before
# did not see with the same contents.
scan() {
	sleep 5.5
	echo scan >$kmemleak
	echo scan >$kmemleak
	# An address in the module that was stands as 0xffffffffc0001234.
	awk -v symbols="$report.symbols" '
		BEGIN { while ((getline < symbols) > 0) { address[++n] = $1; name[n] = $2 } }
		match($0, /\] 0x[0-9a-f]+$/) {
			at = substr($0, RSTART + 4)
			for (i = n; i && address[i] > at; i--)
				;
			if (i)
				$0 = $0 " " name[i]
		}
		{ print }
	' $kmemleak
}
# What of the modules has run, now that they are gone
gcov=/sys/kernel/debug/xfrm_ext_gcov
[[ ! -e $gcov ]] || cat $gcov >"${OUT:-/out}/gcov"

if [[ -e $kmemleak ]]; then
	scan >"$report.leaks"
	[[ ! -s $report.leaks ]] || scan >"$report.leaks"
	result kmemleak "$report.leaks"
fi

dd if=/dev/kmsg iflag=nonblock bs=16384 status=none 2>/dev/null >"$report.kmsg"
cp "$report.kmsg" "${OUT:-/out}/kmsg"
splat='WARNING:|BUG:|Oops|KASAN|UBSAN|KCSAN|kernel panic|general protection'
splat+='|possible (recursive|circular|irq lock)|inconsistent lock|suspicious RCU|Invalid wait context'
splat+='|INFO: (task|rcu)|soft lockup|hard LOCKUP|rcu.*(stall|detected)|workqueue lockup|refcount_t'
splat+='|unreferenced object|leaked|waiting for .* to become free|scheduling while atomic'
splat+='|sleeping function called|bad: scheduling|ODEBUG|list_(add|del) corruption|page allocation failure'
splat+='|xfrm_ext. enqueued on deprecated'
# Each with the script it came in, and what followed.
awk -v splat="$splat" '
	FNR == 1 && !/^[0-9]+,0,/ { print "the log has lost its beginning" }
	/;xfrm_ext-test: begin / { sub(/.*begin /, ""); test = $0; left = 0; next }
	/;xfrm_ext-test: / { next }
	$0 ~ splat { if (left <= 0) print "in " (test ? test : "boot") ":"; left = 40 }
	left-- > 0 { sub(/^[^;]*;/, ""); print }
	END { if (!NR) print "no log" }
' "$report.kmsg" >"$report"
result log "$report"
echo "1..$nr"
