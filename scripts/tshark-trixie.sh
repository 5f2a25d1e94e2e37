#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# As tshark.sh, from Debian 13: for a test that says "# needs: tshark-trixie".
TSHARK=trixie exec "$(dirname "$0")/tshark.sh"
