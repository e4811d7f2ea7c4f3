"""Row by row outputs of a fitted mixture: functions of an array of rows, run anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray, Observed, RowLayout
from gmm_dask.completion import check_projection
from gmm_dask.draws import CELL, cell_generator
from gmm_dask.errors import DataError
from gmm_dask.folds.rows import check_finite_rows, check_observed
from gmm_dask.folds.score import posterior
from gmm_dask.imputation import imputed
from gmm_dask.kernels import table
from gmm_dask.measuring import observer_of
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer

TILE = 4096
TILE_OBSERVED = 16384  # rows with the same holes are measured together: more of them in a tile
TILE_MATRICES = 1024  # where each row has matrices of its own

PACKED = ("imputed variance", "imputed covariance", "true")


@dataclass(frozen=True)
class RowFunction:
    """A function from rows in source units to one output a row.

    Parameters
    ----------
    mixture : Mixture
    output : str
        ``"label"``, ``"resp"``, ``"log_prob_norm"``; ``"imputed"``, expected values in place of
        missing ones; ``"imputed variance"`` and ``"imputed covariance"``, the same and behind them
        the D variances or D * D covariances; ``"true"``, means and covariances of true values.
    layout : RowLayout, optional
        How the numbers of a row are to be taken; None: as D values, all of them there.
    """

    mixture: Mixture
    output: str
    layout: RowLayout | None = None

    @cached_property
    def prepared(self) -> Prepared:
        """Factorisations, made once per process."""
        return self.mixture.prepare()

    @cached_property
    def observer(self) -> Observer:
        """What measures rows with holes and noise, made once per process."""
        return observer_of(self.mixture)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the factorisations behind: they are made again where they are needed."""
        return {"mixture": self.mixture, "output": self.output, "layout": self.layout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    @property
    def n_outputs(self) -> int | None:
        """Numbers for each row; None where there is one, and the answer one-dimensional."""
        D = self.mixture.n_columns
        return {
            "resp": self.mixture.n_components,
            "imputed": D,
            "imputed variance": 2 * D,
            "imputed covariance": D + D * D,
            "true": D + D * D,
        }.get(self.output)

    def __call__(self, values: npt.NDArray[Any], start: int = 0) -> npt.NDArray[Any]:
        """Return labels (n,) int64, log densities (n,), or `n_outputs` numbers a row.

        Parameters
        ----------
        values : (n, D), or as wide as the layout says
        start : int
            Absolute number of the first row, for messages.

        Raises
        ------
        DataError
            A row has an infinite value, NaN where it does not mean missing, or impossible noise.
        """
        step, measure = self._way
        found = [
            measure(np.ascontiguousarray(values[lo : lo + step]), start + lo)
            for lo in range(0, len(values), step)
        ]
        return np.concatenate(found) if found else self._empty()

    @property
    def _way(self) -> tuple[int, Callable[[npt.NDArray[Any], int], npt.NDArray[Any]]]:
        """Rows of a tile, and what measures them."""
        if self.output in ("imputed", *PACKED):
            return TILE_MATRICES, self._expected
        layout = self.layout or RowLayout(self.mixture.n_columns)
        if layout.plain and not self.mixture.family.compound:
            return TILE, self._complete
        full = layout.noise and self.mixture.family.covariance_type in ("full", "tied")
        matrices = full or layout.noise == "full" or layout.measured > 0
        return TILE_MATRICES if matrices else TILE_OBSERVED, self._observed

    def _complete(self, values: npt.NDArray[Any], start: int) -> npt.NDArray[Any]:
        check_finite_rows(values, start)
        if self.output == "resp":
            return posterior(self.prepared, values)[1]
        found = table.assign(self.prepared.ready, values)
        if self.output == "label":
            return found.label
        log_density: FloatArray = found.log_prob_norm - self.prepared.log_scale
        return log_density

    def _observed(self, values: npt.NDArray[Any], start: int) -> npt.NDArray[Any]:
        log_density, resp = self.observer.posterior(self.taken(values, start))
        if self.output == "resp":
            return resp
        label: IntArray = resp.argmax(axis=1)
        return label if self.output == "label" else log_density

    def _expected(self, values: npt.NDArray[Any], start: int) -> npt.NDArray[Any]:
        rows = self.taken(values, start)
        if self.output == "true":
            mean, covariance = self.observer.true_values(rows)
        else:
            mean, covariance = imputed(self.observer, rows)
        if self.output == "imputed":
            return mean
        if self.output == "imputed variance":
            spread = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)
        else:
            spread = covariance.reshape(len(mean), -1)
        return np.concatenate([mean, spread], axis=1)

    def taken(self, values: npt.NDArray[Any], start: int) -> Observed:
        """Return rows taken apart, after checking them."""
        layout = self.layout or RowLayout(self.mixture.n_columns)
        rows = layout.split(values)
        check_rows(rows, start, missing=layout.missing)
        return rows

    def _empty(self) -> npt.NDArray[Any]:
        if self.output == "label":
            return np.empty(0, dtype=np.int64)
        return np.empty(0) if self.n_outputs is None else np.empty((0, self.n_outputs))


def check_rows(rows: Observed, start: int, *, missing: bool) -> None:
    """Raise DataError if rows cannot be measured.

    Parameters
    ----------
    rows : Observed
    start : int
        Absolute number of the first row.
    missing : bool
        Whether NaN means a missing value.
    """
    check_projection(rows, np.arange(start, start + len(rows.values)), missing=missing)
    if not missing:
        check_finite_rows(rows.values, start)
    infinite = np.isinf(rows.values)
    if infinite.any():
        bad = infinite.any(axis=1)
        raise DataError(
            f"Input contains infinity: {int(bad.sum())} of {len(bad)} rows (first: row "
            f"{start + int(bad.argmax())}: {rows.values[int(bad.argmax())]}); missing values are "
            "NaN. Filter these rows, or fill the values, first."
        )
    check_observed(rows, np.arange(start, start + len(rows.values)))


def posterior_rows(
    mixture: Mixture, prepared: Prepared | None, values: npt.NDArray[Any], start: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) and responsibilities (n, K) of rows in source units.

    Parameters
    ----------
    mixture : Mixture
    prepared : Prepared, optional
        What ``mixture.prepare()`` gave, where many blocks follow each other.
    values : (n, D)
    start : int
        Absolute number of the first row, for messages.

    Raises
    ------
    DataError
        A row has NaN or an infinite value.
    """
    check_finite_rows(values, start)
    return posterior(prepared or mixture.prepare(), np.ascontiguousarray(values))


def draw_rows(mixture: Mixture, seed: int, lo: int, hi: int) -> tuple[FloatArray, IntArray]:
    """Return absolute rows lo to hi of an endless sample of a mixture.

    Parameters
    ----------
    mixture : Mixture
    seed : int
    lo, hi : int
        The same row comes out whatever the range that asks for it.

    Returns
    -------
    values (hi - lo, D) in source units, labels (hi - lo,)
    """
    values, labels = [], []
    edges = np.cumsum(mixture.pooled)
    for cell in range(lo // CELL, (hi - 1) // CELL + 1):
        rng = cell_generator(seed, "sample rows", 0, cell)
        drawn = np.searchsorted(edges / edges[-1], rng.random(CELL), side="right")
        rows = mixture.family.sample(mixture.params, drawn, rng)
        window = slice(max(lo - cell * CELL, 0), hi - cell * CELL)
        values.append(mixture.frame.backward(rows)[window])
        labels.append(drawn[window])
    return np.concatenate(values), np.concatenate(labels)
