#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a section of Documentation/howto.rst says is to be typed in, and where.

    howto.py SECTION DIRECTORY

Makes files NN-HOST of commands, in the order in which they stand there, NN-HOST.later of those that
run on, and NN-HOST.NAME of what is to be in the file NAME. A block is what is indented behind a line that says where:
"On HOST::", "And on HOST, ...::", "In NAME on HOST::".
"""

import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[3] / "Documentation/howto.rst"
WHERE = re.compile(r"^(?:(?P<on>And on|On) (?P<host>\w+)(?:,[^:]*)?|In (?P<file>\S+) on (?P<of>\w+))::$")


def section(title):
    """Its lines."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(title)
    assert set(lines[begin + 1]) == {"="}, title
    for line, below in zip(lines[begin + 2:], [*lines[begin + 3:], ""]):
        if below and set(below) == {"="} and len(below) >= len(line) > 0:
            return
        yield line


def main():
    title, directory = sys.argv[1:]
    name, number = None, 0
    for line in section(title):
        if match := WHERE.match(line):
            number += 1
            host, file = match["host"] or match["of"], match["file"]
            if match["on"] == "And on":
                file = "later"
            name = f"{number:02}-{host}" + (f".{file}" if file else "")
            pathlib.Path(directory, name).write_text("", encoding="utf-8")
        elif line and not line.startswith("    "):
            name = None
        elif name:
            with open(pathlib.Path(directory, name), "a", encoding="utf-8") as file:
                file.write(line[4:] + "\n")
    if not number:
        sys.exit(f"nothing to type in under {title!r}")


if __name__ == "__main__":
    main()
