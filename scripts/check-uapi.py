#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Check that the descriptions of the uapi agree with each other.

    include/uapi/linux/xfrm_ext.h              what the compiler says it is
    Documentation/netlink/specs/xfrm_ext.yaml  names, values, types, limits
    Documentation/counters.rst                 one entry per XFRM_EXT_STAT_
    net/xfrm_ext/stats.c                       its name, and the kernel's counter beside it
    tools/xfrm-ext/xfrm_ext_names.c            names of it, of attributes and commands

Every mismatch is printed; the exit status is 1 if there is any. --selftest
shows that each kind of mismatch would be found.
"""

import argparse
import copy
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

TOP = Path(__file__).resolve().parent.parent
HEADER = TOP / "include/uapi/linux/xfrm_ext.h"
SPEC = TOP / "Documentation/netlink/specs/xfrm_ext.yaml"
COUNTERS = TOP / "Documentation/counters.rst"
REASONS = TOP / "net/xfrm_ext/stats.c"
NAMES = TOP / "tools/xfrm-ext/xfrm_ext_names.c"

PREFIX = "XFRM_EXT_"
STAT_PREFIX = "XFRM_EXT_STAT_"
# Counters of what went well; they stand in the header's enum with the rest
NO_COUNTERS = ("UNSPEC", "PAD")

# Limits of attributes that the header has no constant for
OTHER_LIMITS = {
    ("spi", "min"): 1,
    ("daddr", "min-len"): 4,
    ("daddr", "max-len"): 16,
    ("tx-subspaces", "min"): 1,
    ("rx-subspaces", "min"): 1,
    ("select-cpus", "min"): 1,
    ("select-dscp", "exact-len"): 128,
    ("select-mask", "min"): 1,
    ("select-shift", "max"): 31,
    ("tx-start", "min"): 1,
    ("tx-warn", "min"): 1,
    ("sub-key", "min"): 128,
    ("sub-key", "max"): 256,
    ("memory-max", "min"): 1,
    ("rule-pref", "min"): 1,
    ("rule-src", "min-len"): 4,
    ("rule-src", "max-len"): 16,
    ("rule-src-len", "max"): 128,
    ("rule-dst", "min-len"): 4,
    ("rule-dst", "max-len"): 16,
    ("rule-dst-len", "max"): 128,
    ("echo-reply-spi", "min"): 1,
    ("echo-len", "max"): 65535,
}
HEADER_LIMITS = {
    ("tx-subspaces", "max"): "XFRM_EXT_SUBSPACES_MAX",
    ("rx-subspaces", "max"): "XFRM_EXT_SUBSPACES_MAX",
    ("select-cpus", "max"): "XFRM_EXT_SUBSPACES_MAX",
    ("tx-start", "max"): "XFRM_EXT_SN_MAX",
    ("tx-warn", "max"): "XFRM_EXT_SN_MAX",
    ("gap", "max"): "XFRM_EXT_SN_MAX",
    ("window", "min"): "XFRM_EXT_WINDOW_MIN",
    ("window", "max"): "XFRM_EXT_WINDOW_MAX",
    ("tx-crypt-offset", "max"): "XFRM_EXT_CRYPT_OFFSET_MAX",
    ("rx-crypt-offset", "max"): "XFRM_EXT_CRYPT_OFFSET_MAX",
    ("echo-data", "max-len"): "XFRM_EXT_ECHO_DATA_MAX",
}
# What a comment in the header calls a type, and what the spec calls it
COMMENT_TYPES = {"nest": "nest", "string": "string", "4 or 16 octets": "binary"}


def c_name(name):
    """The C form of a name of the spec."""
    return name.upper().replace("-", "_")


# --- the header ---------------------------------------------------------------


def header_names(text):
    """Every constant that the header defines, include guard aside."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    names = re.findall(r"^#define\s+(XFRM_EXT_\w+)[ \t]+\S", code, re.M)
    for body in re.findall(r"enum\s+\w+\s*\{(.*?)\}", code, re.S):
        names += re.findall(r"^\s*(\w+)\s*(?:=[^,]*)?,?\s*$", body, re.M)
    return names


def header_values(text):
    """Name to value, computed by the compiler. Values are int or str."""
    names = header_names(text)
    prints = "\n".join(f"\tSHOW({name});" for name in names)
    program = (
        "#include <stdio.h>\n" + text + "\n"
        "static void num(const char *n, long long v) "
        '{ printf("%s %lld\\n", n, v); }\n'
        'static void str(const char *n, const char *v) { printf("%s \\"%s\\n", n, v); }\n'
        "#define SHOW(x) _Generic((x), char *: str, default: num)(#x, (x))\n"
        f"int main(void)\n{{\n{prints}\n\treturn 0;\n}}\n"
    )
    with tempfile.TemporaryDirectory() as tmp:
        source, binary = Path(tmp, "show.c"), Path(tmp, "show")
        source.write_text(program, encoding="utf-8")
        subprocess.run(
            ["gcc", "-std=c11", "-Wall", "-Werror", "-o", binary, source], check=True
        )
        shown = subprocess.run([binary], check=True, capture_output=True, text=True)
    values = {}
    for line in shown.stdout.splitlines():
        name, value = line.split(" ", 1)
        values[name] = value[1:] if value[0] == '"' else int(value)
    return values


def header_enums(text):
    """Name of every enum to its constants, end markers aside."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return {
        name: [n for n in re.findall(r"^\s*(\w+)", body, re.M) if n[:2] != "__"]
        for name, body in re.findall(r"enum\s+(\w+)\s*\{(.*?)\}", code, re.S)
    }


def header_comments(text):
    """Name of every constant in an enum to the comment behind it."""
    return dict(re.findall(r"^\t(XFRM_EXT_\w+),[ \t]*/\* (.*?) \*/$", text, re.M))


# --- the spec -----------------------------------------------------------------


def numbered(entries):
    """The value of each: as given, or one more than the one before."""
    value = -1
    for entry in entries:
        value = entry.get("value", value + 1)
        yield entry, value


def spec_enums(spec):
    """Name of every C enum to {constant: value}."""
    enums = {}
    for d in spec["definitions"]:
        if d["type"] == "const":
            continue
        prefix = c_name(d.get("name-prefix", f"{spec['name']}-{d['name']}-"))
        entries = [e if isinstance(e, dict) else {"name": e} for e in d["entries"]]
        enums[d["enum-name"]] = {
            prefix + c_name(e["name"]): 1 << v if d["type"] == "flags" else v
            for e, v in numbered(entries)
        }
    for group in [*spec["attribute-sets"], spec["operations"]]:
        prefix = c_name(group["name-prefix"])
        entries = group.get("attributes") or group["list"]
        enums[group["enum-name"]] = {
            prefix + c_name(e["name"]): v for e, v in numbered(entries)
        }
    return {c_name(name).lower(): values for name, values in enums.items()}


def spec_values(spec):
    """Name to value of every constant of the spec."""
    values = {
        c_name(spec["c-family-name"]): spec["name"],
        c_name(spec["c-version-name"]): spec["version"],
    }
    for group in spec["mcast-groups"]["list"]:
        values[c_name(group["c-define-name"])] = group["name"]
    for d in spec["definitions"]:
        if d["type"] == "const":
            values[c_name(f"{spec['name']}-{d['name']}")] = d["value"]
    enums = spec_enums(spec)
    for enum in enums.values():
        values |= enum
    for group in [*spec["attribute-sets"], spec["operations"]]:
        prefix = c_name(group["name-prefix"])
        last = max(enums[c_name(group["enum-name"]).lower()].values())
        values |= {f"__{prefix}MAX": last + 1, f"{prefix}MAX": last}
    return values


def spec_limit(spec, limit):
    """A limit of the spec: a number, or the name of a constant."""
    if isinstance(limit, int):
        return limit
    return next((d["value"] for d in spec["definitions"] if d["name"] == limit), limit)


# --- the checks: each yields mismatches ---------------------------------------


def check_values(text, spec):
    """Both know the same names, with the same values."""
    header, described = header_values(text), spec_values(spec)
    for name in sorted(header.keys() - described.keys()):
        yield f"{name}: not in the spec"
    for name in sorted(described.keys() - header.keys()):
        yield f"{name}: not in the header"
    for name in sorted(header.keys() & described.keys()):
        if header[name] != described[name]:
            yield f"{name}: {header[name]!r} in the header, {described[name]!r} in the spec"


def check_enums(text, spec):
    """Every enum of the header has its name and its constants in the spec."""
    header, described = header_enums(text), spec_enums(spec)
    for name in sorted(header.keys() ^ described.keys()):
        yield f"enum {name}: not in the {'spec' if name in header else 'header'}"
    for name in sorted(header.keys() & described.keys()):
        for constant in sorted(set(described[name]) ^ set(header[name])):
            yield f"enum {name}: {constant} in one of the two only"


def check_types(text, spec):
    """The header's comments and the spec agree about types."""
    comments = header_comments(text)
    for group in spec["attribute-sets"]:
        for attr in group["attributes"]:
            if attr["type"] in ("unused", "pad"):
                continue
            name = c_name(group["name-prefix"] + attr["name"])
            if name.startswith(STAT_PREFIX):
                if attr["type"] != "u64":
                    yield f"{name}: {attr['type']}, and counters are u64"
                continue
            words = re.split(r"[,:] ", comments.get(name, ""))
            expected = COMMENT_TYPES.get(words[0], words[0])
            if attr["type"] != expected:
                yield f"{name}: {words[0]!r} in the header, {attr['type']} in the spec"
            facts = {
                "many": attr.get("multi-attr", False),
                "network byte order": attr.get("byte-order") == "big-endian",
            }
            for fact, said in facts.items():
                if (fact in words) != said:
                    yield f"{name}: only one of the two says {fact!r}"
            yield from check_enum_of(name, words, attr, spec)


def check_enum_of(name, words, attr, spec):
    """An attribute's enum, or what it nests, is the one the header names."""
    named = attr.get("enum") or attr.get("nested-attributes")
    groups = spec["definitions"] + spec["attribute-sets"]
    group = next((g for g in groups if g["name"] == named), None)
    if named and not group:
        yield f"{name}: the spec does not define {named}"
        return
    expected = c_name(group["enum-name"]).lower() if group else None
    as_bits = any(w.startswith("bit per enum") for w in words)
    enums = re.findall(r"enum (\w+)", " ".join(words))
    if enums != ([expected] if expected else []):
        yield f"{name}: {enums} in the header, {expected} in the spec"
    if as_bits != attr.get("enum-as-flags", False):
        yield f"{name}: only one of the two says that it is a set of bits"


def check_limits(text, spec):
    """Attributes have the limits that they should have, and no others."""
    values = header_values(text)
    expected = OTHER_LIMITS | {k: values.get(v) for k, v in HEADER_LIMITS.items()}
    found = {}
    for attr in spec["attribute-sets"][0]["attributes"]:
        for kind, limit in attr.get("checks", {}).items():
            if kind != "flags-mask":
                found[attr["name"], kind] = spec_limit(spec, limit)
            elif limit != attr.get("enum"):
                yield f"{attr['name']}: flags-mask is not its enum"
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            yield f"{' '.join(key)}: {found.get(key)} in the spec, not {expected.get(key)}"


def check_operations(text, spec):
    """The operations carry attributes that exist, and have privileges right."""
    names = {a["name"] for a in spec["attribute-sets"][0]["attributes"]}
    comments = header_comments(text)
    for op in spec["operations"]["list"]:
        name = c_name(spec["operations"]["name-prefix"] + op["name"])
        listed = []
        for kind in ("do", "dump"):
            for part in op.get(kind, {}).values():
                listed += part["attributes"]
        listed += op.get("event", {}).get("attributes", [])
        for attr in sorted(set(listed) - names):
            yield f"{name}: no attribute {attr}"
        if op["name"] == "unspec":
            continue
        comment = comments.get(name, "")
        kinds = {k for k in ("do", "dump", "event") if k in op}
        if set(re.findall(r"\b(do|dump|event)\b", comment)) != kinds:
            yield f"{name}: {comment!r} in the header, {sorted(kinds)} in the spec"
        changes = "CAP_NET_ADMIN" in comment
        if changes and "uns-admin-perm" not in op.get("flags", []):
            yield f"{name}: CAP_NET_ADMIN in the header, not in the spec"


def check_generated(text, spec):
    """ynl's C generator makes code of it that compiles beside the header."""
    enums = header_enums(text)
    for group in spec["attribute-sets"]:
        # A struct of this name, where an enum has it
        name = c_name(f"{spec['name']}-{group['name']}").lower()
        if name in enums:
            yield f"attribute set {group['name']}: the header has an enum {name}"
    for op in spec["operations"]["list"]:
        for kind in ("do", "dump"):
            for part in ("request", "reply"):
                # Functions with a struct that it does not define
                if op.get(kind, {}).get(part, {}).get("attributes") == []:
                    yield f"{op['name']}: a {part} without attributes; leave it out"


def check_counters(text, rst):
    """counters.rst has exactly the counters of the header."""
    counters = {
        n[len(STAT_PREFIX):].lower().replace("_", "-")
        for n in header_enums(text)["xfrm_ext_stat"]
        if n[len(STAT_PREFIX):] not in NO_COUNTERS
    }
    listed = re.findall(r"^   \* - ``([a-z-]+)``$", rst, re.M)
    for name in sorted(counters - set(listed)):
        yield f"counter {name}: not in counters.rst"
    for name in sorted(set(listed) - counters):
        yield f"counter {name}: in counters.rst, not in the header"
    for name in sorted({n for n in listed if listed.count(n) > 1}):
        yield f"counter {name}: twice in counters.rst"


def check_reasons(text, rst, code):
    """The module calls the counters as they are called here, and moves what is said here."""
    counters = {n: c_dashes(n[len(STAT_PREFIX):]) for n in header_enums(text)["xfrm_ext_stat"]
                if n[len(STAT_PREFIX):] not in NO_COUNTERS}
    table = {name: (said, mib) for name, said, mib in re.findall(
        r'^\t\[(XFRM_EXT_STAT_\w+)\] = \{ "([a-z-]+)"(?:, LINUX_MIB_(\w+))? \},$', code, re.M)}
    for name in sorted(counters.keys() ^ table.keys()):
        yield f"{name}: in one of header and stats.c only"
    # The last column of what has four
    moved = dict(re.findall(r"^   \* - ``([a-z-]+)``\n(?:     .*\n)*?     - (?:``(Xfrm\w+)``|none)$",
                            rst, re.M))
    for name in sorted(counters.keys() & table.keys()):
        said, mib = table[name]
        if said != counters[name]:
            yield f"{name}: {said} in stats.c"
        if mib != moved.get(said, "").upper():
            yield f"{said}: {mib or 'nothing'} moves in stats.c, {moved.get(said)} in counters.rst"


def check_names(text, tool):
    """What ip and xfrm-ext print is called as it is here."""
    for enum, prefix in (("xfrm_ext_stat", STAT_PREFIX), ("xfrm_ext_attr", "XFRM_EXT_A_"),
                         ("xfrm_ext_cmd", "XFRM_EXT_CMD_"),
                         ("xfrm_ext_subspace", "XFRM_EXT_SUBSPACE_")):
        wanted = {n: c_dashes(n[len(prefix):]) for n in header_enums(text)[enum]
                  if n[len(prefix):] not in NO_COUNTERS}
        said = dict(re.findall(rf'^\t\[({prefix}\w+)\]\s*= (?:{{ )?"([a-z0-9-]+)"', tool, re.M))
        for name in sorted(wanted.keys() - said.keys()):
            yield f"{name}: no name in xfrm_ext_names.c"
        for name in sorted(wanted.keys() & said.keys()):
            if said[name] != wanted[name]:
                yield f"{name}: {said[name]} in xfrm_ext_names.c"


def c_dashes(name):
    """The name of a constant, as users see it."""
    return name.lower().replace("_", "-")


def mismatches(text, spec, rst, code, tool):
    """Everything that does not agree."""
    found = []
    for check in (check_values, check_enums, check_types, check_limits,
                  check_operations, check_generated):
        found += check(text, spec)
    return found + list(check_counters(text, rst)) + list(check_reasons(text, rst, code)) + list(
        check_names(text, tool))


# --- selftest -----------------------------------------------------------------


def attribute(spec, name, group=0):
    """An attribute of the spec, to be changed."""
    attrs = spec["attribute-sets"][group]["attributes"]
    return next(a for a in attrs if a["name"] == name)


def definition(spec, name):
    """A constant or enum of the spec, to be changed."""
    return next(d for d in spec["definitions"] if d["name"] == name)


SPEC_MUTATIONS = {
    "attribute gone": lambda s: s["attribute-sets"][0]["attributes"].pop(),
    "attribute added": lambda s: s["attribute-sets"][1]["attributes"].append(
        {"name": "more", "type": "u32"}),
    "attributes swapped": lambda s: s["attribute-sets"][0]["attributes"].insert(
        4, s["attribute-sets"][0]["attributes"].pop()),
    "width": lambda s: attribute(s, "mark").update(type="u64"),
    "counter's width": lambda s: attribute(s, "rx-icv", 2).update(type="u32"),
    "byte order": lambda s: attribute(s, "spi").pop("byte-order"),
    "repetition": lambda s: attribute(s, "rx-subspace").pop("multi-attr"),
    "enum of an attribute": lambda s: attribute(s, "trailer").update(enum="iv"),
    "unknown enum": lambda s: attribute(s, "state").update(enum="nosuch"),
    "set of bits": lambda s: attribute(s, "cap-ivs").pop("enum-as-flags"),
    "limit changed": lambda s: attribute(s, "window")["checks"].update(min=32),
    "limit gone": lambda s: attribute(s, "rx-subspaces").pop("checks"),
    "constant": lambda s: s["definitions"][0].update(value=1),
    "enum entry": lambda s: definition(s, "format")["entries"].append("esp128"),
    "enum name": lambda s: definition(s, "format").update({"enum-name": "xfrm-ext-f"}),
    "family name": lambda s: s.update(name="xfrm_etx"),
    "family version": lambda s: s.update(version=2),
    "group name": lambda s: s["mcast-groups"]["list"][0].update(name="x"),
    "operation gone": lambda s: s["operations"]["list"].pop(),
    "privilege": lambda s: s["operations"]["list"][2].pop("flags"),
    "dump gone": lambda s: s["operations"]["list"][4].pop("dump"),
    "operation's attribute": lambda s: s["operations"]["list"][4]["do"]["reply"][
        "attributes"].append("nosuch"),
    "set named as an enum": lambda s: [
        s["attribute-sets"][1].update(name="subspace"),
        attribute(s, "tx-subspace").update({"nested-attributes": "subspace"}),
        attribute(s, "rx-subspace").update({"nested-attributes": "subspace"})],
    "request of nothing": lambda s: s["operations"]["list"][4]["do"]["request"].update(
        attributes=[]),
}
HEADER_MUTATIONS = {
    "value": ("WINDOW_MIN\t\t64", "WINDOW_MIN\t\t128"),
    "string": ('"events"', '"event"'),
    "new macro": ("#define XFRM_EXT_WINDOW_MIN", "#define XFRM_EXT_NEW 1\n"
                  "#define XFRM_EXT_WINDOW_MIN"),
    "new constant": ("\tXFRM_EXT_STATE_READY,", "\tXFRM_EXT_STATE_READY,\n"
                     "\tXFRM_EXT_STATE_NEW,"),
    "constant with a value": ("FASTPATH = 1 << 0", "FASTPATH = 1 << 1"),
    "attribute inserted": ("\tXFRM_EXT_A_FORMAT,", "\tXFRM_EXT_A_NEW,\n"
                           "\tXFRM_EXT_A_FORMAT,"),
    "constant gone": ("\tXFRM_EXT_STAT_RX_CRYPTO,", "\t"),
    "comment": ("/* u32, network byte order */", "/* u32 */"),
}


def selftest(text, spec, rst, code, tool):
    """Every mutation must be noticed; yield those that are not."""
    if mismatches(text, spec, rst, code, tool):
        yield "the files do not agree to begin with"
        return
    for name, mutate in SPEC_MUTATIONS.items():
        changed = copy.deepcopy(spec)
        mutate(changed)
        if not mismatches(text, changed, rst, code, tool):
            yield f"spec, {name}: not noticed"
    for name, (old, new) in HEADER_MUTATIONS.items():
        if text.count(old) != 1:
            yield f"header, {name}: does not apply"
        elif not mismatches(text.replace(old, new), spec, rst, code, tool):
            yield f"header, {name}: not noticed"
    entry = "   * - ``rx-icv``\n"
    for name, changed in (("gone", rst.replace(entry, "   * - rx-icv\n")),
                          ("unknown", rst + "\n   * - ``rx-nosuch``\n"),
                          ("twice", rst + "\n" + entry)):
        if not mismatches(text, spec, changed, code, tool):
            yield f"counters.rst, {name}: not noticed"
    for name, old, new in (
        ("name", '"rx-icv"', '"rx-cvi"'),
        ("kernel's counter", "LINUX_MIB_XFRMOUTSTATEEXPIRED", "LINUX_MIB_XFRMINERROR"),
        ("kernel's counter gone", ", LINUX_MIB_XFRMOUTSTATEEXPIRED", ""),
        ("kernel's counter where none is", '"rx-dummy"', '"rx-dummy", LINUX_MIB_XFRMINERROR'),
        ("gone", "[XFRM_EXT_STAT_RX_ICV]", "[XFRM_EXT_STAT_RX_IVC]"),
    ):
        if code.count(old) != 1:
            yield f"stats.c, {name}: does not apply"
        elif not mismatches(text, spec, rst, code.replace(old, new), tool):
            yield f"stats.c, {name}: not noticed"
    for old, new in (('"rx-icv"', '"rx-cvi"'), ('"rule-pref"', '"pref"'), ('"rule-get"', '"rules"'),
                     ("[XFRM_EXT_SUBSPACE_TOO_OLD]", "[XFRM_EXT_SUBSPACE_OLD]")):
        if tool.count(old) != 1:
            yield f"xfrm_ext_names.c, {old}: does not apply"
        elif not mismatches(text, spec, rst, code, tool.replace(old, new)):
            yield f"xfrm_ext_names.c, {old}: not noticed"


def main():
    """Check, or check the checks."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--selftest", action="store_true", help="check the checks")
    args = p.parse_args()
    text = HEADER.read_text(encoding="utf-8")
    spec = yaml.safe_load(SPEC.read_text(encoding="utf-8"))
    rst = COUNTERS.read_text(encoding="utf-8")
    code = REASONS.read_text(encoding="utf-8")
    tool = NAMES.read_text(encoding="utf-8")
    found = list((selftest if args.selftest else mismatches)(text, spec, rst, code, tool))
    for mismatch in found:
        print(mismatch)
    print(f"check-uapi: {len(found)} mismatches" if found else "check-uapi: good")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
