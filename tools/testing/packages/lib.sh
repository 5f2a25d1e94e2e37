# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shared by in-root.sh and guest.sh; sourced. Each step builds on those before: the first that
# fails ends it. (A step is no part of "if" or "&&": errexit would be off in it.)

steps=0
# Who has more to do then defines another
failed() {
	exit 1
}

step() { # description function
	local rc

	steps=$((steps + 1))
	(
		set -eE
		trap 'echo "failed: line $LINENO: $BASH_COMMAND"' ERR
		"$2"
	) >/tmp/step 2>&1 </dev/null
	rc=$?
	if ((rc)); then
		sed 's/^/# /' /tmp/step
		echo "not ok $steps $1"
		failed
	fi
	echo "ok $steps $1"
}

expect() { # what got wanted
	if [[ $2 != "$3" ]]; then
		echo "$1: got '$2', want '$3'"
		return 1
	fi
}

says() { # text-wanted text
	if [[ $2 != *"$1"* ]]; then
		printf 'it says: %s\nand not: %s\n' "$2" "$1"
		return 1
	fi
}

# "! command" does not end a step
fails() { # command...
	if "$@" >/dev/null 2>&1; then
		echo "did not fail: $*"
		return 1
	fi
}

# Until a command succeeds; an emulated machine may be slow
wait_for() { # seconds command...
	local end=$((SECONDS + $1 * 10))

	shift
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)); then
			echo "waited in vain for: $*"
			return 1
		fi
		sleep 0.2
	done
}

# Packages from a directory, and what they depend on from apt's cache: there is no network
install_debs() { # dir [package...]
	apt-get -y -q install "$1"/*.deb "${@:2}"
}
