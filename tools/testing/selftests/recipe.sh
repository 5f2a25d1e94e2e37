#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels: 7.3-uml
# timeout: 600
#
# The scripts of Documentation/bench-hardware.rst, with links of veth for cables: gateways of
# each kind carry what pktgen sends, by the SAs that they should, and the tables say so. TRex
# is not here; what steps.py asks it for is.
. "$(dirname "$0")/lib.sh"

hardware=$here/../bench/hardware
python=(/usr/bin/python3 -B)

# sunset ---- west ==== east ---- sunset
cables() {
	netns_add sunset west east
	ip link add p0 netns sunset type veth peer name red netns west
	ip link add black netns west type veth peer name black netns east
	ip link add p1 netns sunset type veth peer name red netns east
	ip -n sunset link set p0 up
	ip -n sunset link set p1 up
}

mac() { # ns dev
	ip netns exec "$1" cat "/sys/class/net/$2/address"
}

at() { # ns script word...
	ip netns exec "$1" env CPUS=2 KEYS="${keys}00000000" RUNS="${RUNS:-1}" SECONDS_EACH=1 \
		FLOWS="${FLOWS:-1}" "$hardware/$2" "${@:3}"
}

both() { # variant
	at west gateway.sh west "$1" red black "$(mac sunset p0)"
	at east gateway.sh east "$1" red black "$(mac sunset p1)"
}

# Of each SA at that end
packets() { # ns
	ip -n "$1" -s xfrm state | sed -n 's/.* \([0-9]*\)(packets).*/\1/p' | xargs
}

# 400 packets in two flows; each CPU sends one of them
carries() { # variant packets-of-SAs extended-SAs
	local line

	both "$1"
	FLOWS=2 at sunset pktgen.sh p0 p1 "$(mac west red)" 0.4k >"$tmp/table"
	cat "$tmp/table"
	line=$(tail -n 1 "$tmp/table")
	expect "lines" "$(wc -l <"$tmp/table")" 2
	expect "flows, octets, asked, sent, received" "${line% * *}" '2 60 400 400 400'
	expect "lost" "${line##* }" 0.000
	expect "packets of each SA of west" "$(packets west)" "$2"
	expect "packets of each SA of east" "$(packets east)" "$2"
	expect "extended SAs of west" "$(ip -n west xfrm state | grep -c 'ext format esp64' || true)" "$3"
	expect "extended SAs of east" "$(ip -n east xfrm state | grep -c 'ext format esp64' || true)" "$3"
}

# What does not come back is lost, and the others are not
loses() {
	both ext
	ip netns exec east nft -f - <<-'EOF2'
		table inet t {
			chain c {
				type filter hook forward priority 0
				ip daddr 198.19.1.2 drop
			}
		}
	EOF2
	FLOWS=2 RUNS=2 at sunset pktgen.sh p0 p1 "$(mac west red)" 200 100 >"$tmp/table"
	ip netns exec east nft flush ruleset
	cat "$tmp/table"
	expect "received of sent" "$(awk 'NR > 1 { print $5 "/" $4, $7 }' "$tmp/table" | xargs)" \
		'100/200 50.000 100/200 50.000 50/100 50.000 50/100 50.000'
}

refusals() {
	refused usage: at west gateway.sh north ext red black 02:00:00:00:00:01
	refused usage: at west gateway.sh west fast red black 02:00:00:00:00:01
	refused usage: at west gateway.sh west ext red black
	refused 'KEYS must be' ip netns exec west env KEYS=12 "$hardware/gateway.sh" west ext red \
		black 02:00:00:00:00:01
	refused 'is no rate' at sunset pktgen.sh p0 p1 02:00:00:00:00:01 fast
	refused usage: at sunset pktgen.sh p0 p1 02:00:00:00:00:01
	refused 'is no rate' "${python[@]}" "$hardware/steps.py" --pps 0
	refused 'not within' "${python[@]}" "$hardware/steps.py" --pps 1M --frame-size 63
	refused 'not within' "${python[@]}" "$hardware/steps.py" --pps 1M --flows 0-3
	refused 'PYTHONPATH must' "${python[@]}" "$hardware/steps.py" --pps 1M
}

# Somebody in TRex's place, who loses one packet of eight
trex() {
	mkdir -p "$tmp/trex/stl"
	cat >"$tmp/trex/stl/api.py" <<-'EOF2'
		import sys
		class Layer:
		    def __init__(self, **words):
		        self.text = type(self).__name__ + repr(sorted(words.items()))
		        self.octets = self.size
		    def __truediv__(self, other):
		        self.text += "/" + (other.text if isinstance(other, Layer) else "")
		        self.octets += len(other) if isinstance(other, bytes) else other.octets
		        return self
		class Ether(Layer): size = 14
		class IP(Layer): size = 20
		class UDP(Layer): size = 8
		def STLPktBuilder(pkt): return pkt
		def STLTXCont(pps): return pps
		def STLStream(packet, mode): return packet, mode
		class STLClient:
		    def __init__(self, server): pass
		    def connect(self): pass
		    def disconnect(self): print("gone", file=sys.stderr)
		    def reset(self, ports): self.streams = []
		    def add_streams(self, streams, ports): self.streams += streams; assert ports == [0]
		    def clear_stats(self): pass
		    def start(self, ports, duration): self.duration = duration; assert ports == [0]
		    def wait_on_traffic(self, ports, rx_delay_ms): pass
		    def get_stats(self):
		        for packet, pps in self.streams:
		            print(packet.octets + 4, pps, packet.text, file=sys.stderr)
		        n = int(sum(pps for _, pps in self.streams) * self.duration)
		        return {0: {"opackets": n}, 1: {"ipackets": n - n // 8}}
	EOF2
	PYTHONPATH=$tmp "${python[@]}" "$hardware/steps.py" --flows 1-2 --pps 2k --pps 0.5M --runs 1 \
		--duration 2 --frame-size 128 --csvfile "$tmp/csv" 2>"$tmp/asked"
	cat "$tmp/asked" "$tmp/csv"
	expect "table" "$(tr -d '\r' <"$tmp/csv" | tail -n +2 | xargs)" \
		"1,128,2000,1,4000,3500,1750,1792000,12.5 1,128,500000,1,1000000,875000,437500,448000000,12.5 2,128,2000,1,4000,3500,1750,1792000,12.5 2,128,500000,1,1000000,875000,437500,448000000,12.5"
	expect "frames and rates" "$(awk '{ print $1, $2 }' "$tmp/asked" | xargs)" \
		'128 2000.0 128 500000.0 128 1000.0 128 1000.0 128 250000.0 128 250000.0 gone'
	expect "sources" "$(grep -o "src', '[0-9.]*" "$tmp/asked" | sort | uniq -c | awk '{ print $1, $3 }' | tr -d "'" | xargs)" \
		"4 198.18.1.1 2 198.18.1.2"
}

needs_cpus 2
modprobe xfrm_ext
cables
run "clear" carries clear '' 0
run "stock ESP" carries stock 400 0
run "an SA for each CPU" carries pcpu '200 200' 0
run "an extended SA" carries ext 400 1
run "what is lost is seen" loses
run "refused" refusals
run "what TRex is asked for" trex
finish
