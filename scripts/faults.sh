#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For selftests/faults: xfrm_ext.ko as module.sh builds it, but for the names of what it calls of
# the kernel and can fail. These are xfrm_ext_faults.ko's (tools/testing/faults/faults.c), which
# is to be loaded first. Nothing is compiled anew: the code is that of all other tests.
#
#   KERNEL=NAME faults.sh    prints a directory with usr/lib/xfrm-ext/faults in it: the module,
#                            and "places", all that it has, a line each: "FUNCTION CALLED", and
#                            "last" behind it if that is the last thing that the function does:
#                            what is called then does not know by whom
#
# What else the module has of the kernel is in tools/testing/faults/sure.txt: patterns, and why
# it cannot fail, or why that is no failure. What is in neither is an error.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SURE=$ROOT/tools/testing/faults/sure.txt

build() { # module faults directory
	local work=$2/work tree=$2/usr/lib/xfrm-ext/faults name

	mkdir -p "$work" "$tree"
	nm "$1/xfrm_ext_faults.ko" | sed -n 's/.* T xe_fault_//p' | sort >"$work/faulty"
	nm -u "$1/xfrm_ext.ko" | awk '{ print $2 }' | sort >"$work/imports"
	comm -13 "$work/faulty" "$work/imports" | while read -r name; do
		[[ $name =~ ^($(sed 's/[ #].*//; /^$/d; s/\*/.*/g' "$SURE" | paste -sd '|'))$ ]] || echo "$name"
	done >"$work/unknown"
	if [[ -s $work/unknown ]]; then
		echo "the module calls what is neither in faults.c nor in sure.txt:"
		cat "$work/unknown"
		return 1
	fi
	sed 's/.*/& xe_fault_&/' "$work/faulty" >"$work/renamed"
	objcopy --redefine-syms="$work/renamed" "$1/xfrm_ext.ko" "$tree/xfrm_ext.ko"
	# What the compiler has made a function of its own of belongs to the one that it was
	objdump -dr --no-show-raw-insn "$tree/xfrm_ext.ko" | awk '
		/^[0-9a-f]+ <.*>:$/ { gsub(/[<>:]|\.(constprop|isra|part|cold).*/, "", $2)
			# It has two names
			at = $2 == "init_module" ? "xe_init" : $2 }
		match($0, /R_X86_64_[A-Z0-9]+[ \t]+xe_fault_/) {
			name = substr($0, RSTART + RLENGTH)
			sub(/[-+]0x.*/, "", name)
			# A call, or a jump; or the address alone, and then one of both
			last = /PLT32|PC32/ ? was ~ /\tjmp/ : 2
			if (last != 2)
				print at, name (last ? " last" : "")
			next
		}
		last == 2 && /\t(jmp|call) +\*/ { print at, name (/\tjmp/ ? " last" : ""); last = 0 }
		{ was = $0 }' | sort -u >"$tree/places"
	rm -r "$work"
}

if [[ ${1-} == --build ]]; then
	# In a shell of its own, where errexit holds
	build "$2" "$3"
	exit
fi
((!$#)) || die "usage: KERNEL=NAME faults.sh"

module=$("$ROOT/scripts/module.sh" "${KERNEL:?}")
[[ -e $module/xfrm_ext_faults.ko ]] || die "for kernels that we build, and $KERNEL is none"
dir=$CACHE/faults-$(cat "$0" "$SURE" "$module"/xfrm_ext{,_faults}.ko | hash_of)
[[ -e $dir ]] || lock faults
if [[ ! -e $dir ]]; then
	rm -rf "$CACHE/faults.tmp"
	quietly "$CACHE/logs/build-faults.log" "$0" --build "$module" "$CACHE/faults.tmp" ||
		die "no module that can fail"
	mv "$CACHE/faults.tmp" "$dir"
fi
echo "$dir"
