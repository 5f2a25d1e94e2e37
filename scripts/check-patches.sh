#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The series for the versions of iproute2 say the same of themselves and do the same: a change of
# one that has not come to the others is found, and what iproute2.sh says of versions and sources
# that it cannot do anything with. Needs none of the sources.
#
#   check-patches.sh             the check
#   check-patches.sh --selftest  and that it would find each kind of fault
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

patches=patches/iproute2
first=6.1.0

# What a series adds and takes away, but for what iproute2 itself has changed between the versions:
# a function that has become static, and the words of the line that "ext" is added to
changes() { # version
	cat "$patches/$1"/*.patch | grep '^[+-]' |
		grep -Ev '^(\+\+\+|---) |xfrm_state_print_nokeys\(struct nlmsghdr|tfcpad LENGTH' | sort
}

# One sentence a fault
faults() {
	local version dir file names

	names=$(cd "$patches/$first" && ls ./*.patch)
	for dir in "$patches"/*/; do
		version=$(basename "$dir")
		[[ $(sed 's/#.*//; /^$/d; s,^,./,' "$dir/series") == "$names" ]] ||
			echo "$version: series does not list the patches that $first has, in their order"
		[[ $(cd "$dir" && ls ./*.patch) == "$names" ]] ||
			echo "$version: there are other patches than for $first"
		[[ $(head_says from "$dir/series") =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
			echo "$version: series has no line \"# from: VERSION\""
		[[ $(head_says debian "$dir/series") =~ ^[a-z]+\ $version-[[:graph:]]+$ ||
			$(head_says tag "$dir/series") =~ ^v$version\ [0-9a-f]{40}$ ]] ||
			echo "$version: series has neither \"# debian: SUITE VERSION\" nor \"# tag: TAG COMMIT\""
		for file in "$dir"*.patch; do
			[[ $(head -n 1 "$file") == "From $(printf '%040d' 0) "* ]] ||
				echo "$file: not made by git format-patch --zero-commit"
			grep -qx 'SPDX-License-Identifier: GPL-2.0-only' "$file" || echo "$file: no SPDX line"
			! grep -qx -- '-- ' "$file" || echo "$file: not made with --no-signature"
		done
		{ diff <(changes "$first") <(changes "$version") || true; } |
			sed -n "s/^[<>]/$version: differs from $first: &/p"
	done
}

said() { # VARIABLE=VALUE... word...
	env -u IPROUTE2 -u IPROUTE2_SRC "$@" 2>&1 >/dev/null | tail -n 1 || true
}

expect() { # sentence what
	# shellcheck disable=SC2053 # a glob is wanted here
	[[ $2 == $1 ]] || echo "iproute2.sh says \"$2\", not \"$1\""
}

sentences() {
	local dir

	dir=$(mktemp -d)
	mkdir -p "$dir/include" "$dir/ip"
	echo 'static const char version[] = "6.16.0";' >"$dir/include/version.h"
	printf 'IPOBJ=ip.o\n\n\n\n' | tee "$dir/ip/Makefile" "$dir/ip/ipxfrm.c" >"$dir/ip/xfrm.h"
	expect '*: no patches for iproute2 5.0: there are some for 6.1.0 *' "$(said scripts/iproute2.sh 5.0)"
	expect '*: no patches for iproute2 5.0: *' "$(said IPROUTE2=5.0 scripts/iproute2.sh)"
	expect "*: $dir/ip is no source of iproute2: *" "$(said IPROUTE2_SRC="$dir/ip" scripts/iproute2.sh)"
	expect '*: the patches for iproute2 6.15.0 do not apply to 6.16.0: *' \
		"$(said IPROUTE2_SRC="$dir" scripts/iproute2.sh)"
	expect '*: the patches for iproute2 6.1.0 do not apply to 6.16.0: *' \
		"$(said IPROUTE2_SRC="$dir" scripts/iproute2.sh 6.1.0)"
	rm -r "$dir"
}

# A copy with a fault in it is refused
mutant() { # what sed-expression file
	local dir

	dir=$(mktemp -d)
	cp -r --parents patches scripts/lib.sh scripts/check-patches.sh "$dir"
	sed -i "$2" "$dir/$patches/$3"
	cmp -s "$patches/$3" "$dir/$patches/$3" && echo "$1: does not apply"
	! "$dir/scripts/check-patches.sh" --series >/dev/null || echo "$1: not noticed"
	rm -r "$dir"
}

selftest() {
	local name=0001-xfrm-make-and-show-extended-SAs-and-add-ip-xfrm-ext.patch

	mutant "a line of one series only" 's/^+.*duparg("ext".*/&\n+\t\t\t\tbreak;/' "6.15.0/$name"
	mutant "a line that one does not take away" 's/^-\t\txfrm_state_print(n, arg);/ \t\txfrm_state_print(n, arg);/' \
		"6.1.0/$name"
	mutant "a patch that is not in the series" /0002/d 7.1.0/series
	mutant "no commit" 's/^# tag: v7.1.0 .*/# tag: v7.1.0/' 7.1.0/series
	mutant "another tag" 's/^# tag: v6.15.0/# tag: v6.15.1/' 6.15.0/series
	mutant "no first version" '/^# from:/d' 6.15.0/series
	mutant "a commit's number" '1s/From 0/From 1/' "7.1.0/$name"
	mutant "a signature" "\$a -- " "7.1.0/$name"
	mutant "no licence" '/^SPDX/d' "6.1.0/$name"
}

case ${1-} in
--series) found=$(faults) ;;
--selftest) found=$(faults; sentences; selftest) ;;
'') found=$(faults; sentences) ;;
*) die "usage: check-patches.sh [--selftest]" ;;
esac
[[ ! $found ]] || { echo "$found"; exit 1; }
echo "check-patches: good"
