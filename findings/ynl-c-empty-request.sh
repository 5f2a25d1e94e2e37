#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ynl_gen_c.py makes C that does not compile of a request with an empty list of attributes, and no function
# of a command that is an event as well
#
# A specification of a generic netlink family may say "do: { request: { attributes: [] } }": the schema lets it, and
# cli.py takes it. The C generator then writes a function in the source that takes a structure which the
# header does not define, and another prototype, without it, in the header. "do: {}" is the way out. An
# operation with both "do" and "event", which the schema lets, too, gets a structure for the event; the function for the command
# is left out without a word. cli.py does both.
#
# Seen with tools/net/ynl of Linux 7.3.4, Debian's linux-source-7.3. Needs python3-yaml, python3-jsonschema and gcc; no privilege.
set -euo pipefail
tarball=$("$(dirname "$0")/../scripts/kernel.sh" --source 7.3-uml)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
tar --strip-components=1 --wildcards -xf "$tarball" '*/tools/net/ynl' '*/Documentation/netlink/genetlink*.yaml'
mkdir -p linux Documentation/netlink/specs
printf '#pragma once\n%s\n' 'enum { F_A_UNSPEC, F_A_N, __F_A_MAX, F_A_MAX = __F_A_MAX - 1 }; enum { F_CMD_UNSPEC, F_CMD_CLEAR, F_CMD_ADD };' >linux/f.h

spec() { # clear's do, add's kinds
	cat >Documentation/netlink/specs/f.yaml <<-END
		# SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
		name: f
		protocol: genetlink-legacy
		uapi-header: linux/f.h
		doc: An example.
		attribute-sets:
		  - name: main
		    name-prefix: f-a-
		    attributes:
		      - { name: n, type: u32 }
		operations:
		  name-prefix: f-cmd-
		  list:
		    - { name: clear, doc: Clear., attribute-set: main, do: $1 }
		    - { name: add, doc: Add., attribute-set: main, do: { request: { attributes: [ n ] } }$2 }
	END
}

generate() {
	local part

	for part in header:h source:c; do
		/usr/bin/python3 tools/net/ynl/pyynl/ynl_gen_c.py --mode user --"${part%:*}" \
			--spec Documentation/netlink/specs/f.yaml -o "f-user.${part#*:}"
	done
}

compiles() {
	gcc -w -I. -Itools/net/ynl/lib -c f-user.c
}

bad=0
expect() { # what is wanted
	echo "$1: $2"
	[[ $2 == "$3" ]] || { echo "!!! not as before"; bad=1; }
}

touch MAINTAINERS
spec '{}' ''
generate
expect "do: {}" "$(compiles 2>&1 && echo compiles)" compiles
expect "add is a function" "$(grep -c '^int f_add(' f-user.h)" 1
spec '{ request: { attributes: [] } }' ''
generate
expect "attributes: []" "$(compiles 2>&1 | grep -c 'conflicting types for .f_clear')" 1
spec '{}' ', event: { attributes: [ n ] }'
generate
expect "do and event: add is a function" "$(grep -c '^int f_add(' f-user.h || true)" 0
exit $bad
