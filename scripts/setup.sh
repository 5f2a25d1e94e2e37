#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Install the Debian packages of packages.txt that are missing: the only step that
# needs root (directly or by sudo). Says nothing and asks nobody if none is.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mapfile -t wanted < <(sed 's/#.*//; /^[[:space:]]*$/d' "$ROOT/scripts/packages.txt")
mapfile -t missing < <(
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null |
		sed -n 's/^ii *//p' | sort -u | comm -13 - <(printf '%s\n' "${wanted[@]}" | sort -u)
)
((${#missing[@]})) || exit 0

install=(apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}")
if ((EUID == 0)); then
	root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
	root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
	die "packages are missing; as root: apt-get update && ${install[*]}"
fi

log "installing ${missing[*]}"
logfile=$CACHE/logs/setup.log
# The package lists may be missing or old.
"${root[@]}" "${install[@]}" >"$logfile" 2>&1 </dev/null || {
	quietly "$logfile" "${root[@]}" apt-get update &&
		quietly "$logfile" "${root[@]}" "${install[@]}"
} || die "cannot install; as root: apt-get update && ${install[*]}"
