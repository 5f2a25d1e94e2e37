#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Does the runner see what goes wrong? Guests whose scripts fail in every way that it
# must notice; says what it missed. Needs neither the module nor its tests. Most of it in
# User-mode Linux, where a guest is up at once; in QEMU what is about the emulator.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

dir=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$dir"' EXIT
bad=0
kernel=7.3-uml

# script NAME < its text
script() {
	cat >"$dir/$1.sh"
}

# expect TITLE STATUS SCRIPT...: boot, compare with the results on standard input
expect() {
	local title=$1 status=$2 rc=0 script scripts=()

	sed 's/ \+/\t/' >"$dir/expected"
	shift 2
	for script; do
		scripts+=("$dir/$script.sh")
	done
	rm -f "$dir/results"
	"$ROOT/tools/testing/qemu/run.sh" --kernel "$kernel" --no-module --out "$dir/out" \
		--results "$dir/results" "${scripts[@]}" >"$dir/output" 2>&1 </dev/null || rc=$?
	cut -f 1,3 "$dir/results" >"$dir/got" || true
	if ! diff -u "$dir/got" "$dir/expected" >"$dir/diff" || ((rc != status)); then
		bad=1
		echo "$title, $kernel: exit status $rc, should be $status; results (-got +should):"
		cat "$dir/diff"
		cat "$dir/output"
	fi
}

script good <<-'END'
	echo 1..2; echo "ok 1 a"; echo "ok 2 b # SKIP why"
END
script fails <<-'END'
	echo "not ok 1 a"; echo 1..1; exit 1
END
script short <<-'END'
	echo 1..2; echo "ok 1 a"
END
script status <<-'END'
	echo 1..1; echo "ok 1 a"; exit 3
END
script silent <<-'END'
	exit 0
END
script nested <<-'END'
	printf '    # Subtest: s\n    1..2\n    ok 1 a\n    not ok 2 b\nnot ok 1 s\n'
END
# Neither does the guest wait for it, nor for what it has left behind.
script hangs <<-'END'
	# timeout: 2
	trap '' TERM INT
	(trap '' TERM; while :; do sleep 1; done) &
	echo 1..1
	while :; do sleep 1; done
END
script warns <<-'END'
	echo "WARNING: CPU: 0 PID: 1 at nowhere" >/dev/kmsg; echo 1..1; echo "ok 1 a"
END
script races <<-'END'
	echo "BUG: KCSAN: data-race in a / b" >/dev/kmsg; echo 1..1; echo "ok 1 a"
END
# Every kernel can be made to die of this
script panics <<-'END'
	echo 1..1; sysctl -qw vm.panic_on_oom=2; tail /dev/zero; sleep 30
END
script leaves <<-'END'
	echo 1..1; poweroff -f
END
# As the kernel says it when the emulator has run what is not there
script stale <<-'END'
	echo 1..1
	echo "ok 1 a"
	printf '%s\n' '<0>Oops: int3: 0000 [#1] SMP' '<0>Code: 31 c0 eb <7f> 0f 1f' \
		'<0>end' >/dev/kmsg
	sleep 1
	echo c >/proc/sysrq-trigger
	sleep 30
END
# A breakpoint that is there is a bug
script breakpoint <<-'END'
	echo 1..1
	printf '%s\n' '<0>Oops: int3: 0000 [#1] SMP' '<0>Code: 31 c0 cc <7f> 0f 1f' \
		'<0>end' >/dev/kmsg
	sleep 1
	echo c >/proc/sysrq-trigger
	sleep 30
END
# CPU 1's timer, as it seems
script timer <<-'END'
	printf '#!/bin/bash\n[[ $2 != 1 ]] || exec sleep 1000\nshift 2\nexec "$@"\n' >/tmp/taskset
	chmod +x /tmp/taskset
	mount --bind /tmp/taskset "$(readlink -f "$(type -p taskset)")"
	exit 1
END
# As the kernel says it when User-mode Linux has forgotten a thread
script forgets <<-'END'
	echo 1..1
	echo "ok 1 a"
	echo 'rcu: All QSes seen, last rcu_preempt kthread activity 5841 (2-1), jiffies_till_next_fqs=1' >/dev/kmsg
END
script files <<-'END'
	echo kept >/out/file; echo 1..1; echo "ok 1 a"
END

expect "failing scripts" 1 good fails short status silent nested hangs warns races files <<-'END'
	ok good: a
	SKIP good: b
	FAILED fails: a
	ok short: a
	FAILED short: script
	ok status: a
	FAILED status: script
	FAILED silent: script
	ok nested: s.a
	FAILED nested: s.b
	FAILED hangs: script
	ok warns: a
	ok races: a
	ok files: a
	ok guest: unload
	FAILED guest: log
END
for script in warns races; do
	if ! grep -q "in $script:" "$dir/output"; then
		bad=1
		echo "what $script left in the log was not seen"
	fi
done
if [[ $(cat "$dir/out/file") != kept ]]; then
	bad=1
	echo "a file of the guest's did not come back"
fi
expect "a panic" 1 panics good <<-'END'
	FAILED panics: script
	FAILED good: script
	FAILED guest: script
END
expect "a guest that goes" 1 leaves <<-'END'
	FAILED leaves: script
	FAILED guest: script
END
expect "all is well" 0 good <<-'END'
	ok good: a
	SKIP good: b
	ok guest: unload
	ok guest: log
END
expect "a forgotten thread, twice" 1 forgets good <<-'END'
	FAILED guest: emulator
END
if [[ $(grep -c "a thread of the kernel's was forgotten: nothing of this run counts" "$dir/output") != 2 ]]; then
	bad=1
	echo "a forgotten thread was not seen"
fi
kernel=6.1-cloud
expect "a breakpoint" 1 breakpoint <<-'END'
	FAILED breakpoint: script
	FAILED guest: script
END
expect "the emulator's breakpoint, twice" 1 stale good <<-'END'
	FAILED guest: emulator
END
if [[ $(grep -c 'nothing of this run counts' "$dir/output") != 2 ]]; then
	bad=1
	echo "what the emulator has killed was not run again"
fi
expect "the emulator's timers, twice" 1 timer good <<-'END'
	FAILED guest: emulator
END
if [[ $(grep -c 'the timer of CPU 1 is silent: nothing of this run counts' "$dir/output") != 2 ]]; then
	bad=1
	echo "a timer that is silent was not seen"
fi
# aborts STATUS [--native]: what it says of a guest that aborts
aborts() {
	local rc=0

	"$ROOT/tools/testing/qemu/monitor.py" --kernel "$kernel" --token none --out "$dir/out" \
		"${@:2}" -- sh -c 'kill -ABRT $$' >"$dir/output" 2>&1 || rc=$?
	((rc != $1)) || return 0
	bad=1
	echo "what aborted, ${2-an emulator}: exit status $rc, should be $1"
	cat "$dir/output"
}
aborts 3
# A kernel that is a process aborts when it panics
aborts 1 --native
exit "$bad"
