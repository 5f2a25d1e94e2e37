-- SPDX-License-Identifier: GPL-2.0-only
--
-- Wireshark and tshark (4.0 and later): EESP (draft-ietf-ipsecme-eesp-04), format eesp of
-- xfrm_ext. Header, options and what they leave in clear; what is missing, late or there twice in
-- each Sub SA. Documentation/analysers.rst says how to install it, and what it cannot do.
--
-- A file of its own: it needs nothing of xfrm_ext.lua, nor that of this.

local eesp = Proto("xfrm_ext_eesp", "Enhanced Encapsulating Security Payload")
local encap = Proto("xfrm_ext_eesp_udp", "EESP in UDP")

set_plugin_info({ version = "1", description = "EESP, as of xfrm_ext" })

local BASE, SN = 8, 8
local HIGH = 4294967296
-- Exact in a double
local EXACT = 9007199254740992

local f = {
	version = ProtoField.uint8("xfrm_ext_eesp.version", "Version", base.DEC, nil, 0x78),
	opt_len = ProtoField.uint8("xfrm_ext_eesp.opt_len", "Opt Len"),
	session = ProtoField.uint16("xfrm_ext_eesp.session", "Session ID"),
	spi = ProtoField.uint32("xfrm_ext_eesp.spi", "SPI", base.HEX),
	option = ProtoField.uint8("xfrm_ext_eesp.option", "Option"),
	option_data = ProtoField.bytes("xfrm_ext_eesp.option_data", "Data"),
	payload_at = ProtoField.uint16("xfrm_ext_eesp.payload_offset", "Payload Offset, in octets"),
	crypt = ProtoField.uint16("xfrm_ext_eesp.crypt_offset", "Crypt Offset, in octets"),
	sn = ProtoField.uint64("xfrm_ext_eesp.sn", "Sequence Number"),
	iv = ProtoField.bytes("xfrm_ext_eesp.iv", "IV"),
	info = ProtoField.bytes("xfrm_ext_eesp.info", "Payload Info Header"),
	next_header = ProtoField.uint8("xfrm_ext_eesp.next_header", "Next Header"),
	pad_len = ProtoField.uint8("xfrm_ext_eesp.pad_len", "Pad Length"),
	clear = ProtoField.bytes("xfrm_ext_eesp.clear", "Payload in clear"),
	ciphertext = ProtoField.bytes("xfrm_ext_eesp.ciphertext", "Ciphertext"),
	icv = ProtoField.bytes("xfrm_ext_eesp.icv", "ICV (not checked)"),
	previous = ProtoField.framenum("xfrm_ext_eesp.analysis.previous", "Packet of this Sub SA before"),
	expected = ProtoField.uint64("xfrm_ext_eesp.analysis.expected", "Expected"),
	gap = ProtoField.uint64("xfrm_ext_eesp.analysis.gap", "Numbers left out before this one"),
	late = ProtoField.uint64("xfrm_ext_eesp.analysis.late", "Behind the highest before by"),
	duplicate = ProtoField.framenum("xfrm_ext_eesp.analysis.duplicate_of", "Same number as in"),
}
eesp.fields = f

local function expert_of(name, text, group, severity)
	return ProtoExpert.new("xfrm_ext_eesp." .. name, text, expert.group[group], expert.severity[severity])
end

local e = {
	short = expert_of("short", "Cut off or too short", "MALFORMED", "WARN"),
	header = expert_of("bad_header", "A receiver drops this header", "MALFORMED", "WARN"),
	zero = expert_of("number_zero", "Number 0: a receiver drops this", "SEQUENCE", "WARN"),
	gap = expert_of("gap", "Numbers left out", "SEQUENCE", "NOTE"),
	late = expert_of("late", "Overtaken by later numbers", "SEQUENCE", "NOTE"),
	duplicate = expert_of("duplicate", "Number used before: a receiver drops this", "SEQUENCE", "WARN"),
}
eesp.experts = { e.short, e.header, e.zero, e.gap, e.late, e.duplicate }

eesp.prefs.protocol = Pref.uint("IP protocol number", 253, "The module's parameter eesp_protocol")
eesp.prefs.version = Pref.uint("Version", 0, "The module's parameter eesp_version")
eesp.prefs.pad1 = Pref.uint("Option Pad1", 0, "The module's parameter eesp_option_pad1")
eesp.prefs.padn = Pref.uint("Option PadN", 1, "The module's parameter eesp_option_padn")
eesp.prefs.crypt_offset = Pref.uint("Option Crypt Offset", 2,
	"The module's parameter eesp_option_crypt_offset")
eesp.prefs.iv = Pref.uint("Octets of IV", 8, "Of all SAs: 8, or 0 where it is implicit")
eesp.prefs.icv = Pref.uint("Octets of ICV", 16, "Of all SAs: 8, 12 or 16")
eesp.prefs.udp_ports = Pref.range("UDP ports", "",
	"Where EESP comes in UDP. ESP on these ports must have SPIs with the first bit 0, as the draft says",
	65535)

local ip_protos = DissectorTable.get("ip.proto")
local udp_ports = DissectorTable.get("udp.port")
local data = Dissector.get("data")
local icmp_type, icmp6_type = Field.new("icmp.type"), Field.new("icmpv6.type")

-- --- what is missing, late, or there twice --------------------------------------------

-- SPI, destination and Session ID: a Sub SA as it is seen
local seen = {}
-- Frame number and number: what there is to say of it
local results = {}

local function analyse(pinfo, key, sn)
	local sub, r = seen[key], {}

	if not sub then
		sub = { highest = sn, frames = {} }
		seen[key] = sub
	elseif sub.frames[sn] then
		r.duplicate = sub.frames[sn]
	elseif sn > sub.highest then
		if sn > sub.highest + 1 then
			r.expected = sub.highest + 1
			r.gap = sn - r.expected
		end
	else
		r.late = sub.highest - sn
	end
	r.previous = sub.last
	sub.last = pinfo.number
	sub.highest = math.max(sub.highest, sn)
	sub.frames[sn] = sub.frames[sn] or pinfo.number
	return r
end

-- Of each packet once, in the order of the capture
local function result(pinfo, key, sn)
	local of = string.format("%d %s %.0f", pinfo.number, key, sn)

	if not results[of] and not pinfo.visited then
		results[of] = analyse(pinfo, key, sn)
	end
	return results[of]
end

local function uint64(n)
	return UInt64.new(n % HIGH, math.floor(n / HIGH))
end

local function show_result(tree, r)
	if r.previous then
		tree:add(f.previous, r.previous):set_generated()
	end
	if r.duplicate then
		tree:add(f.duplicate, r.duplicate):set_generated():add_proto_expert_info(e.duplicate)
	elseif r.late then
		tree:add(f.late, uint64(r.late)):set_generated():add_proto_expert_info(e.late)
	elseif r.gap then
		tree:add(f.expected, uint64(r.expected)):set_generated()
		tree:add(f.gap, uint64(r.gap)):set_generated():add_proto_expert_info(e.gap)
	end
end

-- --- the packet -----------------------------------------------------------------------

-- Whether they can be told one from another, and octets of payload in clear, or nil
local function show_options(range, tree, header)
	local at, len, crypt = 0, range:len(), nil

	while at < len do
		local kind = range(at, 1):uint()
		local item = tree:add(f.option, range(at, 1))
		if kind == eesp.prefs.pad1 then
			item:append_text(" (Pad1)")
			at = at + 1
		else
			local size = at + 2 <= len and range(at + 1, 1):uint()
			if not size or at + 2 + size > len then
				return false, crypt
			end
			if size > 0 then
				item:add(f.option_data, range(at + 2, size))
			end
			if kind == eesp.prefs.padn then
				item:append_text(" (PadN)")
			elseif kind == eesp.prefs.crypt_offset then
				item:append_text(" (Crypt Offset)")
				if size ~= 2 or crypt then
					return false, crypt
				end
				local word = range(at + 2, 2)
				crypt = word:bitfield(6, 6) * 4
				item:add(f.payload_at, word, word:bitfield(0, 6) * 4)
				item:add(f.crypt, word, crypt)
				if word:bitfield(0, 6) * 4 ~= header then
					return false, crypt
				end
			end
			at = at + 2 + size
		end
	end
	return true, crypt
end

-- From the end of the IV on
local function show_payload(tvb, tree, at, crypt)
	local stop = tvb:reported_length_remaining() - eesp.prefs.icv

	if tvb:len() < tvb:reported_length_remaining() or stop < at + (crypt or 0) then
		tree:add_proto_expert_info(e.short)
		return
	end
	if crypt and crypt >= 4 then
		local info = tree:add(f.info, tvb(at, 4))
		info:add(f.next_header, tvb(at + 2, 1))
		info:add(f.pad_len, tvb(at + 3, 1))
		if crypt > 4 then
			tree:add(f.clear, tvb(at + 4, crypt - 4))
		end
		at = at + crypt
	end
	if stop > at then
		tree:add(f.ciphertext, tvb(at, stop - at))
	end
	if eesp.prefs.icv > 0 then
		tree:add(f.icv, tvb(stop))
	end
end

function eesp.dissector(tvb, pinfo, top)
	local len = tvb:len()
	local tree = top:add(eesp, tvb())

	pinfo.cols.protocol = "EESP"
	if len < BASE then
		tree:add_proto_expert_info(e.short)
		return len
	end
	local session, spi, options = tvb(2, 2):uint(), tvb(4, 4):uint(), tvb(1, 1):uint()
	tree:add(f.version, tvb(0, 1))
	tree:add(f.opt_len, tvb(1, 1))
	tree:add(f.session, tvb(2, 2))
	tree:add(f.spi, tvb(4, 4))
	pinfo.cols.info = string.format("SPI 0x%08x Sub SA %d", spi, session)
	if tvb(0, 1):uint() ~= 0x80 + 8 * eesp.prefs.version then
		tree:add_proto_expert_info(e.header)
		return len
	end
	local at = BASE + options
	if len < at + SN then
		tree:add_proto_expert_info(e.short)
		return len
	end
	local header = at + SN + eesp.prefs.iv
	local good, crypt = true, nil
	if options > 0 then
		good, crypt = show_options(tvb(BASE, options), tree, header)
	end
	tree:add(f.sn, tvb(at, SN))
	local sn = tvb(at, 4):uint() * HIGH + tvb(at + 4, 4):uint()
	pinfo.cols.info:append(string.format(" SN %s", tostring(tvb(at, SN):uint64())))
	tree:append_text(string.format(", SPI 0x%08x, Sub SA %d, SN %s", spi, session,
		tostring(tvb(at, SN):uint64())))
	if sn == 0 then
		tree:add_proto_expert_info(e.zero)
	end
	-- What a router quotes was not sent again
	if sn < EXACT and icmp_type() == nil and icmp6_type() == nil then
		local key = string.format("%d %s %d", spi, tostring(pinfo.dst), session)
		local r = result(pinfo, key, sn)
		if r then
			show_result(tree, r)
		end
	end
	if not good then
		tree:add_proto_expert_info(e.header)
		return len
	end
	if eesp.prefs.iv > 0 then
		if len < header then
			tree:add_proto_expert_info(e.short)
			return len
		end
		tree:add(f.iv, tvb(at + SN, eesp.prefs.iv))
	end
	show_payload(tvb, tree, header, crypt)
	return len
end

-- --- in UDP -----------------------------------------------------------------------------

-- Who had a port before
local others = {}

-- Up to Wireshark 4.2 an octet that was not captured, and that the other dissector asks for, does
-- not come back through Lua but past it: after 200 such packets there is nothing but errors.
-- So there what was captured is given as if it were all.
local PAST_LUA = _VERSION == "Lua 5.2"

-- Another dissector's malformed packet comes here as an error of ours
local function give(dissector, tvb, pinfo, top)
	if PAST_LUA and tvb:len() < tvb:reported_length_remaining() then
		if tvb:len() == 0 then
			return 0
		end
		tvb = tvb():bytes():tvb("What was captured")
	end
	local ok, what = pcall(dissector.call, dissector, tvb, pinfo, top)

	if ok then
		return what
	elseif not tostring(what):find("Malformed frame", 1, true) then
		error(what, 0)
	end
	top:add(encap, tvb()):add_proto_expert_info(e.short)
	return tvb:len()
end

function encap.dissector(tvb, pinfo, top)
	if tvb:len() >= BASE and tvb(0, 1):uint() >= 0x80 then
		top:add(encap, tvb(0, 0))
		return eesp.dissector(tvb, pinfo, top)
	end
	return give(others[pinfo.dst_port] or others[pinfo.src_port] or data, tvb, pinfo, top)
end

-- --- where it is asked for -----------------------------------------------------------------

function eesp.init()
	seen, results = {}, {}
end

local protocol, ports

-- "4500" or "4500-4510,5000", each
local function each_port(range, act)
	for first, last in tostring(range):gmatch("(%d+)%-?(%d*)") do
		for port = tonumber(first), tonumber(last) or tonumber(first) do
			act(port)
		end
	end
end

local function obey_prefs()
	if eesp.prefs.protocol ~= protocol then
		if protocol then
			ip_protos:remove(protocol, eesp)
		end
		protocol = eesp.prefs.protocol
		ip_protos:add(protocol, eesp)
	end
	if eesp.prefs.udp_ports ~= ports then
		each_port(ports or "", function(port)
			udp_ports:remove(port, encap)
			if others[port] then
				udp_ports:add(port, others[port])
			end
		end)
		ports = eesp.prefs.udp_ports
		each_port(ports, function(port)
			others[port] = udp_ports:get_dissector(port)
			udp_ports:add(port, encap)
		end)
	end
end

eesp.prefs_changed = obey_prefs
obey_prefs()
