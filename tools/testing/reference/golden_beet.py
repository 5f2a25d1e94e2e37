# SPDX-License-Identifier: GPL-2.0-only
"""Golden pseudo headers of BEET, by a second route: from tables, written out by
hand from the figure in wire-formats.rst, nothing being computed. golden.py prints
them; the module's pseudo headers and those of beet.py must be the same.
"""

# Octets of options: what stands between Next Header and them, without a fragment
# word: Header Len, Pad Len, F and reserved, NOPs
PLAIN = {
    4: "00 00 00",
    8: "01 04 00 01010101",
    12: "01 00 00",
    16: "02 04 00 01010101",
    20: "02 00 00",
    24: "03 04 00 01010101",
    28: "03 00 00",
    32: "04 04 00 01010101",
    36: "04 00 00",
    40: "05 04 00 01010101",
}
# With one, which goes where WWWW is
FRAGMENT = {
    0: "00 02 40 WWWW 0000",
    4: "01 06 80 WWWW 000000000000",
    8: "01 02 80 WWWW 0000",
    12: "02 06 80 WWWW 000000000000",
    16: "02 02 80 WWWW 0000",
    20: "03 06 80 WWWW 000000000000",
    24: "03 02 80 WWWW 0000",
    28: "04 06 80 WWWW 000000000000",
    32: "04 02 80 WWWW 0000",
    36: "05 06 80 WWWW 000000000000",
    40: "05 02 80 WWWW 0000",
}
# Router alert; record route; timestamps; end of list with something behind it
OPTIONS = {
    0: "",
    4: "94040000",
    8: "0707040a0b0c0d00",
    12: "440c0d00 00000001 00000002",
    16: "01010101 01010101 01010101 94040000",
    20: "01 07130c 0a000001 0a000002 00000000 00000000",
    24: "94040000 44140900 11223344 00000000 00000000 00000000",
    28: "9404ffff 00 ffffff fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 efeeedec",
    32: "1e02 01 020304 01 01 071718 0a000001 0a000002 0a000003 0a000004 0a000005 00",
    36: "07230c c0000201 c0000202 c0000203 c0000204 c0000205 c0000206 c0000207 c0000208 00",
    40: "44280500" "00112233" "44556677" "8899aabb" "ccddeeff"
        "00112233" "44556677" "8899aabb" "ccddeeff" "01020304",
}
# The 16 bits, by what stands before the payload in them: R, D, M and offset
FIRSTS = (0x2000, 0x6000, 0xA000, 0xE000)
MIDDLES = (0x2001, 0x20B9, 0x6100, 0x3FFE)
LASTS = (0x0001, 0x00B9, 0x4004, 0x1FFF)
PROTOCOLS = (17, 6, 1, 50)


def pseudo_headers():
    """One for every length of options, in no fragment, the first, one between, the
    last."""
    made = []
    for i, (length, options) in enumerate(OPTIONS.items()):
        proto, octets = PROTOCOLS[i % 4], bytes.fromhex(options)
        for place, words in (
            ("no", None), ("first", FIRSTS), ("middle", MIDDLES), ("last", LASTS)
        ):
            if words is None and length == 0:
                continue
            word = words[i % 4] if words else 0
            table = FRAGMENT if words else PLAIN
            head = table[length].replace("WWWW", f"{word:04x}")
            pseudo = bytes((proto,)) + bytes.fromhex(head) + octets
            made.append({
                "name": f"{length} octets of options, {place} fragment",
                "next_header": proto,
                "fragment": words is not None,
                "frag_off": word,
                "options": octets.hex(),
                "ph": pseudo.hex(),
            })
    return made


C_STRUCT = """
struct xfrm_ext_golden_beet {
	const char *name;
	u8 next_header;
	u8 options_len;
	u8 fragment;
	/* The header's 16 bits, in host order */
	u16 frag_off;
	u8 options[40];
	u8 len;
	u8 ph[48];
};

static const struct xfrm_ext_golden_beet xfrm_ext_golden_beet[] = {
"""


def c_octets(name, octets):
    """One initializer, in lines of twelve octets."""
    words = [f"0x{o:02x}" for o in bytes.fromhex(octets)]
    lines = [", ".join(words[i : i + 12]) for i in range(0, len(words), 12)]
    first = "\n\t\t\t" if len(words) > 8 else " "
    return f"\t\t.{name} = {{{first}" + ",\n\t\t\t".join(lines) + " },\n"


def c_table():
    """The table for the unit tests."""
    text = C_STRUCT
    for p in pseudo_headers():
        text += f"\t{{\n\t\t.name = \"{p['name']}\",\n"
        text += f"\t\t.next_header = {p['next_header']}, "
        if p["fragment"]:
            text += f".fragment = 1, .frag_off = 0x{p['frag_off']:04x}, "
        if p["options"]:
            text += f".options_len = {len(p['options']) // 2},\n"
            text += c_octets("options", p["options"]) + "\t\t"
        text += f".len = {len(p['ph']) // 2},\n"
        text += c_octets("ph", p["ph"]) + "\t},\n"
    return text + "};\n"
