#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What analysers find in the module that compilers do not. Nothing may be left, and a flaw
# that is put in has to be found.
#
#   check-flaws.sh coccinelle   the kernel's own semantic patches, out of Debian's source: locks,
#                               references, what is freed, what may sleep, error pointers
#   check-flaws.sh clang        clang's static analyser, on each file as Kbuild compiles it
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$ROOT"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

coccinelle() { # file...
	local dir tarball=/usr/src/linux-source-6.1.tar.xz rule

	dir=$CACHE/coccinelle-$(dpkg-query -W -f '${Version}' linux-source-6.1)
	if [[ ! -e $dir ]]; then
		rm -rf "$dir.tmp"
		mkdir -p "$dir.tmp"
		tar -C "$dir.tmp" --strip-components=3 -xf "$tarball" linux-source-6.1/scripts/coccinelle
		mv "$dir.tmp" "$dir"
	fi
	# Two want an OCaml compiler, for drivers
	grep -rLE '^@ *script:ocaml|^@ *initialize:ocaml' --include='*.cocci' "$dir" | sort >"$tmp/rules"
	[[ -s $tmp/rules ]]
	while read -r rule; do
		# It warns of words of a rule's own
		timeout 600 spatch -D report --very-quiet --no-show-diff --cocci-file "$rule" \
			--include-headers -I include "$@" 2>&1 | grep -v '^warning: line .* should .* be a metavariable' ||
			((PIPESTATUS[0] == 0)) || echo "$rule: could not run"
	done <"$tmp/rules"
}

# The words that clang 14 does not know, or takes for another compiler's, are about code
# that is made, not about what it means
analyse() { # build kdir file...
	local build=$1 kdir=$2 file word words args

	shift 2
	for file; do
		words=$(sed -n '1s/^[^=]*:= *[^ ]* *//; 1s/ -c -o .*//p' \
			"$build/$(dirname "$file")/.$(basename "${file%.c}").o.cmd")
		eval "set -- $words"
		args=()
		for word; do
			case $word in
			-Wp,* | -W* | -f* | -p* | -g | -O* | -mrecord* | -mfentry | -mindirect* | -mfunction-return* | \
				-mharden* | -mskip-rax* | -mpreferred* | -mno-fp-ret*) ;;
			*) args+=("$word") ;;
			esac
		done
		# A dead store is nothing that anybody has
		(cd "$kdir" && clang --analyze -Xclang -analyzer-output=text -Xclang -analyzer-disable-checker=deadcode \
			-Wno-everything -fshort-wchar -fno-delete-null-pointer-checks -o "$tmp/out" \
			"${args[@]}" "$build/$file") 2>&1 | sed "s,$build/,," ||
			echo "$file: could not be analysed"
	done
}

clang_analyser() {
	local build kdir

	kdir=$(scripts/kernel.sh 6.1-amd64 | sed -n 's/^kdir=//p')
	build=$(scripts/module.sh 6.1-amd64)
	mapfile -t files < <(find net -name '*.c' | sort)
	((${#files[@]}))
	analyse "$build" "$kdir" "${files[@]}" >"$tmp/found"
	# One that does
	mkdir -p "$tmp/net"
	sed 's/ -c -o .*/ -c -o x/' "$build/net/xfrm_ext/.window.o.cmd" >"$tmp/net/.flaw.o.cmd"
	cat >"$tmp/net/flaw.c" <<-'END'
		#include <linux/slab.h>
		int flaw(int *of);
		int flaw(int *of)
		{
			int *p = of ? of : NULL;

			if (of)
				kfree(of);
			return *p;
		}
	END
	analyse "$tmp" "$kdir" net/flaw.c | grep -q 'Dereference of null pointer' ||
		echo "a null pointer's use is not found"
}

case ${1-} in
coccinelle)
	mapfile -t files < <(find net -name '*.c' | sort)
	((${#files[@]}))
	coccinelle "${files[@]}" >"$tmp/found"
	cat >"$tmp/flaw.c" <<-'END'
		int flaw(int *p)
		{
			kfree(p);
			return *p;
		}
	END
	coccinelle "$tmp/flaw.c" | grep -q 'reference preceded by free' || echo "the use of what is freed is not found"
	;;
clang) clang_analyser ;;
*) die "usage: check-flaws.sh coccinelle|clang" ;;
esac >>"$tmp/found"
cat "$tmp/found"
[[ ! -s $tmp/found ]]
