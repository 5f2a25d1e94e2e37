#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What packagers read is well-formed, and says what the tree says: versions, the fields
# of the tracepoint that the bpftrace script reads. Every mismatch is printed. --selftest shows that they are found (--tree DIR: look at another tree).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SELF=$ROOT/scripts/check-packaging.sh
bad=0
complain() {
	echo "$*"
	bad=1
}

# file, and what the version stands behind in it
VERSIONS='
net/xfrm_ext/main.c			MODULE_VERSION("
dkms.conf				PACKAGE_VERSION="
tools/packaging/debian/changelog	xfrm-ext (
tools/packaging/rpm/xfrm-ext.spec	Version:
tools/packaging/arch/PKGBUILD		pkgver=
tools/packaging/nix/default.nix		version = "
'

check() { # tree
	local file prefix version='' found spec=tools/packaging/rpm/xfrm-ext.spec

	cd "$1"
	while read -r file prefix; do
		[[ $file ]] || continue
		found=$(awk -v p="$prefix" '(i = index($0, p)) {
			s = substr($0, i + length(p)); sub(/^[ \t]+/, "", s); sub(/[^0-9.].*/, "", s)
			print s; exit }' "$file")
		: "${version:=$found}"
		[[ $found == "$version" && $found ]] || complain "$file: version '$found', not '$version'"
	done <<<"$VERSIONS"
	# The tracepoint has what the script reads of it
	while read -r found; do
		grep -qE "__(field|array)\(.*, ${found}[,)]" net/xfrm_ext/trace.h ||
			complain "tools/bpftrace/xfrm-ext-drops.bt: no '$found' in the tracepoint"
	done < <(grep -o 'args->[a-z]*' tools/bpftrace/xfrm-ext-drops.bt | sed 's/.*>//' | sort -u)
	rpmspec -P "$spec" >/dev/null || complain "$spec does not parse"
	[[ $(rpmspec -q --builtrpms --qf '%{NAME}\n' "$spec" | sort | tr '\n' ' ') == 'xfrm-ext-devel xfrm-ext-dkms ' ]] ||
		complain "$spec makes other packages"
	bash -n tools/packaging/arch/PKGBUILD || complain "tools/packaging/arch/PKGBUILD does not parse"
	shellcheck tools/packaging/arch/PKGBUILD || complain "tools/packaging/arch/PKGBUILD"
	NIX_CONFIG='build-users-group =' nix-instantiate --store dummy:// --parse tools/packaging/nix/default.nix >/dev/null ||
		complain "tools/packaging/nix/default.nix does not parse"
	# DKMS sources it: nothing in it may print, fail, or need what is not set
	[[ ! $(bash -e dkms.conf 2>&1) ]] || complain "dkms.conf says something"
	return "$bad"
}

# Each of these changes must be found
MUTATIONS='
s/^PACKAGE_VERSION.*/PACKAGE_VERSION="9.9"/		dkms.conf
1s/(0/(1/						tools/packaging/debian/changelog
s/args->netns/args->net/				tools/bpftrace/xfrm-ext-drops.bt
s/__array(char, name,/__array(char, word,/		net/xfrm_ext/trace.h
s/^Version:.*//						tools/packaging/rpm/xfrm-ext.spec
s/^%package devel/%package/				tools/packaging/rpm/xfrm-ext.spec
s/^package() {/package( {/				tools/packaging/arch/PKGBUILD
s/^}/;}/						tools/packaging/nix/default.nix
s/^AUTOINSTALL/echo said; &/			dkms.conf
'

selftest() {
	local tmp expression file

	"$SELF" || return
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/xfrm_ext.XXXXXX")
	# shellcheck disable=SC2064 # now
	trap "rm -rf '$tmp'" EXIT
	while read -r expression file; do
		[[ $expression ]] || continue
		# Words of an expression are not parted by tabs
		cp -r --parents dkms.conf net include tools/packaging tools/bpftrace "$tmp"
		sed -i "$expression" "$tmp/$file"
		if diff -q "$file" "$tmp/$file" >/dev/null; then
			complain "$expression: changes nothing in $file"
		fi
		! "$SELF" --tree "$tmp" >/dev/null 2>&1 || complain "$expression: not found in $file"
	done < <(tr -s '\t' '\n' <<<"$MUTATIONS" | sed '/^$/d' | paste - - | sed 's/ /\\x20/g')
	return "$bad"
}

cd "$ROOT"
case ${1-} in
--selftest) selftest ;;
--tree) check "$2" ;;
'') check "$ROOT" ;;
*) die "usage: check-packaging.sh [--selftest]" ;;
esac
