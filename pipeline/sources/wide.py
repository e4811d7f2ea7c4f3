"""Rows made wide: values, then the weight, then the noise, from the columns that are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import Observed, RowLayout
from pipeline.sources.numeric import Origin, float_type
from pipeline.sources.trouble import DataError

Rows = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]

SLACK = 1e-6
"""Correlations, and halves of a covariance, may be off by so much: float32 and rounded tables."""


@dataclass(frozen=True)
class Wide:
    """How a row is made of the columns that are read.

    Parameters
    ----------
    columns : tuple of D str
        The values.
    sample_weight : str, optional
    form : str
        ``std``, ``variance``, ``inverse_variance``, ``covariance``, or nothing without noise.
    error : tuple of D (str or None)
        Column of each value's error; None where it is exact.
    pairs : tuple of (int, int, str)
        Columns of correlations (of covariances, where that is the form) and their two values.
    """

    columns: tuple[str, ...]
    sample_weight: str | None = None
    form: str = ""
    error: tuple[str | None, ...] = ()
    pairs: tuple[tuple[int, int, str], ...] = ()

    @cached_property
    def read(self) -> tuple[str, ...]:
        """Names of the columns that are read, each once; the values first."""
        more = (self.sample_weight, *self.error, *(name for _, _, name in self.pairs))
        return tuple(dict.fromkeys((*self.columns, *(name for name in more if name is not None))))

    @property
    def more(self) -> bool:
        """Whether rows have a weight or noise."""
        return not self.layout.plain

    @property
    def layout(self) -> RowLayout:
        """Which of the numbers of a row are values, weight and noise."""
        noise = "" if not self.form else "full" if self.pairs else "diag"
        return RowLayout(len(self.columns), self.sample_weight is not None, noise)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all numbers of a row."""
        return self.layout.names(self.columns)

    def dtype(self, kinds: Iterable[pa.DataType]) -> np.dtype[Any]:
        """Return the float type for columns (`read`) of these types.

        Squares and quotients of errors are kept in float64.
        """
        kind = float_type(kinds)
        return kind if self.form in ("", "variance") and not self.pairs else np.dtype(np.float64)

    @property
    def facts(self) -> dict[str, Any]:
        """What the plan and the manifest say of weight and noise."""
        found: dict[str, Any] = {}
        if self.sample_weight is not None:
            found["sample_weight"] = self.sample_weight
        if self.form:
            named = list(zip(self.columns, self.error, strict=True))
            couples = {(max(i, j), min(i, j)) for i, j, _ in self.pairs}
            noisy = sum(error is not None for _, error in named)
            found["noise"] = {
                "form": self.form,
                "errors": [error for _, error in named if error is not None],
                "exact": [column for column, error in named if error is None],
                "pairs": [f"{self.columns[j]}-{self.columns[i]}" for i, j in sorted(couples)],
                "pairs_without": noisy * (noisy - 1) // 2 - len(couples),
            }
        return found

    def made(self, raw: Rows, where: Callable[[int], str], origin: Origin) -> Rows:
        """Return rows (n, width) from the columns that were read (n, len(read)).

        A value of infinite variance is missing; the noise of missing values is 0.

        Parameters
        ----------
        raw : (n, len(read))
        where : callable
            Says where a row of the input stands, for messages.
        origin : sequence of int
            Row number of each row, for messages.

        Raises
        ------
        DataError
            An error is negative or missing beside a value, or a correlation beyond 1.
        """
        if not self.more:
            return raw
        place = {name: j for j, name in enumerate(self.read)}
        values = raw[:, : len(self.columns)].copy()
        weight = None if self.sample_weight is None else raw[:, place[self.sample_weight]]
        if not self.form:
            return self.layout.join(Observed(values, weight))
        given = _Given(where, origin, raw, place)
        variance = self._variances(given, values)
        values[np.isposinf(variance)] = np.nan
        hole = np.isnan(values)
        variance[hole] = 0.0
        noise = variance if not self.pairs else self._matrices(given, variance, hole)
        return self.layout.join(Observed(values, weight, noise))

    def _variances(self, given: _Given, values: Rows) -> FloatArray:
        """Return variances (n, D): 0 where exact."""
        variance = np.zeros(values.shape)
        for i, name in enumerate(self.error):
            if name is None:
                continue
            error = given.column(name)
            bad = ~np.isnan(values[:, i]) & ~(error >= 0)
            if bad.any():
                what = "an error that is not negative, and not missing where the value is there"
                raise given.wrong(
                    bad, f"{name} is {{}}, the error of {self.columns[i]}", name, what
                )
            if self.form == "std":
                error = error * error
            elif self.form == "inverse_variance":
                error = np.divide(1.0, error, out=np.full(len(error), np.inf), where=error != 0)
            variance[:, i] = error
        return variance

    def _matrices(self, given: _Given, variance: FloatArray, hole: npt.NDArray[Any]) -> FloatArray:
        """Return covariances (n, D, D)."""
        n, D = variance.shape
        noise = np.zeros((n, D, D))
        noise[:, range(D), range(D)] = variance
        root = np.sqrt(variance)
        for i, j, name in self.pairs:
            scale = root[:, i] * root[:, j]
            number = given.column(name)
            together = ~(hole[:, i] | hole[:, j])
            covariance = number * (1.0 if self.form == "covariance" else scale)
            bad = together & ~(np.abs(covariance) <= (1 + SLACK) * scale)
            if bad.any():
                pair = f"{self.columns[i]} and {self.columns[j]}"
                what = "a correlation from -1 to 1 of two values that are there"
                raise given.wrong(bad, f"{name} is {{}}, of {pair}", name, what)
            covariance = np.where(together, covariance, 0.0)
            bad = (noise[:, i, j] != 0) & (np.abs(noise[:, i, j] - covariance) > SLACK * scale)
            if bad.any():
                what = "a symmetric covariance"
                raise given.wrong(bad, f"{name} is {{}}, its mirror another", name, what)
            noise[:, i, j] = noise[:, j, i] = covariance
        return noise


@dataclass(frozen=True)
class _Given:
    """Rows as they were read, for one `Wide.made`."""

    where: Callable[[int], str]
    origin: Origin
    raw: Rows
    place: dict[str, int]

    def column(self, name: str) -> FloatArray:
        return self.raw[:, self.place[name]].astype(np.float64)

    def wrong(self, bad: npt.NDArray[Any], text: str, name: str, needed: str) -> DataError:
        """Make the error for the first bad row."""
        first = int(bad.argmax())
        number = self.column(name)[first]
        return DataError(
            f"source.noise: {self.where(int(self.origin[first]))}: "
            f"{text.format(f'{number:g}')}; needed: {needed} ({int(bad.sum())} such rows so far). "
            "Correct them, filter them, or name a column without error in source.noise.exact"
        )
