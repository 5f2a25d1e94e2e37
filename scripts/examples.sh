#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the example in C of Documentation/netlink/examples with ynl of the kernel's source, the one
# of the kernel 7.3-uml, and see that the specification is one for ynl's schema. Prints a directory
# with usr/lib/xfrm-ext/examples in it, which has both examples, ynl's Python library and the
# specification.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

NETLINK=$ROOT/Documentation/netlink
HEADER=$ROOT/include/uapi/linux/xfrm_ext.h
KERNEL=7.3-uml

build() { # tarball directory
	local work=$2/work tree=$2/usr/lib/xfrm-ext/examples name ynl

	mkdir -p "$work/linux" "$work/out" "$tree"
	tar -C "$work/linux" --strip-components=1 --wildcards -xf "$1" \
		'*/tools/net/ynl' '*/Documentation/netlink/*.yaml'
	make -C "$NETLINK/examples" KERNEL="$work/linux" OUT="$work/out" PYTHON=/usr/bin/python3 \
		CFLAGS='-O2 -g -Werror'
	ynl=$work/linux/tools/net/ynl
	/usr/bin/python3 "$ynl/pyynl/cli.py" --spec "$work/out/netlink/specs/xfrm_ext.yaml" --validate
	for name in "$work/out/ynl-c" "$NETLINK/examples/ynl-python.py" "$NETLINK/specs/xfrm_ext.yaml"; do
		cp "$name" "$tree/"
	done
	mkdir "$tree/pyynl"
	cp -r "$ynl/pyynl/lib" "$ynl"/pyynl/{__init__,cli}.py "$tree/pyynl/"
	cp -r /usr/lib/python3/dist-packages/yaml "$tree/"
	find "$tree" -name __pycache__ -prune -exec rm -r {} +
	rm -r "$work"
}

if [[ ${1-} == --build ]]; then
	# In a shell of its own, where errexit holds
	build "$2" "$3"
	exit
fi
((!$#)) || die "usage: examples.sh"

tarball=$("$ROOT/scripts/kernel.sh" --source "$KERNEL")
dir=$CACHE/examples-$( (cat "$0" "$NETLINK"/specs/* "$NETLINK"/examples/* "$HEADER"
	dpkg-query -W python3-yaml; stat -c '%s %Y' "$tarball") | hash_of)
[[ -e $dir ]] || lock examples
if [[ ! -e $dir ]]; then
	rm -rf "$dir.tmp"
	quietly "$CACHE/logs/build-examples.log" "$0" --build "$tarball" "$dir.tmp" ||
		die "the examples do not build"
	mv "$dir.tmp" "$dir"
fi
echo "$dir"
