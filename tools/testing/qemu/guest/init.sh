#!/usr/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest's first process: runs the scripts that /xfrm_ext/run.env names, one after
# the other, then final.sh, and tells the host by two ports what became of them: of virtio
# in QEMU, terminals in User-mode Linux.
#
# Port xfrm_ext.out carries the scripts' output and, after a byte that no text has and
# a word that only this run knows, what monitor.py reads:
#   begin NAME LIMIT     end NAME RC     verdict done     flaw TEXT
# Port xfrm_ext.tar carries what the scripts left in /out.
set -u
export PATH=/usr/bin:/usr/sbin HOME=/root TERM=${TERM:-linux}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
exec </dev/console >/dev/console 2>&1

# KERNEL_NAME TIME_FACTOR SHELL_MODE TOKEN SCRIPTS FINAL LIMIT PORTS and what --env added
# shellcheck source=/dev/null
. /xfrm_ext/run.env
export KERNEL_NAME TIME_FACTOR
cd /root || exit

# The scheduler's deadline servers have a race of their own in 7.3: what dl_server_timer() asks
# for the time that a task has run may start the very timer that it then forwards, which leaves
# a warning in the log where CPUs are late, as a host's processes are. No test needs them. (6.12
# has not that race, and warns of their being switched off.)
case $KERNEL_NAME in
7.3-uml*)
	for runtime in /sys/kernel/debug/sched/*_server/cpu*/runtime; do
		echo 0 >"$runtime"
	done
	;;
esac

# What the kernel switches on by patching code that every packet runs, it is to do now,
# when there are none, and once: time stamps (ping's), and the netfilter hooks (of no
# namespace that a test looks at). QEMU's emulation (7.2 and 10.0) can lose the moment
# between other CPUs' translating such code and its being written: they go on with the
# breakpoint that has stood there meanwhile, and the kernel dies of it.
/usr/bin/python3 -S -E -c 'import signal, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
open("/run/stamped", "w")
signal.pause()' &
keeper=$!
{
	echo 'add table inet keep'
	for hook in prerouting input forward output postrouting; do
		echo "add chain inet keep $hook { type filter hook $hook priority 0; }"
	done
} | nft -f -
until [[ -e /run/stamped ]]; do sleep 0.1; done
ip link set lo up

if ((SHELL_MODE)); then
	echo "Guest of $KERNEL_NAME. The tree's tests are in /xfrm_ext/tools/testing; 'poweroff -f' ends."
	cd /xfrm_ext/tools/testing || exit
	setsid cttyhack bash -i
	poweroff -f
fi

port() {
	local name

	for name in /sys/class/virtio-ports/*/name; do
		if [[ -e $name && $(<"$name") == "$1" ]]; then
			name=${name%/name}
			echo "/dev/${name##*/}"
			return
		fi
	done
	return 1
}

if [[ $PORTS ]]; then
	read -r out tar <<<"$PORTS"
	stty raw -echo <"$out"
	stty raw -echo <"$tar"
else
	modprobe -a virtio_pci virtio_console
	for _ in {1..100}; do
		out=$(port xfrm_ext.out) && tar=$(port xfrm_ext.tar) && [[ -e $out && -e $tar ]] && break
		sleep 0.1
	done
fi
if [[ ! -e $out || ! -e $tar ]]; then
	echo "init: no ports"
	poweroff -f
fi

# A port can be open once only: one relay has it, everyone else a pipe.
exec 3> >(exec cat >"$out")
relay=$!

tell() {
	printf '\x1e%s %s\n' "$TOKEN" "$*" >&3
}

# Processes that a script left behind; kernel threads have no command line.
kill_leftovers() {
	local dir pid line victims=()

	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[[ $pid == 1 || $pid == "$relay" || $pid == "$keeper" ]] && continue
		line=
		read -r -d '' line 2>/dev/null <"$dir/cmdline"
		[[ $line ]] && victims+=("$pid")
	done
	((!${#victims[@]})) || kill -9 "${victims[@]}" 2>/dev/null
}

# Seconds that a script may take: --limit, or its "# timeout: N", or 900: several times what any
# needs, for how fast a guest is depends on what else its machine does.
limit_of() {
	local line limit=900

	while read -r line && [[ $line == \#* ]]; do
		[[ $line == '# timeout: '* ]] && limit=${line##* }
	done <"$1"
	echo $((${LIMIT:-$((limit * TIME_FACTOR))}))
}

# Does every CPU's timer work? An emulated one, on a busy machine, can fall silent for ever:
# the CPU runs what others wake, and nothing that waits for time to pass. Nothing that a test
# finds there counts. Waits without timers itself. Sets silent.
timers_work() {
	local cpus cpu end=$((EPOCHSECONDS + 20 * TIME_FACTOR)) pids=()

	mapfile -t cpus < <(grep -Po '^processor\s*:\s*\K.*' /proc/cpuinfo)
	for cpu in "${cpus[@]}"; do
		taskset -c "$cpu" sleep 0.02 3>&- &
		pids[cpu]=$!
	done
	silent=''
	for cpu in "${cpus[@]}"; do
		while kill -0 "${pids[cpu]}" 2>/dev/null; do
			if ((EPOCHSECONDS > end)); then
				silent+=" $cpu"
				break
			fi
		done
	done
	[[ ! $silent ]]
}

# Was the kernel's own thread for RCU ready for a minute and not run, while every CPU was free
# to? No code does that which keeps a CPU busy; User-mode Linux has done it on a busy machine.
forgotten() {
	dd if=/dev/kmsg iflag=nonblock bs=16384 status=none 2>/dev/null |
		grep -q ';rcu: All QSes seen, last rcu_.* kthread activity'
}

# A flaw of the emulator's ends it all: monitor.py ends the guest
without_flaw() {
	if ! timers_work; then
		tell flaw "the timer of CPU$silent is silent"
	elif forgotten; then
		tell flaw "a thread of the kernel's was forgotten"
	else
		return
	fi
	while :; do sleep 1000; done
}

run() {
	local name=$1 script=$2 limit rc=0 pid timer

	limit=$(limit_of "$script")
	echo "xfrm_ext-test: begin $name" >/dev/kmsg
	tell begin "$name" "$limit"
	setsid bash "$script" </dev/null >&3 2>&1 3>&- &
	pid=$!
	sleep "$limit" 3>&- &
	timer=$!
	wait -n "$pid" "$timer" || rc=$?
	if kill -0 "$pid" 2>/dev/null; then
		rc=timeout
		echo w >/proc/sysrq-trigger
		echo l >/proc/sysrq-trigger
	fi
	disown "$timer"
	kill_leftovers
	ip -all netns delete
	tell end "$name" "$rc"
	echo "xfrm_ext-test: end $name $rc" >/dev/kmsg
	[[ $rc == 0 ]] || without_flaw
}

if [[ -e /sys/kernel/debug/kcsan ]]; then
	# It looks at every so many accesses only. Of our modules, and there are no others
	# that it watches, it can look at many more than usual.
	echo 200 >/sys/module/kcsan/parameters/skip_watch
	echo on >/sys/kernel/debug/kcsan
fi
[[ -e /sys/kernel/debug/kmemleak ]] && echo clear >/sys/kernel/debug/kmemleak
without_flaw
for entry in "${SCRIPTS[@]}"; do
	run "${entry%%=*}" "${entry#*=}"
done
((!FINAL)) || run guest /xfrm_ext/tools/testing/qemu/guest/final.sh
! forgotten || without_flaw
busybox tar -C /out -cf "$tar" .
tell verdict 'done'
exec 3>&-
wait "$relay"
poweroff -f
