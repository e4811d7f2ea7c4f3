"""Row by row outputs of a fitted mixture: functions of an array of rows, run anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.draws import CELL, cell_generator
from gmm_dask.folds.rows import check_finite_rows
from gmm_dask.folds.score import posterior
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared

TILE = 4096


@dataclass(frozen=True)
class RowFunction:
    """A function from rows (n, D) in source units to one output a row.

    Parameters
    ----------
    mixture : Mixture
    output : {"label", "resp", "log_prob_norm"}
    """

    mixture: Mixture
    output: str

    @cached_property
    def prepared(self) -> Prepared:
        """Factorisations, made once per process."""
        return self.mixture.prepare()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the factorisations behind: they are made again where they are needed."""
        return {"mixture": self.mixture, "output": self.output}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the two fields."""
        self.__dict__.update(state)

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return labels (n,) int64, responsibilities (n, K) or log densities (n,)."""
        check_finite_rows(values)
        tiles = [values[lo : lo + TILE] for lo in range(0, len(values), TILE)]
        parts = [self._tile(np.ascontiguousarray(tile)) for tile in tiles]
        return np.concatenate(parts) if parts else self._empty()

    def _tile(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.output == "resp":
            return posterior(self.prepared, values)[1]
        found = table.assign(self.prepared.ready, values)
        if self.output == "label":
            return found.label
        log_density: FloatArray = found.log_prob_norm - self.prepared.log_scale
        return log_density

    def _empty(self) -> npt.NDArray[Any]:
        if self.output == "label":
            return np.empty(0, dtype=np.int64)
        return np.empty((0, self.mixture.n_components) if self.output == "resp" else 0)


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
    edges = np.cumsum(mixture.weights[0])
    for cell in range(lo // CELL, (hi - 1) // CELL + 1):
        rng = cell_generator(seed, "sample rows", 0, cell)
        drawn = np.searchsorted(edges / edges[-1], rng.random(CELL), side="right")
        rows = mixture.family.sample(mixture.params, drawn, rng)
        window = slice(max(lo - cell * CELL, 0), hi - cell * CELL)
        values.append(mixture.frame.backward(rows)[window])
        labels.append(drawn[window])
    return np.concatenate(values), np.concatenate(labels)
