#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run scripts in User-mode Linux: the kernel as a process, on this machine's own CPUs,
# up within a second. Needs no root.
#
#   run.sh [--kernel NAME] [--results FILE] SCRIPT...
#
#   --kernel NAME         default 7.3-uml
#   --results FILE        append a line per test, see monitor.py
#
# The root is this machine's, read-only; the tree's modules are loaded. There is no
# network but lo, and no patched ip: this is for unit tests. A script is as in
# ../qemu/run.sh, and what happens after the last one is, too.
#
# Exit status: 0 all is well, 1 something failed, 2 could not run.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

kernel=7.3-uml results='' scripts=()
while (($#)); do
	case $1 in
	--kernel) kernel=$2; shift ;;
	--results) results=$2; shift ;;
	-*) die "unknown option $1" ;;
	*) scripts+=("$1") ;;
	esac
	shift
done
((${#scripts[@]})) || die "nothing to run"

answer=$("$ROOT/scripts/kernel.sh" "$kernel")
eval "$answer"
: "${vmlinuz:?}" "${factor:?}"
modules=$("$ROOT/scripts/module.sh" "$kernel")

tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

entries=() expect=(--expect guest)
for script in "${scripts[@]}" "$ROOT/tools/testing/qemu/guest/final.sh"; do
	path=$(realpath -e "$script") || die "no script $script"
	name=$(basename "$path" .sh)
	[[ $name != final ]] || name=guest
	entries+=("$name=$path")
	expect+=(--expect "$name")
done
{
	printf '%s=%q\n' TOKEN "$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')" \
		KERNEL_NAME "$kernel" TIME_FACTOR "$factor" MODULES "$modules"
	printf 'SCRIPTS=('
	printf '%q ' "${entries[@]}"
	printf ')\n'
} >"$tmp/env"
token=$(sed -n 's/^TOKEN=//p' "$tmp/env")

cpus=$(nproc)
cpus=$((cpus < 2 ? 2 : cpus > 8 ? 8 : cpus))
# Its memory is a file in TMPDIR: /dev/shm may be small.
command=(
	env "TMPDIR=$tmp" "$vmlinuz" "mem=512M" "ncpus=$cpus" seccomp=on "uml_dir=$tmp/"
	root=/dev/root rootfstype=hostfs ro "init=$ROOT/tools/testing/uml/init.sh"
	"XFRM_EXT_ENV=$tmp/env" con=null 'con0=null,fd:1' loglevel=4 panic=-1 oops=panic
)
: >"$tmp/console.log"
# shellcheck disable=SC2016 # for the inner shell
/usr/bin/python3 "$ROOT/tools/testing/qemu/monitor.py" --kernel "$kernel" --token "$token" \
	--out "$tmp" ${results:+--results "$results"} "${expect[@]}" -- \
	bash -c 'exec 2>"$1"; shift; exec "$@"' - "$tmp/console.log" "${command[@]}"
