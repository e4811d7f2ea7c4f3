"""The colour and line of each component: fixed by its number, in every figure of every report.

Ten base colours lie at least 0.1 apart in OKLab, also as seen with any of the three colour
deficiencies; the next ten are lighter and dashed, the next ten darker and dotted. Figures print the
component's number beside every mark, so that no one needs the colour alone.

References
----------
Ottosson 2020, "A perceptual color space for image processing" (OKLab).
"""

from __future__ import annotations

BASE = (
    "#1b71bc",  # blue
    "#a42c71",  # raspberry
    "#e0a82b",  # gold
    "#385805",  # moss
    "#70bfdc",  # sky
    "#f46a86",  # coral
    "#270a7f",  # indigo
    "#9c721c",  # bronze
    "#ab80f5",  # lavender
    "#570821",  # maroon
)
INK, SOFT_INK, LINE, GRID = "#1f2a36", "#5b6875", "#c3ccd4", "#edf0f3"
ACCENT = "#0d5c8c"
# Dashes in units of the line width: solid, dashed, dotted.
DASHES: tuple[tuple[float, tuple[float, ...] | None], ...] = (
    (0, None),
    (0, (4, 1.6)),
    (0, (1.2, 1.4)),
)


def color(number: int) -> str:
    """Return the colour of a component as #rrggbb; it repeats after thirty."""
    base = BASE[number % len(BASE)]
    turn = number // len(BASE) % 3
    if turn == 0:
        return base
    return _mix(base, "#ffffff", 0.35) if turn == 1 else _mix(base, "#000000", 0.35)


def dashes(number: int) -> tuple[float, tuple[float, ...] | None]:
    """Return the line style of a component, as matplotlib takes it."""
    return DASHES[number // len(BASE) % 3]


def _mix(first: str, second: str, part: float) -> str:
    channels = [
        round((1 - part) * int(first[i : i + 2], 16) + part * int(second[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in channels)
