#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# needs: tshark-trixie
#
# wireshark.sh, with the tshark of Debian 13: another Lua, too.
. "$(dirname "$0")/wireshark.sh"
