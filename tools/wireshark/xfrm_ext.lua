-- SPDX-License-Identifier: GPL-2.0-only
--
-- Wireshark and tshark (4.0 and later): the ESP formats of xfrm_ext. What it shows, how to
-- install it and what it cannot do is in Documentation/analysers.rst; the formats are in
-- Documentation/wire-formats.rst.
--
-- Nothing on the wire says what an ESP packet is. So the preference "sas" does, in the words
-- of `ip xfrm state`; and what has an IV that is its own 64-bit number is taken for esp64
-- without being asked. All other ESP is left to Wireshark's own dissector.

local esp = Proto("xfrm_ext", "Encapsulating Security Payload, as of xfrm_ext")
local natt = Proto("xfrm_ext_udp", "UDP Encapsulation of IPsec Packets, as of xfrm_ext")
local beet = Proto("xfrm_ext_beet", "BEET Pseudo Header")

set_plugin_info({ version = "1", description = "ESP formats of xfrm_ext" })

local PROTO_ESP, PROTO_BEETPH, PROTO_NONE = 50, 94, 59
local PROTO_IPIP, PROTO_IPV6 = 4, 41
local NATT_PORT = 4500
local HIGH = 4294967296

local f = {
	spi = ProtoField.uint32("xfrm_ext.spi", "SPI", base.HEX),
	format = ProtoField.string("xfrm_ext.format", "Format"),
	trailer = ProtoField.string("xfrm_ext.trailer", "Trailer"),
	guessed = ProtoField.bool("xfrm_ext.guessed", "Format not told, but the IV is the number"),
	subspace = ProtoField.uint16("xfrm_ext.subspace", "Subspace ID"),
	sn = ProtoField.uint64("xfrm_ext.sn", "Sequence Number"),
	number = ProtoField.uint64("xfrm_ext.number", "64-bit number", base.HEX),
	iv = ProtoField.bytes("xfrm_ext.iv", "IV"),
	implicit = ProtoField.bytes("xfrm_ext.implicit_iv", "Implicit IV"),
	ciphertext = ProtoField.bytes("xfrm_ext.ciphertext", "Ciphertext"),
	plaintext = ProtoField.bytes("xfrm_ext.plaintext", "Not encrypted"),
	icv = ProtoField.bytes("xfrm_ext.icv", "ICV (not checked)"),
	info = ProtoField.bytes("xfrm_ext.info_word", "Info word"),
	next_header = ProtoField.uint8("xfrm_ext.next_header", "Next Header"),
	pad_len = ProtoField.uint8("xfrm_ext.pad_len", "Pad Length"),
	padding = ProtoField.bytes("xfrm_ext.padding", "Padding"),
	expected = ProtoField.uint64("xfrm_ext.analysis.expected", "Expected"),
	gap = ProtoField.uint64("xfrm_ext.analysis.gap", "Numbers left out before this one"),
	missing = ProtoField.uint64("xfrm_ext.analysis.missing", "Of these, in no packet of the capture"),
	late = ProtoField.uint64("xfrm_ext.analysis.late", "Behind the highest before by"),
	duplicate = ProtoField.framenum("xfrm_ext.analysis.duplicate_of", "Same number as in"),
	previous = ProtoField.framenum("xfrm_ext.analysis.previous", "Packet of this subspace before"),
}
esp.fields = f

local function expert_of(name, text, group, severity)
	return ProtoExpert.new("xfrm_ext." .. name, text, expert.group[group], expert.severity[severity])
end

local e = {
	short = expert_of("short", "Cut off or too short", "MALFORMED", "WARN"),
	malformed = expert_of("malformed", "Malformed", "MALFORMED", "ERROR"),
	trailer = expert_of("bad_trailer", "Not what a trailer of this SA says", "MALFORMED", "WARN"),
	zero = expert_of("number_zero", "Number 0: a receiver drops this", "SEQUENCE", "WARN"),
	other_iv = expert_of("other_iv", "The IV is not the 64-bit number", "PROTOCOL", "NOTE"),
	gap = expert_of("gap", "Numbers left out", "SEQUENCE", "NOTE"),
	missing = expert_of("missing", "Numbers that no packet has", "SEQUENCE", "WARN"),
	late = expert_of("late", "Overtaken by later numbers", "SEQUENCE", "NOTE"),
	duplicate = expert_of("duplicate", "Number used before: a receiver drops this", "SEQUENCE", "WARN"),
	their_check = expert_of("esp_check", "Warnings of ESP below about sequence numbers mean nothing: "
		.. "switch off esp.do_esp_sequence_analysis", "COMMENTS_GROUP", "COMMENT"),
}
esp.experts = { e.short, e.malformed, e.trailer, e.zero, e.other_iv, e.gap, e.missing, e.late, e.duplicate,
	e.their_check }

local b = {
	next_header = ProtoField.uint8("xfrm_ext_beet.next_header", "Next Header"),
	header_len = ProtoField.uint8("xfrm_ext_beet.header_len", "Header Len, in 8 octets less one"),
	pad_len = ProtoField.uint8("xfrm_ext_beet.pad_len", "Pad Len"),
	kind = ProtoField.uint8("xfrm_ext_beet.f", "F", base.DEC,
		{ [0] = "options", "fragment", "fragment and options" }, 0xc0),
	fragment = ProtoField.uint16("xfrm_ext_beet.fragment", "Flags and offset", base.HEX),
	df = ProtoField.bool("xfrm_ext_beet.df", "Don't fragment", 16, nil, 0x4000),
	mf = ProtoField.bool("xfrm_ext_beet.mf", "More fragments", 16, nil, 0x2000),
	offset = ProtoField.uint16("xfrm_ext_beet.offset", "Fragment Offset, in octets"),
	padding = ProtoField.bytes("xfrm_ext_beet.padding", "Padding"),
	options = ProtoField.bytes("xfrm_ext_beet.options", "IPv4 options"),
	option = ProtoField.uint8("xfrm_ext_beet.option", "Option", base.DEC, { [0] = "end of list",
		[1] = "NOP", [7] = "record route", [68] = "timestamp", [130] = "security",
		[131] = "loose source route", [134] = "CIPSO", [136] = "stream ID",
		[137] = "strict source route", [148] = "router alert" }),
}
beet.fields = b
local b_bad = ProtoExpert.new("xfrm_ext_beet.bad", "A receiver drops this",
	expert.group.MALFORMED, expert.severity.WARN)
beet.experts = { b_bad }

esp.prefs.sas = Pref.string("SAs", "", "Extended SAs in the words of `ip xfrm state`, any number "
	.. "of them, as in: src 192.0.2.1 dst 192.0.2.2 spi 0x100 format esp64 trailer front; "
	.. "spi 0x200 format esp64. What is not said of src and dst is any. Keys are not needed. "
	.. "Or @ and the name of a file that has them.")
esp.prefs.guess = Pref.bool("Find esp64 by itself", true,
	"Take ESP for format esp64 if its IV is its 64-bit number")
esp.prefs.udp_ports = Pref.range("UDP ports", tostring(NATT_PORT),
	"Ports of ESP in UDP; with \"spread on\" the receiver's is enough", 65535)

local ip_protos = DissectorTable.get("ip.proto")
local udp_ports = DissectorTable.get("udp.port")
local their_esp = ip_protos:get_dissector(PROTO_ESP)
local their_natt = udp_ports:get_dissector(NATT_PORT)
local data = Dissector.get("data")
local icmp_type, icmp6_type = Field.new("icmp.type"), Field.new("icmpv6.type")

-- Up to Wireshark 4.2 an octet that was not captured, and that the other dissector asks for, does
-- not come back through Lua but past it: after 200 such packets there is nothing but errors.
-- So there what was captured is given as if it were all.
local PAST_LUA = _VERSION == "Lua 5.2"

-- Another dissector's malformed packet comes here as an error of ours, and would be shown as one
local function give(dissector, tvb, pinfo, tree)
	if PAST_LUA and tvb:len() < tvb:reported_length_remaining() then
		if tvb:len() == 0 then
			tree:add(esp, tvb()):add_proto_expert_info(e.short)
			return 0
		end
		tvb = tvb():bytes():tvb("What was captured")
	end
	local ok, what = pcall(dissector.call, dissector, tvb, pinfo, tree)

	if ok then
		return what
	elseif not tostring(what):find("Malformed frame", 1, true) then
		error(what, 0)
	end
	tree:add(esp, tvb()):add_proto_expert_info(e.malformed)
	return tvb:len()
end

-- To what has that protocol, or as data
local function give_to(proto, tvb, pinfo, tree)
	give(proto ~= PROTO_NONE and ip_protos:get_dissector(proto) or data, tvb, pinfo, tree)
end

-- --- what SAs there are -------------------------------------------------------------

local FORMATS = { esp64 = true, esp = true }
local TRAILERS = { ["end"] = true, front = true, omit = true }
local IVS = { explicit = true, implicit = true }

-- SPI: a list of SAs in the order in which they were told
local told = {}

-- In a window as in a terminal
local function complain(text)
	text = "xfrm_ext: " .. text
	if gui_enabled() then
		report_failure(text)
	else
		io.stderr:write(text, "\n")
	end
end

-- What is no address would be looked up as a name
local function address(word)
	local four = word:find("^%d+%.%d+%.%d+%.%d+$")
	local six = word:find("^[%x:.]+$") and word:find(":", 1, true)
	local ok, a = false, nil

	if four or six then
		ok, a = pcall(six and Address.ipv6 or Address.ipv4, word)
	end
	if not ok then
		complain("no address: " .. word)
		return nil
	end
	return a
end

-- Octets of IV that are sent, and of ICV, from the names that the kernel has. Without an
-- algorithm it is AES-GCM, or like it.
local function algorithm(sa)
	local name = sa.aead or sa.enc or ""

	sa.iv_len = 8
	if sa.iv == "implicit" or name:find("cipher_null", 1, true) then
		sa.iv_len = 0
	elseif name:find("cbc(", 1, true) == 1 then
		sa.iv_len = 16
	end
	-- Of CBC it is random
	sa.counted = sa.iv_len == 8
	sa.clear = name:find("cipher_null", 1, true) ~= nil or name:find("rfc4543", 1, true) == 1
	sa.icv_len = math.floor((sa.bits or 128) / 8)
end

local function tell(sa)
	if not sa.spi then
		-- A line of nothing, or the rest of one that has been refused
		return
	end
	if not sa.format then
		-- Plain SAs are in the output of `ip` as well, and are Wireshark's
		if not sa.proto then
			complain(string.format("SPI 0x%08x: format esp64 or esp?", sa.spi))
		end
		return
	end
	sa.trailer = sa.trailer or "end"
	algorithm(sa)
	told[sa.spi] = told[sa.spi] or {}
	table.insert(told[sa.spi], sa)
end

-- Of a word that has one of some names behind it
local function one_of(sa, word, value, names)
	if value and names[value] then
		sa[word] = value
	else
		complain(word .. ": not known: " .. tostring(value))
	end
end

-- What a preference names, by "@"
local function text_of(preference)
	local path = preference:match("^%s*@%s*(.-)%s*$")

	if not path then
		return preference
	end
	local file, why = io.open(path)
	if not file then
		complain(why)
		return ""
	end
	local text = file:read("*a") or ""
	file:close()
	return text
end

local function read_sas(preference)
	local words, at = {}, 0
	local text = text_of(preference)
	local sa = {}

	for word in text:gsub(";", " ; "):gmatch("%S+") do
		words[#words + 1] = word
	end
	local function value()
		at = at + 1
		return words[at]
	end
	-- Name, and perhaps a key, which is not looked at, or what stands for one
	local function cipher()
		local name = value()
		local key = words[at + 1] or ""
		if key:find("^<<") then
			at = at + 2
		elseif key:find("^0x") or key:find('^"') then
			at = at + 1
		end
		return name
	end

	told = {}
	while at < #words do
		local word = value()
		if word == ";" then
			tell(sa)
			sa = {}
		elseif word == "sel" then
			-- A selector's addresses are not the SA's
			at = at + 4
		elseif word == "src" then
			if sa.src or sa.dst or sa.spi then
				tell(sa)
				sa = {}
			end
			sa.src = address(value() or "")
		elseif word == "dst" then
			sa.dst = address(value() or "")
		elseif word == "proto" then
			sa.proto = value()
		elseif word == "spi" then
			local spi = (value() or ""):gsub("%(.*", "")
			sa.spi = tonumber(spi)
			if not sa.spi then
				complain("no SPI: " .. spi)
			end
		elseif word == "format" then
			one_of(sa, word, value(), FORMATS)
		elseif word == "trailer" then
			one_of(sa, word, value(), TRAILERS)
		elseif word == "iv" then
			one_of(sa, word, value(), IVS)
		elseif word == "esn" then
			sa.esn = value() == "on"
		elseif word == "aead" then
			sa.aead = cipher()
			sa.bits = tonumber(value() or "")
		elseif word == "enc" then
			sa.enc = cipher()
		elseif word == "auth-trunc" then
			cipher()
			sa.bits = tonumber(value() or "")
		end
	end
	tell(sa)
end

-- What an SA is taken for whose IV is its number: the usual one
local GUESSED = { format = "esp64", trailer = "end", iv_len = 8, counted = true, icv_len = 16,
	guessed = true }

local function find_sa(tvb, pinfo)
	local spi = tvb(0, 4):uint()

	for _, sa in ipairs(told[spi] or {}) do
		if (not sa.src or sa.src == pinfo.src) and (not sa.dst or sa.dst == pinfo.dst) then
			return sa
		end
	end
	-- Another 64-bit IV than this one agrees by chance once in 2^32 packets
	if not told[spi] and esp.prefs.guess and tvb:len() >= 20
	   and tvb(4, 8):bytes() == tvb(12, 8):bytes() then
		return GUESSED
	end
	return nil
end

-- --- what is missing, late, or there twice --------------------------------------------

-- SPI: a list of SAs as they are seen, { dst, esn high half, subspaces }
local seen = {}
-- Frame number: what there is to say of its packets
local results = {}

local function sa_seen(spi, dst)
	local list = seen[spi] or {}

	seen[spi] = list
	for _, s in ipairs(list) do
		if s.dst == dst then
			return s
		end
	end
	list[#list + 1] = { dst = dst, subspaces = {} }
	return list[#list]
end

-- The whole number of format esp with ESN, of which the lower half is sent: the nearest to
-- the highest before. A capture is taken to begin with high half 0.
local function whole_number(sub, low)
	local top = sub and sub.highest or 0
	local high = math.floor(top / HIGH)
	local best

	for h = math.max(high - 1, 0), high + 1 do
		local n = h * HIGH + low
		if not best or math.abs(n - top) < math.abs(best - top) then
			best = n
		end
	end
	return best
end

-- Of each packet once, in the order of the capture
local function analyse(pinfo, spi, id, sn, esn)
	local s = sa_seen(spi, pinfo.dst)
	local sub = s.subspaces[id]
	local r = { subspace = sub }

	if esn then
		sn = whole_number(sub, sn)
	end
	r.sn = sn
	if not sub then
		sub = { lowest = sn, highest = sn, distinct = 0, packets = 0, late = 0, deepest = 0,
			duplicates = 0, frames = {} }
		s.subspaces[id] = sub
		r.subspace = sub
	elseif sub.frames[sn] then
		r.duplicate = sub.frames[sn]
		sub.duplicates = sub.duplicates + 1
	elseif sn > sub.highest then
		if sn > sub.highest + 1 then
			r.expected = sub.highest + 1
			r.gap = sn - r.expected
		end
	else
		r.late = sub.highest - sn
		sub.late = sub.late + 1
		sub.deepest = math.max(sub.deepest, r.late)
	end
	r.previous = sub.last
	sub.last = pinfo.number
	sub.packets = sub.packets + 1
	sub.lowest = math.min(sub.lowest, sn)
	sub.highest = math.max(sub.highest, sn)
	if not sub.frames[sn] then
		sub.frames[sn] = pinfo.number
		sub.distinct = sub.distinct + 1
	end
	return r
end

-- Once per packet, also where one is inside another
local function result(pinfo, spi, id, sn, esn)
	local of_frame = results[pinfo.number] or {}
	local key = string.format("%d %d %.0f", spi, id, sn)

	results[pinfo.number] = of_frame
	if not of_frame[key] and not pinfo.visited then
		of_frame[key] = analyse(pinfo, spi, id, sn, esn)
	end
	return of_frame[key]
end

-- How many of the numbers of a gap no packet has. A gap as it comes of an SA that was taken
-- over is too long to look
local GAP_MAX = 65536

local function still_missing(r)
	local n = 0

	if r.gap > GAP_MAX then
		return nil
	end
	for sn = r.expected, r.sn - 1 do
		if not r.subspace.frames[sn] then
			n = n + 1
		end
	end
	return n
end

-- Numbers have up to 48 bits, exact in a double, which they are in Lua 5.2
local function uint64(n)
	return UInt64.new(n % HIGH, math.floor(n / HIGH))
end

local function show_result(tree, r, pinfo)
	local missing = pinfo.visited and r.gap and still_missing(r)

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
	if missing then
		local item = tree:add(f.missing, uint64(missing)):set_generated()
		if missing > 0 then
			item:add_proto_expert_info(e.missing)
		end
	end
end

-- --- what is inside -------------------------------------------------------------------

-- Next Header, where the payload begins and ends, what is padding, as a receiver finds it;
-- or nothing
local function find_trailer(trailer, p, tree)
	local len = p:len()

	if trailer == "front" then
		if len < 4 or p(0, 1):bitfield(0, 4) ~= 0 then
			return nil
		end
		local info = tree:add(f.info, p(0, 4))
		info:add(f.next_header, p(2, 1))
		info:add(f.pad_len, p(3, 1))
		local stop = len - p(3, 1):uint()
		if stop < 4 then
			return nil
		end
		return p(2, 1):uint(), 4, stop, stop, len
	elseif trailer == "omit" then
		local version = len > 0 and p(0, 1):bitfield(0, 4) or 0
		local stop
		if version == 4 and len >= 4 then
			stop = p(2, 2):uint()
		elseif version == 6 and len >= 6 then
			stop = 40 + p(4, 2):uint()
		end
		if not stop or stop > len or len - stop > 255 then
			return nil
		end
		return version == 4 and PROTO_IPIP or PROTO_IPV6, 0, stop, stop, len
	end
	if len < 2 then
		return nil
	end
	tree:add(f.pad_len, p(len - 2, 1))
	tree:add(f.next_header, p(len - 1, 1))
	local stop = len - 2 - p(len - 2, 1):uint()
	if stop < 0 then
		return nil
	end
	return p(len - 1, 1):uint(), 0, stop, stop, len - 2
end

-- A plaintext that is there to read
local function show_plaintext(sa, p, pinfo, tree, top)
	local next_header, from, to, pad, pad_end = find_trailer(sa.trailer, p, tree)

	if not next_header then
		tree:add_proto_expert_info(e.trailer)
		give(data, p, pinfo, top)
		return
	end
	if pad_end > pad then
		tree:add(f.padding, p(pad, pad_end - pad))
	end
	if to == from then
		return
	end
	give_to(next_header, p(from, to - from):tvb(), pinfo, top)
end

-- To Wireshark's own dissector, as it knows ESP: four octets shorter, and with its IV
local function hand_over(sa, tvb, header, n_high, pinfo, tree, top)
	local iv = sa.iv == "implicit"
	local made = tvb(0, 4):bytes() .. tvb(header - 4, 4):bytes()

	if iv then
		local number = ByteArray.new(string.format("%08x", n_high))
		made = made .. number .. tvb(header - 4, 4):bytes()
	end
	made = made .. tvb(header):bytes()
	if get_preference("esp.do_esp_sequence_analysis") then
		tree:add_proto_expert_info(e.their_check)
	end
	give(their_esp, made:tvb("As ESP without Subspace ID"), pinfo, top)
end

local function columns(sa, spi, subspace, sn, pinfo)
	local info = string.format("SPI 0x%08x", spi)

	if subspace then
		info = string.format("%s subspace %d", info, subspace)
	end
	info = string.format("%s SN %.0f", info, sn)
	if sa.trailer ~= "end" then
		info = info .. " trailer " .. sa.trailer
	end
	pinfo.cols.protocol = sa.format == "esp64" and "ESP64" or "ESP"
	pinfo.cols.info = info
end

-- What a router or a host quotes of a packet was not sent again
local function is_quoted()
	return icmp_type() ~= nil or icmp6_type() ~= nil
end

local function dissect(sa, tvb, pinfo, top)
	local header = sa.format == "esp64" and 12 or 8
	local len, whole = tvb:len(), tvb:reported_length_remaining()
	local spi = tvb(0, 4):uint()
	local tree = top:add(esp, tvb())
	local subspace, sn, high

	pinfo.cols.protocol = sa.format == "esp64" and "ESP64" or "ESP"
	pinfo.cols.info = string.format("SPI 0x%08x", spi)
	tree:add(f.spi, tvb(0, 4))
	tree:add(f.format, sa.format):set_generated()
	if sa.guessed then
		tree:add(f.guessed, true):set_generated()
	else
		tree:add(f.trailer, sa.trailer):set_generated()
	end
	if len < header then
		tree:add_proto_expert_info(e.short)
		return
	end

	local r
	if sa.format == "esp64" then
		subspace = tvb(4, 2):uint()
		sn = tvb(6, 2):uint() * HIGH + tvb(8, 4):uint()
		high = tvb(4, 4):uint()
		tree:add(f.subspace, tvb(4, 2))
		tree:add(f.sn, tvb(6, 6), uint64(sn))
		tree:add(f.number, tvb(4, 8))
	else
		sn, high = tvb(4, 4):uint(), 0
	end
	if not is_quoted() then
		r = result(pinfo, spi, subspace or 0, sn, sa.esn)
	end
	if sa.format == "esp" then
		local n = r and r.sn or sn
		high = math.floor(n / HIGH)
		tree:add(f.sn, tvb(4, 4), uint64(n))
		tree:add(f.number, tvb(4, 4), uint64(n))
		sn = n
	end
	if sn == 0 then
		tree:add_proto_expert_info(e.zero)
	end
	columns(sa, spi, subspace, sn, pinfo)
	tree:append_text(string.format(", SPI 0x%08x%s, SN %.0f", spi,
		subspace and ", subspace " .. subspace or "", sn))

	local at = header
	local icv = whole - sa.icv_len
	if len < whole or icv < at + sa.iv_len then
		tree:add_proto_expert_info(e.short)
		if r then
			show_result(tree, r, pinfo)
		end
		return
	end
	if sa.iv == "implicit" then
		local item = sa.format == "esp64" and tree:add(f.implicit, tvb(4, 8))
		if item then
			item:set_generated()
		end
	elseif sa.iv_len > 0 then
		local item = tree:add(f.iv, tvb(at, sa.iv_len))
		if sa.counted and sa.format == "esp64"
		   and not (tvb(4, 8):bytes() == tvb(at, 8):bytes()) then
			item:add_proto_expert_info(e.other_iv)
		end
	end
	at = at + sa.iv_len
	if icv > at then
		tree:add(sa.clear and f.plaintext or f.ciphertext, tvb(at, icv - at))
	end
	tree:add(f.icv, tvb(icv))
	if r then
		show_result(tree, r, pinfo)
	end

	if sa.clear then
		if icv > at then
			show_plaintext(sa, tvb(at, icv - at):tvb(), pinfo, tree, top)
		end
	elseif sa.trailer == "end" and get_preference("esp.enable_encryption_decode") then
		hand_over(sa, tvb, header, high, pinfo, tree, top)
		if tostring(pinfo.cols.protocol) == "ESP" then
			columns(sa, spi, subspace, sn, pinfo)
		end
	end
end

function esp.dissector(tvb, pinfo, tree)
	local sa = tvb:len() >= 4 and find_sa(tvb, pinfo)

	if not sa then
		return give(their_esp, tvb, pinfo, tree)
	end
	dissect(sa, tvb, pinfo, tree)
	return tvb:len()
end

-- --- in UDP -----------------------------------------------------------------------------

-- Keepalives and IKE are not ours
function natt.dissector(tvb, pinfo, tree)
	local sa = tvb:len() >= 8 and tvb(0, 4):uint() ~= 0 and find_sa(tvb, pinfo)

	if not sa then
		return give(their_natt, tvb, pinfo, tree)
	end
	tree:add(natt, tvb(0, 0))
	dissect(sa, tvb, pinfo, tree)
	return tvb:len()
end

-- --- BEET's pseudo header ------------------------------------------------------------------

-- Whether options can be told one from another
local function show_options(range, tree)
	local at, len = 0, range:len()

	while at < len do
		local kind = range(at, 1):uint()
		tree:add(b.option, range(at, 1))
		if kind == 0 then
			return true
		elseif kind == 1 then
			at = at + 1
		else
			if at + 2 > len or range(at + 1, 1):uint() < 2 then
				return false
			end
			at = at + range(at + 1, 1):uint()
		end
	end
	return at <= len
end

function beet.dissector(tvb, pinfo, top)
	local len = tvb:len()
	local tree = top:add(beet, tvb())

	local function bad()
		tree:add_proto_expert_info(b_bad)
		give(data, tvb, pinfo, top)
		return len
	end
	if len < 8 then
		return bad()
	end
	local size, pad = 8 * (tvb(1, 1):uint() + 1), tvb(2, 1):uint()
	tree:add(b.next_header, tvb(0, 1))
	tree:add(b.header_len, tvb(1, 1))
	tree:add(b.pad_len, tvb(2, 1))
	tree:add(b.kind, tvb(3, 1))
	-- Of options the Pad Len is 0 or 4, of fragments 2 or 6
	local fragment = pad == 2 or pad == 6
	local at = fragment and 6 or 4
	local options = size - at - pad
	if size > len or pad > 6 or pad % 2 == 1 or options < 0 or options > 40
	   or not fragment and options == 0 or tvb(0, 1):uint() == PROTO_BEETPH then
		return bad()
	end
	local word = 0
	if fragment then
		word = tvb(4, 2):uint()
		local item = tree:add(b.fragment, tvb(4, 2))
		item:add(b.df, tvb(4, 2))
		item:add(b.mf, tvb(4, 2))
		item:add(b.offset, tvb(4, 2), word % 0x2000 * 8)
	end
	if pad > 0 then
		tree:add(b.padding, tvb(at, pad))
	end
	if options > 0 then
		local item = tree:add(b.options, tvb(at + pad, options))
		if not show_options(tvb(at + pad, options), item) then
			return bad()
		end
	end
	tree:set_len(size)
	if size == len then
		return len
	end
	give_to(fragment and PROTO_NONE or tvb(0, 1):uint(), tvb(size):tvb(), pinfo, top)
	return len
end

-- --- where it is asked for -----------------------------------------------------------------

function esp.init()
	seen, results = {}, {}
end

local read, ports

local function obey_prefs()
	if esp.prefs.sas ~= read then
		read = esp.prefs.sas
		read_sas(read)
	end
	if esp.prefs.udp_ports ~= ports then
		if ports then
			udp_ports:remove(ports, natt)
		end
		ports = esp.prefs.udp_ports
		udp_ports:add(ports, natt)
	end
end

ip_protos:add(PROTO_ESP, esp)
ip_protos:add(PROTO_BEETPH, beet)
esp.prefs_changed = obey_prefs
obey_prefs()

-- --- tshark -q -z xfrm_ext ----------------------------------------------------------------

local function sorted(t)
	local keys = {}

	for key in pairs(t) do
		keys[#keys + 1] = key
	end
	table.sort(keys)
	return keys
end

local function report()
	print(string.format("%-10s %-24s %8s %9s %15s %15s %9s %6s %8s %6s", "SPI", "to", "subspace",
		"packets", "lowest", "highest", "missing", "late", "deepest", "twice"))
	for _, spi in ipairs(sorted(seen)) do
		for _, s in ipairs(seen[spi]) do
			for _, id in ipairs(sorted(s.subspaces)) do
				local sub = s.subspaces[id]
				print(string.format("0x%08x %-24s %8d %9d %15.0f %15.0f %9.0f %6d %8.0f %6d",
					spi, tostring(s.dst), id, sub.packets, sub.lowest, sub.highest,
					sub.highest - sub.lowest + 1 - sub.distinct, sub.late, sub.deepest,
					sub.duplicates))
			end
		end
	end
end

register_stat_cmd_arg("xfrm_ext", function()
	local tap = Listener.new("frame", "xfrm_ext")
	function tap.packet() end
	function tap.draw() report() end
	function tap.reset() end
end)
