#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo: boot the distribution's kernel and show what an extended SA is for, and a
# rule for the SAs of an IKE daemon: two scenes, one after the other. Leaves a picture of what
# was delivered, against time.
#
# Environment: DEMO_RATE and DEMO_PACKETS (per sender), DEMO_DELAY (ms, path B)
# change them.
set -euo pipefail
. "$(dirname "$0")/../../../scripts/lib.sh"

"$ROOT/scripts/setup.sh"
args=()
[[ ! -t 1 ]] || args+=(--env DEMO_COLOUR=1)
for name in DEMO_RATE DEMO_DELAY DEMO_PACKETS; do
	[[ ! ${!name-} ]] || args+=(--env "$name=${!name}")
done
out=$CACHE/demo
rm -rf "$out"
mkdir -p "$out"
"$ROOT/tools/testing/qemu/run.sh" --kernel 6.1-cloud --smp 4 --raw --out "$out" "${args[@]}" \
	"$(dirname "$0")/guest.sh" "$(dirname "$0")/daemons.sh"
"$(dirname "$0")/curves.py" <"$out/curves" >"$out/demo.svg"
echo "the same as curves: $out/demo.svg"
