#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Boot a kernel, run scripts in the guest, bring back the verdict. Needs no root.
#
#   run.sh --kernel NAME [OPTION]... SCRIPT...
#   run.sh --kernel NAME --shell        a shell in the guest, on this terminal
#
#   --smp N, --mem MIB    default 4 and 1024
#   --icount              emulated on one CPU, whose clock counts instructions: one a
#                         nanosecond (for benches; other load on this machine changes nothing)
#   --plugin FILE,...     a plugin for QEMU, and words for it
#   --timeout SECONDS     for everything; default: only what each script may take
#   --limit SECONDS       for each script, in place of what it says
#   --append TEXT         more words for the kernel's command line
#   --env NAME=VALUE      a variable for the scripts
#   --out DIR             what the scripts put into /out, console.log and kmsg
#   --raw                 show what the scripts print as it comes, and nothing else; what
#                         counts is their exit status (for the demo)
#   --results FILE        append a line per test, see monitor.py
#   --with NAME           what scripts/NAME.sh fetches or builds, too
#   --no-module           without xfrm_ext, --no-final without the checks at the end
#                         (both for testing the runner)
#
# A script is a file on this machine: one of tools/testing is found at its place in
# /xfrm_ext/tools/testing, any other in /xfrm_ext/extra. It prints KTAP, and may say
# "# timeout: SECONDS" in its leading comment (default 900), which is multiplied by the
# kernel's factor (kernel.sh), and "# needs: NAME..." for what a guest does not have
# otherwise: scripts/NAME.sh fetches it. Then guest/final.sh looks for splats, leaks, and a
# module that stays.
#
# KVM is used if a guest really boots under it; XFRM_EXT_ACCEL=tcg or kvm overrides. User-mode
# Linux is a process of its own: same root, same scripts, no emulator.
#
# Exit status: 0 all is well, 1 something failed, 2 could not run.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

QEMU_DIR=$ROOT/tools/testing/qemu

kernel='' smp=4 mem=1024 timeout=0 limit='' append='' out='' raw='' results='' shell=0 final=1 icount=''
mkargs=() env=() scripts=() plugin=()
while (($#)); do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--smp) smp=$2; shift ;;
	--mem) mem=$2; shift ;;
	--icount) icount=1 ;;
	--plugin) plugin=(-plugin "$2"); shift ;;
	--timeout) timeout=$2; shift ;;
	--limit) limit=$2; shift ;;
	--append) append=$2; shift ;;
	--env) env+=("$2"); shift ;;
	--out) out=$2; shift ;;
	--results) results=$2; shift ;;
	--raw) raw=1 ;;
	--shell) shell=1 ;;
	--with) mkargs+=(--with "$2"); shift ;;
	--no-module) mkargs+=(--no-module) ;;
	--no-final) final=0 ;;
	-*) die "unknown option $1" ;;
	*) scripts+=("$1") ;;
	esac
	shift
done
[[ $kernel ]] || die "needs --kernel NAME: $("$ROOT/scripts/kernel.sh" --list | tr '\n' ' ')"
((shell || ${#scripts[@]})) || die "nothing to run"

# A kernel that starts proves KVM; that the device exists does not.
: "${vmlinuz:=}" "${factor:=}" "${arch:=}"	# set by kernel.sh's answer
kvm_works() {
	local known dir answer=tcg

	[[ -r /dev/kvm && -w /dev/kvm ]] || return
	known=$CACHE/accel-$( (cat /proc/sys/kernel/random/boot_id; id -u
		"$qemu" --version) | hash_of)
	if [[ ! -e $known ]]; then
		dir=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
		mkdir "$dir/root"
		cp -L "$(command -v busybox)" "$dir/root/busybox"
		printf '#!/busybox sh\n/busybox echo guest-runs\n/busybox poweroff -f\n' >"$dir/root/init"
		chmod +x "$dir/root/init"
		(cd "$dir/root" && find . | cpio --quiet -o -H newc) >"$dir/initrd"
		(timeout -k 1 5 "$qemu" -accel kvm -cpu host -m 256 -nodefaults \
			-no-user-config -display none -no-reboot -serial "file:$dir/console" \
			-kernel "$vmlinuz" -initrd "$dir/initrd" \
			-append 'console=ttyS0 quiet panic=-1' || true) >/dev/null 2>&1 </dev/null
		! grep -q guest-runs "$dir/console" 2>/dev/null || answer=kvm
		rm -rf "$dir"
		echo "$answer" >"$known"
	fi
	[[ $(<"$known") == kvm ]]
}

# The speed of this machine's TSC, measured once per boot
tsc_khz() {
	local known

	known=$CACHE/tsc-khz-$(hash_of </proc/sys/kernel/random/boot_id)
	if [[ ! -s $known ]]; then
		gcc -O2 -o "$tmp/tsc-khz" "$QEMU_DIR/tsc-khz.c"
		"$tmp/tsc-khz" >"$tmp/khz"
		mv "$tmp/khz" "$known"
	fi
	cat "$known"
}

answer=$("$ROOT/scripts/kernel.sh" "$kernel")
eval "$answer"
# Where init.sh finds what of QEMU's are virtio ports
ports=''
[[ $arch != um ]] || ports='/dev/tty1 /dev/tty2'

tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
drop=$tmp
trap 'rm -rf "$tmp" "$drop"' EXIT
if [[ ! $out ]]; then
	out=$CACHE/runs/$kernel-$$
	drop=$out
fi
mkdir -p "$out"
out=$(realpath "$out")

entries=() expect=()
for script in "${scripts[@]}"; do
	path=$(realpath -e "$script") || die "no script $script"
	name=$(basename "$path" .sh)
	case $path in
	"$ROOT"/tools/testing/*)
		inside=/xfrm_ext${path#"$ROOT"}
		name=${path#"$ROOT"/tools/testing/}
		name=${name%.sh}
		name=${name#qemu/guest/}
		;;
	*)
		inside=/xfrm_ext/extra/$(basename "$path")
		mkargs+=(--extra "$path")
		;;
	esac
	for need in $(head_says needs "$path"); do
		mkargs+=(--with "$need")
	done
	entries+=("$name=$inside")
	expect+=(--expect "$name")
done
((!final || shell)) || expect+=(--expect guest)
token=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

{
	for assignment in "${env[@]}"; do
		printf 'export %s=%q\n' "${assignment%%=*}" "${assignment#*=}"
	done
	declare -p token | sed 's/token=/TOKEN=/'
	printf '%s=%q\n' KERNEL_NAME "$kernel" TIME_FACTOR "$factor" \
		SHELL_MODE "$shell" FINAL "$final" LIMIT "$limit" PORTS "$ports"
	printf 'SCRIPTS=('
	((!${#entries[@]})) || printf '%q ' "${entries[@]}"
	printf ')\n'
} >"$tmp/env"
"$QEMU_DIR/mkinitramfs.sh" --kernel "$kernel" --out "$tmp/initrd" --env "$tmp/env" "${mkargs[@]}" ||
	die "no initramfs"

words='loglevel=5 log_buf_len=8M panic=-1 oops=panic'

# Sets command
by_qemu() {
	local qemu accel=${XFRM_EXT_ACCEL-} machine

	qemu=$("$ROOT/scripts/qemu.sh")
	words+=' console=ttyS0 random.trust_cpu=on rdinit=/init'
	if [[ ! $accel ]]; then
		if kvm_works; then accel=kvm; else accel=tcg; fi
	fi
	[[ ! $icount ]] || accel=icount
	case $accel in
	kvm) machine=(-accel kvm -cpu host) ;;
	tcg)
		# Without five-level paging: while a kernel finds out again which CPU it is on,
		# it forgets for a moment that it has that, and KASAN, asked by an interrupt just
		# then, takes every address for a wild one
		machine=(-accel 'tcg,thread=multi' -cpu 'max,la57=off')
		# The guest takes the TSC for unstable and reads the slow HPET instead; emulated,
		# it is the host's counter on every CPU. Its speed it must be told.
		words+=" tsc=reliable clocksource=tsc tsc_early_khz=$(tsc_khz)"
		# Detours around bugs that an emulated CPU has not: a quarter of the time
		words+=' mitigations=off'
		# A CPU's reset and start come at once on modern hardware. Emulated, on a busy
		# machine, the start can get lost, and the kernel waits for that CPU for ever.
		words+=' cpu_init_udelay=20000'
		;;
	icount)
		machine=(-accel 'tcg,thread=single' -icount shift=0 -cpu 'max,la57=off')
		smp=1
		words+=' tsc=reliable clocksource=tsc tsc_early_khz=1000000 mitigations=off nokaslr'
		;;
	*) die "XFRM_EXT_ACCEL is kvm or tcg" ;;
	esac
	command=(
		"$qemu" -machine q35 "${machine[@]}" -smp "$smp" -m "$mem"
		-nodefaults -no-user-config -display none -no-reboot "${plugin[@]}"
		-kernel "$vmlinuz" -initrd "$tmp/initrd" -append "$words $append"
	)
	if ((shell)); then
		command+=(-serial mon:stdio)
		return
	fi
	command+=(
		-serial "file:$out/console.log" -device virtio-serial-pci
		-chardev 'file,id=out,path=/dev/stdout'
		-device 'virtserialport,chardev=out,name=xfrm_ext.out'
		-chardev "file,id=tar,path=$out/files.tar"
		-device 'virtserialport,chardev=tar,name=xfrm_ext.tar'
	)
}

# The same for User-mode Linux. Its root is what the initramfs has in it, unpacked. Its memory
# is a file in TMPDIR: /dev/shm may be small.
by_itself() {
	local more

	mkdir "$tmp/root" "$tmp/memory"
	# One archive behind the other, until there is none
	while (cd "$tmp/root" && cpio --quiet -id 2>/dev/null); do :; done <"$tmp/initrd"
	[[ -x $tmp/root/init ]] || die "cannot unpack the root"
	rm "$tmp/initrd"
	read -r -a more <<<"$words $append"
	command=(
		env "TMPDIR=$tmp/memory" "$vmlinuz" "mem=${mem}M" "ncpus=$smp" seccomp=on
		"uml_dir=$tmp/" "hostfs=$tmp/root" root=/dev/root rootfstype=hostfs rw init=/init
		"${more[@]}" con=null
	)
	if ((shell)); then
		command+=('con0=fd:0,fd:1')
		return
	fi
	# It aborts when it panics, and need not leave its memory behind
	# shellcheck disable=SC2016 # for the inner shell
	command=(bash -c 'ulimit -c 0; exec 2>>"$1/console.log" 3>"$1/files.tar"; shift; exec "$@"' - "$out"
		"${command[@]}" 'con0=null,fd:2' 'con1=null,fd:1' 'con2=null,fd:3')
}

if [[ $arch == um ]]; then by_itself; else by_qemu; fi
if ((shell)); then
	"${command[@]}"
	exit
fi

# The emulator can run the breakpoint that stood in code while the kernel patched it on
# another CPU, after it is gone. init.sh keeps away from that as far as it can. Or a CPU's
# timer falls silent, or, seldom, it fails an assertion of its own, and aborts; User-mode Linux
# forgets a thread. Once is bad luck: then all is run again, from the beginning.
for _ in 1 2; do
	: >"$out/console.log"
	rm -f "$tmp/results"
	rc=0
	/usr/bin/python3 "$QEMU_DIR/monitor.py" --kernel "$kernel" --token "$token" --out "$out" \
		--timeout "$timeout" ${raw:+--raw} ${ports:+--native} --results "$tmp/results" \
		"${expect[@]}" -- "${command[@]}" || rc=$?
	((rc == 3)) || break
done
if ((rc == 3)); then
	echo "FAILED $kernel guest: killed by the emulator, twice"
	printf 'FAILED\t%s\tguest: emulator\t0\n' "$kernel" >"$tmp/results"
	rc=1
fi
[[ ! $results || ! -e $tmp/results ]] || cat "$tmp/results" >>"$results"
if [[ -s $out/files.tar ]]; then
	tar -C "$out" --no-same-owner -xf "$out/files.tar" 2>/dev/null || true
fi
rm -f "$out/files.tar"
if ((rc)); then
	log "console.log, kmsg and more: $out"
	drop=$tmp
fi
exit "$rc"
