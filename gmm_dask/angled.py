"""From words about angles and a background to the family, frame and template of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame, IntArray, Source
from gmm_dask.engine.base import Engine
from gmm_dask.errors import ConfigError
from gmm_dask.families.background import WithBackground
from gmm_dask.families.floors import DEFAULT_FRACTION
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.families.product import Product
from gmm_dask.families.von_mises import TURN, VonMises, concentration
from gmm_dask.folds.resultants import Directions, Resultants, resultants
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture

LARGEST_SHARE = 0.1
"""Of the rows, that a background begins with."""


class Box(NamedTuple):
    """The sides of a background that are given: column, lowest, highest, source units."""

    sides: tuple[tuple[int, float, float], ...] = ()


@dataclass(frozen=True)
class Shape:
    """What components of a grid are beyond Gaussians; nothing, as a rule.

    Parameters
    ----------
    circular : tuple of (int, float)
        Position and period of each column that is an angle, ascending.
    background : Box, optional
        There is a uniform component; sides that are not given are the range of the data.
    found : Resultants, optional
        Directions and spreads of the angles, once the first pass was made.
    """

    circular: tuple[tuple[int, float], ...] = ()
    background: Box | None = None
    found: Resultants | None = None

    @property
    def plain(self) -> bool:
        """Whether components are Gaussian, and nothing else."""
        return not self.circular and self.background is None

    @property
    def angles(self) -> IntArray:
        """Positions of the angles, (C,)."""
        return np.array([column for column, _ in self.circular], dtype=np.int64)

    def lines(self, n_columns: int) -> IntArray:
        """Return the positions of the columns that are not angles, (L,)."""
        return np.setdiff1d(np.arange(n_columns), self.angles)

    @property
    def periods(self) -> FloatArray:
        """A turn of each angle, source units, (C,)."""
        return np.array([period for _, period in self.circular], dtype=np.float64)

    @property
    def identity(self) -> list[Any]:
        """What must be equal for a checkpoint to belong to a run."""
        box = None if self.background is None else [list(side) for side in self.background.sides]
        return [[list(angle) for angle in self.circular], box]

    def von_mises(self, added: float = 0.0) -> VonMises:
        """Return the family of the angles, with its floor where the first pass was made.

        The floor is that of Gaussian columns: a share of the spread of all rows.
        """
        spread = np.ones(len(self.circular)) if self.found is None else self.found.spread
        least = DEFAULT_FRACTION * np.minimum(2.0 * spread, 1.0)
        return VonMises(self.periods, least, added * (TURN / self.periods) ** 2)

    def bounds(self, n_columns: int) -> tuple[FloatArray, FloatArray]:
        """Return the box of the background, (D,) each; a unit for sides that are not known."""
        low, high = np.zeros(n_columns), np.ones(n_columns)
        for column, lowest, highest in self.background.sides if self.background else ():
            low[column], high[column] = lowest, highest
        high[self.angles] = self.periods
        low[self.angles] = 0.0
        return low, high


def shape_of(circular: Any, background: Any, names: tuple[str, ...], n_columns: int) -> Shape:
    """Return the shape that constructor words ask for.

    Parameters
    ----------
    circular : mapping of column to period, or None
        Columns by position or name.
    background : None, "none", "uniform" or mapping of column to (lowest, highest)
    names : tuple of str
        Of the columns; empty where they have none.
    n_columns : int

    Raises
    ------
    ConfigError
        An unknown column, a period that is not positive, an empty box, the box of an angle.
    """
    periods: dict[int, float] = {}
    for column, period in _items("circular", circular or {}):
        if not (_is_number(period) and 0 < float(period) < np.inf):
            raise ConfigError(
                f"circular: the period of column {column!r} is {period!r}; a positive number is "
                "needed, such as 360, 24 or 2 pi"
            )
        periods[_place("circular", column, names, n_columns)] = float(period)
    return Shape(tuple(sorted(periods.items())), _box(background, set(periods), names, n_columns))


def _box(background: Any, angles: set[int], names: tuple[str, ...], D: int) -> Box | None:
    if background is None or background == "none":
        return None
    if isinstance(background, str) and background == "uniform":
        return Box()
    sides = []
    for column, limits in _items("background", background):
        place = _place("background", column, names, D)
        if place in angles:
            raise ConfigError(
                f"background: column {column!r} is an angle (circular), whose box is its period; "
                "leave it out of the box"
            )
        sides.append((place, *_limits(column, limits)))
    return Box(tuple(sorted(sides)))


def _limits(column: Any, limits: Any) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ConfigError(
            f"background: the box of column {column!r} is {limits!r}; two finite numbers are "
            "needed, the smaller first"
        )
    return low, high


def _items(word: str, value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    needed = {
        "circular": "a mapping from columns to periods, such as {0: 360}",
        "background": '"uniform", or a mapping from columns to limits, such as {0: [-20, 20]}',
    }[word]
    raise ConfigError(f"{word} is {value!r}; {needed} is needed")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _place(word: str, column: Any, names: tuple[str, ...], n_columns: int) -> int:
    """Return the position of a column given by name or position."""
    if isinstance(column, str) and column in names:
        return names.index(column)
    whole = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if whole and 0 <= int(column) < n_columns:
        return int(column)
    known = ", ".join(names[:20]) if names else f"positions from 0 to {n_columns - 1}"
    raise ConfigError(f"{word}: there is no column {column!r}; there are {known}")


def looked_at(
    shape: Shape, engine: Engine, source: Source, frame: Frame, rows: RowShare | None
) -> tuple[Shape, Frame]:
    """Return shape and frame with what a pass over the angles finds.

    In the frame angles are radians from 0, uncorrelated with all else.

    Raises
    ------
    DataError
        An angle is the same in all rows, or has noise.
    """
    if not shape.circular:
        return shape, frame
    about = np.remainder(frame.backward(frame.centre[None])[0, shape.angles], shape.periods)
    about = about * (TURN / shape.periods)
    sums = engine.fold(Directions(shape.angles, shape.von_mises(), about, rows), source)
    found = resultants(sums, about)
    return replace(shape, found=found), framed(shape, frame, found)


def framed(shape: Shape, frame: Frame, found: Resultants) -> Frame:
    """Return a frame in which the angles are radians from 0."""
    shift, scale, centre = frame.shift.copy(), frame.scale.copy(), frame.centre.copy()
    scatter = frame.scatter.copy()
    angles = shape.angles
    shift[angles], scale[angles], centre[angles] = 0.0, shape.periods / TURN, found.direction
    scatter[angles, :] = 0.0
    scatter[:, angles] = 0.0
    scatter[angles, angles] = 2.0 * found.spread
    return Frame(shift, scale, scatter, centre)


def with_angles(shape: Shape, of_lines: Mixture, frame: Frame, added: float) -> Mixture:
    """Return the template of all columns from that of the Gaussian ones.

    Parameters
    ----------
    shape : Shape
    of_lines : Mixture
        In its own frame, whose scales may be shared.
    frame : Frame
        Of all columns.
    added : float
        To every variance, source units squared.
    """
    if not shape.circular:
        return of_lines
    D, K, lines = len(frame.shift), of_lines.n_components, shape.lines(len(frame.shift))
    scale, centre, scatter = frame.scale.copy(), frame.centre.copy(), frame.scatter.copy()
    scale[lines], centre[lines] = of_lines.frame.scale, of_lines.frame.centre
    scatter[np.ix_(lines, lines)] = of_lines.frame.scatter
    whole = Frame(frame.shift, scale, scatter, centre)
    assert isinstance(of_lines.family, Gaussian)
    family = Product(of_lines.family, shape.von_mises(added), shape.angles, D)
    spread = np.ones(len(shape.circular)) if shape.found is None else shape.found.spread
    kappa = family.von_mises.floored(np.tile(concentration(spread), (K, 1)))
    directions = np.tile(centre[shape.angles], (K, 1))
    params = family.joined(of_lines.params, directions, kappa)  # type: ignore[arg-type]
    return replace(of_lines, family=family, params=params, frame=whole)


def with_background(shape: Shape, base: Mixture) -> Mixture:
    """Return a template with a background that has the weight of a component, at most a tenth."""
    if shape.background is None:
        return base
    low, high = shape.bounds(base.n_columns)
    assert isinstance(base.family, Gaussian | Product)
    family = WithBackground(base.family, low, high, base.frame)
    share = min(LARGEST_SHARE, 1.0 / (base.n_components + 1))
    weights = np.append(base.weights * (1.0 - share), [[share]], axis=1)
    return replace(base, family=family, weights=weights)


def with_ranges(shape: Shape, minimum: FloatArray, maximum: FloatArray) -> Shape:
    """Return the shape with the range of the data for sides of the background not given.

    Raises
    ------
    ConfigError
        A column of the box holds one value.
    """
    if shape.background is None:
        return shape
    given = {column: (low, high) for column, low, high in shape.background.sides}
    for column, sides in enumerate(zip(minimum.tolist(), maximum.tolist(), strict=True)):
        if column not in shape.angles:
            given.setdefault(column, sides)
    still = [column for column, (low, high) in given.items() if not low < high]
    if still:
        raise ConfigError(
            f"background: column {still[0]} holds one value, so the box has no volume; give its "
            "limits, or leave the column out"
        )
    box = Box(tuple((column, *given[column]) for column in sorted(given)))
    return replace(shape, background=box)
