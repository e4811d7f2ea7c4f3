"""What a fitted mixture says of values that were not measured, or not exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.estimator import outputs
from gmm_dask.estimator.wide import Given, joined
from gmm_dask.imputation import drawn
from gmm_dask.inputs import is_dask, open_engine, open_source
from gmm_dask.mixture import Mixture
from gmm_dask.rows import TILE_MATRICES, RowFunction


def imputed(data: Any, mixture: Mixture, parts: Given, spread: str) -> Any:
    """Return rows with missing values expected, and on request how far they may be off.

    Parameters
    ----------
    data : (N, D) of any kind
    mixture : Mixture
    parts : Given
    spread : {"", "variance", "covariance"}
    """
    rows = _as_array(data)
    if not spread:
        return outputs.apply(rows, mixture, "imputed", parts)
    packed = outputs.apply(rows, mixture, f"imputed {spread}", parts)
    mean, rest = _unpacked(packed, mixture.n_columns, square=spread == "covariance")
    return mean, np.sqrt(rest) if spread == "variance" else rest


def true_values(data: Any, mixture: Mixture, parts: Given) -> tuple[Any, Any]:
    """Return posterior means (N, D) and covariances (N, D, D) of the rows' true values."""
    packed = outputs.apply(_as_array(data), mixture, "true", parts)
    return _unpacked(packed, mixture.n_columns, square=True)


def _as_array(data: Any) -> Any:
    """Return a Dask dataframe as an array, other data as they are."""
    return data.to_dask_array() if hasattr(data, "to_dask_array") else data


def _unpacked(packed: Any, D: int, *, square: bool) -> tuple[Any, Any]:
    mean, rest = packed[:, :D], packed[:, D:]
    if not square:
        return mean, rest
    if not is_dask(packed):
        return mean, rest.reshape(-1, D, D)
    chunks = (rest.chunks[0], (D,), (D,))
    meta = np.empty((0, 0, 0))
    return mean, rest.map_blocks(_squares, D, new_axis=2, chunks=chunks, dtype=float, meta=meta)


def _squares(flat: FloatArray, D: int) -> FloatArray:
    return flat.reshape(-1, D, D)


@dataclass(frozen=True)
class DrawMissing:
    """A function from rows to rows with missing values drawn; see `imputation.drawn`.

    Parameters
    ----------
    function : RowFunction
        Of the mixture and layout.
    seed : int
    n_draws : int
    """

    function: RowFunction
    seed: int
    n_draws: int

    def __call__(self, values: npt.NDArray[Any], start: int) -> FloatArray:
        """Return (n_draws, n, D).

        Parameters
        ----------
        values : (n, D), or as wide as the layout says
        start : int
            Absolute number of the first row: by it the draws are keyed.
        """
        n, D = len(values), self.function.mixture.n_columns
        result = np.empty((self.n_draws, n, D))
        for lo in range(0, n, TILE_MATRICES):
            part = slice(lo, min(lo + TILE_MATRICES, n))
            rows = self.function.taken(values[part], start + lo)
            number = np.arange(start + part.start, start + part.stop)
            for draw in range(self.n_draws):
                found = drawn(self.function.observer, rows, number, self.seed, draw)
                result[draw, part] = found
        return result


def imputed_draws(data: Any, mixture: Mixture, parts: Given, n_draws: int, seed: int) -> Any:
    """Return draws (n_draws, N, D) of rows whose missing values are drawn given the others."""
    function = DrawMissing(RowFunction(mixture, "imputed", parts.layout), seed, n_draws)
    rows = joined(_as_array(data), parts)
    if isinstance(rows, np.ndarray):
        return function(rows, 0)
    if not is_dask(rows):
        engine, source = open_engine(open_source(rows))
        with engine:
            return np.concatenate(engine.map(partial(_of_block, function), source), axis=1)
    if np.isnan(rows.shape[0]):
        raise ConfigError(
            "draws are keyed by row, and the chunk sizes of the data are unknown; call "
            "compute_chunk_sizes() first"
        )
    if len(rows.chunks[1]) > 1:
        rows = rows.rechunk({1: -1})
    chunks = ((n_draws,), rows.chunks[0], (mixture.n_columns,))
    meta = np.empty((0, 0, 0))
    return rows.map_blocks(_of_chunk, function, new_axis=0, chunks=chunks, dtype=float, meta=meta)


def _of_block(function: DrawMissing, block: Block) -> FloatArray:
    return function(block.values, block.start)


def _of_chunk(values: Any, function: DrawMissing, block_info: Any = None) -> FloatArray:
    """Draw in one chunk, wherever it lies."""
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    start = block_info[0]["array-location"][0][0] if block_info else 0
    return function(dense.astype(np.float64, copy=False), int(start))
