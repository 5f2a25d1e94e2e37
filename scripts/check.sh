#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# "make check" and "make check-full": set-up, static checks, builds, then per kernel a guest
# with the unit tests and the selftests.
#
#   FULL=1               everything, on every kernel, whole matrices. Without it, what tells within
#                        minutes whether the product works: on QUICK_KERNELS the selftests
#                        that name the kernel in a line "# check: NAME...", with some of each matrix
#   TESTS="GLOB..."      only these tests: static/*, reference/*, build/*, sparse/*, qemu/*,
#                        kunit/*, selftests/*; a folder's name stands for what is in it
#   KERNELS="WORD..."    only on these kernels (kernel.sh --list); 6.1 is all of 6.1-*.
#                        Everything that runs there, as with FULL=1
#   COVERAGE=DIR         what guests have counted of what runs is put there, see coverage.sh
#   JOBS=N               so many tests or guests at a time, by default one more than there are
#                        CPUs: an emulated guest seldom keeps one quite busy
#
# A selftest runs on DEFAULT_KERNELS, or where its "# kernels: NAME..." says; one with a line
# "# append: WORD..." runs in a guest of its own, whose kernel gets these words, and one with
# "# needs: NAME..." in a guest of its own that has these programs (see run.sh). Which kernel
# is for what: tools/testing/README.md. 7.3-uml does everything; the others, which are emulated
# and take several times as long, what they are there for.
#
# One line per test, the whole output of what fails; at the end once more what has failed,
# with the last lines of that, and as the very last the line "N passed, N failed, N skipped".
# Exit status 1 if a test failed or none ran. What cannot run has failed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

DEFAULT_KERNELS='6.1-cloud 6.12-cloud 7.3-uml'
# None of these takes more than one kernel to be built
QUICK_KERNELS='6.1-cloud 6.1-amd64 6.12-cloud 7.3-uml'
quick=1
[[ ! ${FULL-} && ! ${KERNELS-} ]] || quick=''
read -r -a patterns <<<"${TESTS:-*}"
read -r -a words <<<"${KERNELS:-${quick:+$QUICK_KERNELS}}"
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
running=0 jobs=${JOBS:-$(($(nproc) + 1))}
job() {
	if ((running++ >= jobs)); then
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
	[[ $status == ok ]] || cp "$output.all" "$tmp/failed-${name//\//-}"
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
	local file

	# It lets pass what bash does not
	for file in $(files -name '*.sh'); do
		bash -n "$file" || return
	done
	# SC2317 takes functions that are called by their names in variables for dead
	files '(' -name '*.sh' -o -path './.ci/run' ')' | xargs shellcheck -e SC2317
}

check_python() {
	files -name '*.py' | xargs /usr/bin/python3 -c '
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec")' &&
		# esp64.py imports what others take from it
		files -name '*.py' ! -name esp64.py | xargs pyflakes3 &&
		{ pyflakes3 tools/testing/reference/esp64.py || true; } | sed '/imported but unused/d' |
		diff /dev/null -
}

# Not asked for:
#   LINUX_VERSION_CODE              check_layout confines it to compat/
#   CONSTANT_COMPARISON             takes KERNEL_VERSION() for the misplaced constant
#   BIT_MACRO                       uapi headers have no BIT()
#   NETWORKING_BLOCK_COMMENT_STYLE  later kernels have given it up
# Tracepoint headers are no C that checkpatch understands; the plugin's style is
# strongSwan's.
#
# Not of a program either: sentences on standard output, in one piece each, the C library's own
# words (attributes, PRIu64), and names and macros of iproute2 that stand in for its own. What makes
# a function of each line (faults.c) declares it, too, and its lines are no statements
check_checkpatch() {
	local not_asked_for=(LINUX_VERSION_CODE CONSTANT_COMPARISON BIT_MACRO NETWORKING_BLOCK_COMMENT_STYLE)
	local not_of_programs=(LONG_LINE_STRING PREFER_DEFINED_ATTRIBUTE_MACRO CAMELCASE MACRO_ARG_REUSE
		NEW_TYPEDEFS FUNCTION_ARGUMENTS)
	local not_of_faults=(MACRO_ARG_REUSE AVOID_EXTERNS LEADING_SPACE MULTISTATEMENT_MACRO_USE_DO_WHILE)
	local dir tarball=/usr/src/linux-source-6.1.tar.xz

	dir=$CACHE/checkpatch-$(dpkg-query -W -f '${Version}' linux-source-6.1) || return
	if [[ ! -e $dir/checkpatch.pl ]]; then
		mkdir -p "$dir" &&
			tar -C "$dir" --occurrence=1 --strip-components=2 -xf "$tarball" \
				linux-source-6.1/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch} ||
			return
	fi
	checkpatch() { # type-not-asked-for...
		xargs perl "$dir/checkpatch.pl" --no-tree --strict \
			--show-types --terse --no-summary --quiet --ignore "$(printf '%s,' "$@")" -f
	}
	files -path '*.[ch]' ! -name trace.h ! -path './tools/strongswan/*' ! -path './tools/xfrm-ext/*' \
		! -path './tools/testing/faults/*' | checkpatch "${not_asked_for[@]}" || return
	files -path './tools/testing/faults/*.[ch]' |
		checkpatch "${not_asked_for[@]}" "${not_of_faults[@]}" || return
	files -path './tools/xfrm-ext/*.[ch]' | checkpatch "${not_asked_for[@]}" "${not_of_programs[@]}"
}

check_codespell() {
	files ! -path './patches/*' ! -name 'golden*' | xargs codespell
}

check_layout() {
	local bad=0 script line kernel

	# A specification is one file
	if files ! -path './Documentation/netlink/specs/*' | xargs wc -l | awk '$1 > 800 && $2 != "total" { print $2 ": " $1 " lines, more than 800" }' |
		grep .; then
		bad=1
	fi
	if files ! -name '*.md' ! -name '*.patch' ! -name series ! -name '*.json' ! -name '*.txt' \
		! -path './.*' ! -path ./COPYING ! -path ./MAINTAINERS ! -path './tools/packaging/debian/*' |
		xargs grep -L SPDX-License-Identifier: | grep .; then
		echo "no SPDX line in these"
		bad=1
	fi
	if grep -rn 'LINUX_VERSION_CODE' net include tools/testing/kunit --include='*.[ch]' |
		grep -v '^net/xfrm_ext/compat/'; then
		echo "LINUX_VERSION_CODE outside compat/"
		bad=1
	fi
	# What a script asks for in vain would never be missed
	for script in tools/testing/selftests/*.sh; do
		line=$(head_says kernels "$script")
		for kernel in $(head_says check "$script"); do
			if [[ " $QUICK_KERNELS " != *" $kernel "* ||
				" ${line:-$DEFAULT_KERNELS} " != *" $kernel "* ]]; then
				echo "$script: does not run on $kernel in make check, as it says"
				bad=1
			fi
		done
	done
	return "$bad"
}

# And that it is refused if not so
check_layers() {
	local dir objects

	objects=$(scripts/module.sh 6.1-amd64) && scripts/check-layers.py "$objects" || return
	dir=$(mktemp -d) || return
	cp -r --parents scripts/check-layers.py net Documentation/architecture.rst "$dir"
	echo '#include "control.h"' >>"$dir/net/xfrm_ext/format.c"
	{ "$dir/scripts/check-layers.py" || true; } | diff - <(echo 'format.c: includes control.h, which stands behind it') ||
		return
	sed -i /control.h/d "$dir/net/xfrm_ext/format.c"
	# Nor a call: both have the same headers
	sed -i '/^ \*\tlife.c/d; s/^ \*\tannounce.c/ *\tlife.c\n&/' "$dir/net/xfrm_ext/main.c"
	{ "$dir/scripts/check-layers.py" "$objects" || true; } |
		grep -qx 'life.c: uses xe_announce_release of announce.c, which stands behind it' || return
	rm -r "$dir"
}

# A kernel that will do, and two that will not, are told apart
check_config() {
	local dir

	dir=$(mktemp -d) || return
	mkdir -p "$dir/include/config"
	printf 'CONFIG_%s=y\n' 64BIT MODULES NET INET IPV6 NETFILTER XFRM XFRM_USER INET_ESP \
		INET6_ESP CRYPTO_AES CRYPTO_GCM >"$dir/include/config/auto.conf"
	{
		scripts/check-config.sh "$dir"
		echo CONFIG_PREEMPT_RT=y >>"$dir/include/config/auto.conf"
		scripts/check-config.sh "$dir" || echo "refused"
		sed -i /NETFILTER/d "$dir/include/config/auto.conf"
		scripts/check-config.sh "$dir" || echo "refused"
	} >"$dir/said" 2>&1
	diff - "$dir/said" <<-EOF || return
		the kernel of $dir has CONFIG_PREEMPT_RT, with which xfrm_ext does not run
		refused
		the kernel of $dir lacks CONFIG_NETFILTER
		refused
	EOF
	rm -r "$dir"
}

# And that each kind of mismatch would be found
check_uapi() {
	scripts/check-uapi.py && scripts/check-uapi.py --selftest
}

# Nothing is said of it
check_unit() {
	local dir

	dir=$(mktemp -d) || return
	sed 's|/opt/xfrm_ext/sbin/ip |/bin/true |' tools/systemd/xfrm-ext-rules.service \
		>"$dir/xfrm-ext-rules.service"
	sed 's|/opt/xfrm_ext/sbin/xfrm-ext-steer |/bin/true |' tools/steer/xfrm-ext-steer@.service \
		>"$dir/xfrm-ext-steer@.service"
	systemd-analyze verify --man=no "$dir/"{xfrm-ext-rules,xfrm-ext-steer@}.service 2>&1 |
		diff /dev/null - || return
	rm -r "$dir"
}

check_reference() {
	cd tools/testing/reference || return
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m unittest discover -p 'test_*.py'
}

# Whether a selftest is to run on a kernel. On one that no script can name, what is asked for.
runs_on() {
	local line

	[[ $2 != debian-* ]] || return 0
	line=$(head_says kernels "$1")
	[[ " ${line:-$DEFAULT_KERNELS} " == *" $2 "* ]] || return
	[[ ! $quick || " $(head_says check "$1") " == *" $2 "* ]]
}

# The selftests, and the unit tests, that are to run on a kernel
scripts_on() { # kernel
	local script name

	if [[ $1 == *-@(debug|kcsan|uml) ]] && wanted kunit/all; then
		echo tools/testing/qemu/guest/kunit.sh
	fi
	for script in tools/testing/selftests/*.sh; do
		name=$(basename "$script" .sh)
		[[ $name != @(lib|lib-*) && -e $script ]] || continue
		if wanted "selftests/$name" && runs_on "$script" "$1"; then
			echo "$script"
		fi
	done
}

# What is for one kernel may be for several guests, which have every so-manieth script each
guest() { # kernel guest guests
	local kernel=$1 script n=0 scripts=() alone=()

	while read -r script; do
		if ((n++ % $3 != $2)); then
			continue
		elif [[ $(head_says append "$script")$(head_says needs "$script") ]]; then
			alone+=("$script")
		else
			scripts+=("$script")
		fi
	done < <(scripts_on "$kernel")
	results=$tmp/results-$kernel-$2
	: >"$results"
	((!${#scripts[@]})) || guest_run "$kernel" "$results" "${scripts[@]}"
	for script in "${alone[@]}"; do
		guest_run "$kernel" "$results" --append "$(head_says append "$script")" "$script"
	done
}

guests_run=0
guest_run() { # kernel results [option...] script...
	local rc=0 kernel=$1 results=$2 name=${2##*/results-} failed

	shift 2
	failed=$(grep -c ^FAILED "$results" || true)
	tools/testing/qemu/run.sh --kernel "$kernel" ${quick:+--env QUICK=1} --results "$results" \
		${COVERAGE:+--env SOME=1 --out "$COVERAGE/$name-$((++guests_run))"} "$@" </dev/null 2>&1 |
		tee -a "$tmp/guest-$name" || rc=$?
	((!rc)) || cp "$tmp/guest-$name" "$tmp/failed-$name"
	if ((rc)) && [[ $(grep -c ^FAILED "$results") == "$failed" ]]; then
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
try static/layers check_layers
try static/codespell check_codespell
try static/checkpatch check_checkpatch
try static/uapi check_uapi
try static/config check_config
try static/unit check_unit
try static/patches scripts/check-patches.sh --selftest
try static/packaging scripts/check-packaging.sh --selftest
try reference/unittest check_reference
try build/iproute2 scripts/iproute2.sh
try build/strongswan-plugin scripts/strongswan-plugin.sh
try build/steer scripts/steer.sh
try build/xfrm-ext scripts/xfrm-ext.sh
try build/bench tools/testing/bench/run.sh build
for kernel in "${kernels[@]}"; do
	try "build/$kernel" scripts/module.sh "$kernel"
done
# Those with most to do first, or the others wait for them in the end
mapfile -t kernels < <(for kernel in "${kernels[@]}"; do
	factor=$(scripts/kernel.sh "$kernel" | sed -n 's/^factor=//p')
	echo "$(($(scripts_on "$kernel" | wc -l) * factor)) $kernel"
done | sort -s -k 1,1nr | cut -d ' ' -f 2)
for kernel in "${kernels[@]}"; do
	case $kernel in
	# It does by far the most, and waits for half of the time
	*-uml)
		job guest "$kernel" 0 2
		job guest "$kernel" 1 2
		;;
	*) job guest "$kernel" 0 1 ;;
	esac
done
# What fits in beside the last of them
sparse='6.1-amd64 6.12-cloud 7.3-kcsan'
if [[ $quick ]]; then
	sparse=6.1-amd64
else
	try qemu/runner tools/testing/qemu/runner-selftest.sh
	try static/model tools/testing/model/check.sh
	try static/coccinelle scripts/check-flaws.sh coccinelle
	try static/clang scripts/check-flaws.sh clang
	for suite in bookworm trixie; do
		try "selftests/packages/$suite" tools/testing/packages/run.sh "$suite"
	done
fi
for kernel in "${kernels[@]}"; do
	[[ " $sparse " != *" $kernel "* ]] ||
		try "sparse/$kernel" scripts/module.sh --sparse "$kernel"
done
wait

count() {
	cat "$results"* | grep -c "^$1" || true
}
passed=$(count ok) failed=$(count FAILED) skipped=$(count SKIP)
# Who looks at the end only
for file in "$tmp"/failed-*; do
	[[ ! -e $file ]] || { grep -v '^ok ' "$file" || true; } | tail -n 30 | cut -c 1-300
done
cat "$results"* | sed -n 's/^FAILED\t/FAILED /p' | tr '\t' ' '
if ((passed + failed == 0)); then
	log "no test ran: TESTS='${TESTS-}' KERNELS='${KERNELS-}'"
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
