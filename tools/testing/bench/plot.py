# SPDX-License-Identifier: GPL-2.0-only
"""Bars side by side, as SVG."""

from xml.sax.saxutils import escape

COLOURS = ("#9e9e9e", "#d95f02", "#7570b3", "#1b9e77", "#e6ab02")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 360, 70, 60, 40


def text(x, y, words, anchor="middle", size=12):
    """A line of text."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
            f' font-family="sans-serif">{escape(words)}</text>')


def step_of(top):
    """What the lines of the axis are multiples of."""
    step = 1
    while top / step < 2:
        step /= 2
    while top / step > 8:
        step *= 2.5 if str(step)[0] == "2" else 2
    return step


def short(value):
    """What fits above a bar."""
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 20 else f"{value:.2g}"


def bars(title, groups, names, unit):
    """groups: (label, values) with a value, or None, for each name."""
    top = max((v for _, values in groups for v in values if v), default=1) * 1.1
    scale = (HEIGHT - TOP - BOTTOM) / top
    wide = (WIDTH - LEFT - 10) / max(len(groups), 1)
    bar = wide * 0.8 / len(names)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           text(WIDTH / 2, 20, title, size=15)]
    value = 0
    while value <= top:
        y = HEIGHT - BOTTOM - value * scale
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"'
                   ' stroke="#dddddd"/>')
        out.append(text(LEFT - 6, y + 4, f"{value:g}", "end", 11))
        value += step_of(top)
    out.append(text(LEFT, TOP - 8, unit, "start", 11))
    for i, name in enumerate(names):
        x = LEFT + 260 + 130 * i
        out.append(f'<rect x="{x}" y="{TOP - 26}" width="12" height="12" fill="{COLOURS[i]}"/>')
        out.append(text(x + 18, TOP - 16, name, "start"))
    for g, (label, values) in enumerate(groups):
        at = LEFT + wide * (g + 0.1)
        out.append(text(LEFT + wide * (g + 0.5), HEIGHT - BOTTOM + 18, label, size=11))
        for i, v in enumerate(values):
            if v is None:
                continue
            y = HEIGHT - BOTTOM - v * scale
            out.append(f'<rect x="{at + i * bar:.1f}" y="{y:.1f}" width="{bar * 0.92:.1f}"'
                       f' height="{v * scale:.1f}" fill="{COLOURS[i]}"/>')
            out.append(text(at + (i + 0.46) * bar, y - 3, short(v), size=8))
    return "\n".join(out + ["</svg>", ""])
