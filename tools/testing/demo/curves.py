#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Draw what was delivered against time.

    curves.py < NAME <tab> MILLISECONDS <tab> PACKETS, one sample a line > SVG
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import plot  # pylint: disable=wrong-import-position

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 400, 70, 20, 60, 50


def main():
    series = {}
    for line in sys.stdin:
        name, at, packets = line.rstrip("\n").split("\t")
        series.setdefault(name, []).append((int(at) / 1000, int(packets)))
    if not series:
        sys.exit("nothing to draw")
    last = max(at for samples in series.values() for at, _ in samples)
    most = max(n for samples in series.values() for _, n in samples) * 1.1

    def x_of(at):
        return LEFT + at / last * (WIDTH - LEFT - RIGHT)

    def y_of(packets):
        return HEIGHT - BOTTOM - packets / most * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           plot.text(WIDTH / 2, 20, "Delivered, of the same traffic over two paths", size=15),
           plot.text(LEFT, TOP - 8, "packets", "start", 11),
           plot.text(WIDTH - RIGHT, HEIGHT - 12, "seconds", "end", 11)]
    value = 0
    while value <= most:
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_of(value):.1f}"'
                   f' y2="{y_of(value):.1f}" stroke="#dddddd"/>')
        out.append(plot.text(LEFT - 6, y_of(value) + 4, f"{value:g}", "end", 11))
        value += plot.step_of(most)
    value = 0
    while value <= last:
        out.append(plot.text(x_of(value), HEIGHT - BOTTOM + 18, f"{value:g}", size=11))
        value += plot.step_of(last)
    for i, (name, samples) in enumerate(series.items()):
        colour = plot.COLOURS[i % len(plot.COLOURS)]
        points = " ".join(f"{x_of(at):.1f},{y_of(n):.1f}" for at, n in samples)
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2.5" points="{points}"/>')
        y = TOP + 14 + 18 * i
        out.append(f'<rect x="{LEFT + 12}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        out.append(plot.text(LEFT + 30, y, name, "start"))
    print("\n".join(out + ["</svg>"]))


if __name__ == "__main__":
    main()
