"""What tests of fit mean for a reader, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gmm_dask.diagnostics.shares import TailShare

if TYPE_CHECKING:
    from gmm_dask.diagnostics.goodness import Goodness

FAR = 0.05
"""Share of rows in the wrong place from which a shape is called not Gaussian."""
HEAVY = 2.0
"""Times more rows in a tail than expected from which it is called heavy; its inverse, light."""
FEW = 10
"""Rows in a tail from which it is spoken of."""
MOST = 5


def findings_of(found: Goodness) -> tuple[str, ...]:
    """Return one sentence for each thing that is wrong enough to matter."""
    return (*_tails(found), *_components(found), *_columns(found), *_wide(found))


def heavy_tail(tails: Sequence[TailShare]) -> TailShare | None:
    """Return the tail that is surely too heavy, and most so; None without one."""
    heavy = [tail for tail in tails if tail.low > HEAVY and tail.found >= FEW]
    return max(heavy, key=lambda tail: tail.low, default=None)


def _tails(found: Goodness) -> list[str]:
    tail = heavy_tail(found.densities or found.distances)
    if tail is None:
        return []
    where = "below the density" if found.densities else "beyond the distance"
    sentence = (
        f"The tails are heavier than Gaussian: {tail.found:,.0f} rows lie {where} that "
        f"{tail.share:.4g} of the rows should pass, {tail.ratio:.3g} times the expected "
        f"{tail.expected:,.3g} ({found.level:.0%} interval {tail.low:.3g} to {tail.high:.3g})."
    )
    return [sentence]


def _components(found: Goodness) -> list[str]:
    far = [c for c in found.components if c.p_value < 1 - found.level and c.distance > FAR]
    far.sort(key=lambda c: -c.distance)
    sentences = [
        f"Component {c.component} is not Gaussian: {c.distance:.1%} of its rows lie at another "
        f"distance from its centre than they should{_and_tail(c.tails)}."
        for c in far[:MOST]
    ]
    if len(far) > MOST:
        sentences.append(f"So are {len(far) - MOST} more components.")
    return sentences


def _and_tail(tails: Sequence[TailShare]) -> str:
    tail = heavy_tail(tails)
    if tail is None:
        return ""
    return f"; {tail.ratio:.3g} times too many beyond the distance of the last {tail.share:g}"


def _columns(found: Goodness) -> list[str]:
    far = [c for c in found.columns if c.distance > max(FAR, c.noise)]
    return [
        f"Column {c.column} is not distributed as the mixture says: {c.distance:.1%} of the rows "
        "lie on the wrong side of some value."
        for c in sorted(far, key=lambda c: -c.distance)[:MOST]
    ]


def _wide(found: Goodness) -> list[str]:
    inner: dict[int, list[int]] = {}
    for wide, other in found.wide:
        inner.setdefault(wide, []).append(other)
    return [
        f"Component {wide} lies about the mean of {', '.join(map(str, others))}, several times "
        "wider: a state of noise, or the heavy tail of one shape, rather than a group."
        for wide, others in inner.items()
    ]
