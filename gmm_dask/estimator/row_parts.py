"""Values, weights and noise of rows put side by side, as `RowLayout` lets them travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, Observed, RowLayout
from gmm_dask.errors import DataError

ASYMMETRY = 1e-6
"""Of the standard deviations: what float32 covariances and rounded correlations leave."""


@dataclass(frozen=True)
class Join:
    """A function from the parts of some rows to the rows of one array.

    A value whose variance is infinite was not measured: it becomes NaN. Noise of values that are
    not there says nothing, and becomes 0.

    Parameters
    ----------
    layout : RowLayout
    """

    layout: RowLayout

    def __call__(
        self,
        values: npt.NDArray[Any],
        sample_weight: Any = None,
        noise: Any = None,
        groups: Any = None,
        projection: Any = None,
        start: int = 0,
    ) -> npt.NDArray[Any]:
        """Return rows (n, width) of the type of the values.

        Parameters
        ----------
        values : (n, D) float32 or float64
        sample_weight : (n,) or None
        noise : None, (n, D) variances, or (n, D, D) covariances (flat ones, (n, D * D), too)
        groups : (n,) numbers of groups, or None
        projection : (n, d, D) or None
            Flat ones, (n, d * D), too.
        start : int
            Absolute number of the first row, for messages.

        Raises
        ------
        DataError
            Lengths differ, a covariance is not symmetric, or a number is not one of float32.
        """
        n, D = len(values), self.layout.n_values
        weight = sample_weight
        if weight is not None:
            weight = _part("sample_weight", weight, (n,), start)
        if noise is not None:
            full = self.layout.noise == "full"
            noise = _part("noise", noise, (n, D, D) if full else (n, D), start)
            values, noise = (_full if full else _diagonal)(values, noise, start)
        if groups is not None:
            groups = _part("groups", groups, (n,), start).astype(np.int64)
        if projection is not None:
            projection = _part("projection", projection, (n, D, self.layout.n_columns), start)
        parts = {"sample_weight": weight, "noise": noise, "projection": projection}
        if values.dtype == np.float32:
            for name, part in parts.items():
                _check_single(name, part, start)
        return self.layout.join(Observed(values, weight, noise, groups, projection))


def _part(name: str, part: Any, shape: tuple[int, ...], start: int) -> FloatArray:
    array = np.asarray(part, dtype=np.float64)
    if array.shape[:1] != shape[:1] or array.size != np.prod(shape):
        raise DataError(
            f"{name} of shape {array.shape} came for {shape[0]} rows from row {start}; "
            f"{shape} is needed"
        )
    return array.reshape(shape)


def _diagonal(
    values: npt.NDArray[Any], noise: FloatArray, start: int
) -> tuple[npt.NDArray[Any], FloatArray]:
    del start
    gone = np.isposinf(noise)
    if gone.any():
        values = np.where(gone, np.nan, values).astype(values.dtype, copy=False)
    return values, np.where(np.isnan(values), 0.0, noise)


def _full(
    values: npt.NDArray[Any], noise: FloatArray, start: int
) -> tuple[npt.NDArray[Any], FloatArray]:
    variance = np.diagonal(noise, axis1=1, axis2=2)
    gone = np.isposinf(variance)
    if gone.any():
        values = np.where(gone, np.nan, values).astype(values.dtype, copy=False)
    absent = np.isnan(values)
    noise = np.where(absent[:, :, None] | absent[:, None, :], 0.0, noise)
    with np.errstate(invalid="ignore"):
        root = np.sqrt(np.abs(np.diagonal(noise, axis1=1, axis2=2)))
        gap = np.abs(noise - noise.transpose(0, 2, 1))
        uneven = ~(gap <= ASYMMETRY * root[:, :, None] * root[:, None, :]).all(axis=(1, 2))
    if uneven.any():
        i = int(uneven.argmax())
        raise DataError(
            f"row {start + i}: its noise is {noise[i].tolist()}; needed: a symmetric covariance of "
            "finite numbers"
        )
    return values, noise


def _check_single(name: str, part: FloatArray | None, start: int) -> None:
    """Raise DataError where float32, the type of the values, would make 0 or inf of a number."""
    if part is None:
        return
    with np.errstate(over="ignore"):
        single = part.astype(np.float32)
    lost = ((single == 0) & (part != 0)) | (np.isinf(single) & np.isfinite(part))
    if lost.any():
        place = tuple(int(i[0]) for i in np.nonzero(lost))
        raise DataError(
            f"row {start + place[0]}: its {name} {part[place]:g} is beyond float32, the type of "
            "the values; give the values as float64, or in another unit"
        )


def noise_type(noise: Any, n_columns: int) -> str:
    """Return what noise is by its shape: "" (None), "diag" (variances) or "full" (covariances).

    Stored noise has two dimensions: its covariances lie flat, D * D numbers a row.

    Raises
    ------
    DataError
        It has another shape.
    """
    if noise is None:
        return ""
    D = n_columns
    shape = _shape(noise)
    if shape[1:] == (D,):
        return "diag"
    if shape[1:] == (D, D) or (shape[1:] == (D * D,) and not isinstance(noise, np.ndarray)):
        return "full"
    raise DataError(
        f"noise has shape {shape}; variances of shape (N, {D}) or covariances of shape "
        f"(N, {D}, {D}) are needed"
    )


def projected_columns(projection: Any, n_measured: int) -> int:
    """Return the number of columns D that projections (N, d, D) of d measurements combine.

    Stored projections have two dimensions: they lie flat, d * D numbers a row.

    Raises
    ------
    DataError
        They have another shape.
    """
    shape = _shape(projection)
    if len(shape) == 3 and shape[1] == n_measured:
        return int(shape[2])
    flat = len(shape) == 2 and not isinstance(projection, np.ndarray)
    if flat and shape[1] > 0 and shape[1] % n_measured == 0:
        return int(shape[1] // n_measured)
    raise DataError(
        f"projection has shape {shape}; for rows of {n_measured} measurements (N, {n_measured}, "
        "D) is needed, D the columns of the model"
    )


def _shape(part: Any) -> tuple[Any, ...]:
    """Return the shape of an array, dataframe or source."""
    if hasattr(part, "columns"):
        return (getattr(part, "n_rows", -1), len(part.columns))
    return tuple(part.shape)


def extra_columns(layout: RowLayout) -> tuple[str, ...]:
    """Return names of the numbers of a row behind those of the D columns."""
    if layout.measured:
        return tuple(f"row {i}" for i in range(layout.width - layout.n_columns))
    n_noise = layout.width - layout.beside
    weight = ("sample_weight",) if layout.sample_weight else ()
    group = ("group",) if layout.n_groups else ()
    return (*weight, *group, *(f"noise {i}" for i in range(n_noise)))
