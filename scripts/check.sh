#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make check": set-up, static checks, builds, then per kernel a guest with the unit
# tests and the selftests.
#
#   TESTS="GLOB..."      only these tests: static/*, reference/*, build/*, sparse/*, qemu/*,
#                        kunit/*, selftests/*; a folder's name stands for what is in it
#   KERNELS="WORD..."    only on these kernels (kernel.sh --list); 6.1 is all of 6.1-*
#   JOBS=N               so many tests or guests at a time, default 2: an emulated guest
#                        seldom keeps more than one core busy
#
# A selftest runs on DEFAULT_KERNELS, or where its "# kernels: NAME..." says.
#
# One line per test, the whole output of what fails, and at the very end the line
# "N passed, N failed, N skipped". Exit status 1 if a test failed or none ran. What
# cannot run has failed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

DEFAULT_KERNELS='6.1-cloud 6.1-debug 6.12-cloud 7.3-kcsan'
read -r -a patterns <<<"${TESTS:-*}"
read -r -a words <<<"${KERNELS-}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
# Guests in the background do not see an interrupt by themselves.
trap 'trap "" INT TERM; kill 0; exit 130' INT TERM
results=$tmp/results
: >"$results"

wanted() {
	local pattern

	for pattern in "${patterns[@]}"; do
		# shellcheck disable=SC2053 # a glob is wanted here
		[[ $1 != $pattern && $1 != $pattern/* ]] || return 0
	done
	return 1
}

record() {
	printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"
}

# job CMD...: in the background, no more than JOBS at a time
running=0
job() {
	if ((running++ >= ${JOBS:-2})); then
		wait -n || true
	fi
	"$@" &
}

# try NAME CMD...: a test on this machine
try() {
	! wanted "$1" || job tried "$@"
}

tried() {
	local name=$1 start=${EPOCHREALTIME/./} status=ok output=$tmp/output-$BASHPID

	shift
	("$@") >"$output" 2>&1 </dev/null || status=FAILED
	[[ $status == ok ]] || sed -i 's/^/  | /' "$output"
	{
		printf '%-7shost %s (%d.%d s)\n' "$status" "$name" \
			$(((${EPOCHREALTIME/./} - start) / 1000000)) \
			$(((${EPOCHREALTIME/./} - start) / 100000 % 10))
		[[ $status == ok ]] || cat "$output"
	} >"$output.all"
	cat "$output.all"
	record "$status" host "$name"
}

# Our files by name, without what a build in the tree leaves (the patterns of .gitignore,
# also where there is no git).
files() {
	local pattern ignored=()

	while read -r pattern; do
		ignored+=(! -path "*/${pattern%/}" ! -path "*/${pattern%/}/*")
	done <.gitignore
	find . -path ./.git -prune -o -type f "${ignored[@]}" "$@" -print | sort
}

check_shellcheck() {
	# SC2317 takes functions that are called by their names in variables for dead
	files '(' -name '*.sh' -o -path './.ci/run' ')' | xargs shellcheck -e SC2317
}

check_python() {
	files -name '*.py' | xargs /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec")'
}

# Not asked for:
#   LINUX_VERSION_CODE              check_layout confines it to compat/
#   CONSTANT_COMPARISON             takes KERNEL_VERSION() for the misplaced constant
#   BIT_MACRO                       uapi headers have no BIT()
#   NETWORKING_BLOCK_COMMENT_STYLE  later kernels have given it up
# Tracepoint headers are no C that checkpatch understands.
check_checkpatch() {
	local dir tarball=/usr/src/linux-source-6.1.tar.xz

	dir=$CACHE/checkpatch-$(dpkg-query -W -f '${Version}' linux-source-6.1) || return
	if [[ ! -e $dir/checkpatch.pl ]]; then
		mkdir -p "$dir" &&
			tar -C "$dir" --occurrence=1 --strip-components=2 -xf "$tarball" \
				linux-source-6.1/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch} ||
			return
	fi
	files -path '*.[ch]' ! -name trace.h | xargs perl "$dir/checkpatch.pl" --no-tree --strict \
		--show-types --terse --no-summary --quiet \
		--ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON,BIT_MACRO,NETWORKING_BLOCK_COMMENT_STYLE -f
}

check_codespell() {
	files ! -path './patches/*' ! -name 'golden*' | xargs codespell
}

check_layout() {
	local bad=0

	if files | xargs wc -l | awk '$1 > 800 && $2 != "total" { print $2 ": " $1 " lines, more than 800" }' |
		grep .; then
		bad=1
	fi
	if files ! -name '*.md' ! -name '*.patch' ! -name series ! -name '*.json' ! -name '*.txt' \
		! -path './.*' ! -path ./COPYING |
		xargs grep -L SPDX-License-Identifier: | grep .; then
		echo "no SPDX line in these"
		bad=1
	fi
	if grep -rn 'LINUX_VERSION_CODE' net include tools/testing/kunit --include='*.[ch]' |
		grep -v '^net/xfrm_ext/compat/'; then
		echo "LINUX_VERSION_CODE outside compat/"
		bad=1
	fi
	return "$bad"
}

check_reference() {
	cd tools/testing/reference || return
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m unittest discover -p 'test_*.py'
}

# Whether a selftest is to run on a kernel
runs_on() {
	local line

	line=$(sed -n '/^[^#]/q; s/^# kernels: *//p' "$1")
	[[ " ${line:-$DEFAULT_KERNELS} " == *" $2 "* ]]
}

guest() {
	local kernel=$1 script name rc=0 scripts=() runner=tools/testing/qemu/run.sh

	if [[ $kernel == *-@(debug|kcsan|uml) ]] && wanted kunit/all; then
		scripts+=(tools/testing/qemu/guest/kunit.sh)
	fi
	for script in tools/testing/selftests/*.sh; do
		name=$(basename "$script" .sh)
		[[ $name != lib* && -e $script ]] || continue
		if wanted "selftests/$name" && runs_on "$script" "$kernel"; then
			scripts+=("$script")
		fi
	done
	((${#scripts[@]})) || return 0

	results=$tmp/results-$kernel
	: >"$results"
	[[ $kernel != *-uml ]] || runner=tools/testing/uml/run.sh
	"$runner" --kernel "$kernel" --results "$results" "${scripts[@]}" </dev/null 2>&1 ||
		rc=$?
	if ((rc)) && ! grep -q ^FAILED "$results"; then
		echo "FAILED $kernel guest: could not run ($rc)"
		record FAILED "$kernel" guest
	fi
}

scripts/setup.sh
mapfile -t kernels < <(scripts/kernel.sh --list "${words[@]}")
((${#kernels[@]})) || exit 2

try static/shellcheck check_shellcheck
try static/python check_python
try static/layout check_layout
try static/codespell check_codespell
try static/checkpatch check_checkpatch
try static/uapi scripts/check-uapi.py
try reference/unittest check_reference
try build/iproute2 scripts/iproute2.sh
for kernel in "${kernels[@]}"; do
	try "build/$kernel" scripts/module.sh "$kernel"
done
# The slowest first, or the others wait for it in the end
mapfile -t kernels < <(for kernel in "${kernels[@]}"; do
	echo "$(scripts/kernel.sh "$kernel" | sed -n 's/^factor=//p') $kernel"
done | sort -s -k 1,1nr | cut -d ' ' -f 2)
for kernel in "${kernels[@]}"; do
	job guest "$kernel"
done
# What fits in beside the last of them
try qemu/runner tools/testing/qemu/runner-selftest.sh
try static/model tools/testing/model/check.sh
for kernel in "${kernels[@]}"; do
	[[ $kernel != @(6.1-amd64|6.12-cloud|7.3-kcsan) ]] ||
		try "sparse/$kernel" scripts/module.sh --sparse "$kernel"
done
wait

count() {
	cat "$results"* | grep -c "^$1" || true
}
passed=$(count ok) failed=$(count FAILED) skipped=$(count SKIP)
if ((passed + failed == 0)); then
	log "no test ran: TESTS='${TESTS-}' KERNELS='${KERNELS-}'"
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
