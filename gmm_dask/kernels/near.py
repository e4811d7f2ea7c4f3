"""Homes and runs: what a pass over rows near many components needs to know beforehand.

With hundreds of separated components all but a few of a row's densities are 0 to double
precision. Rows are put in the order of the component that they lie nearest to, their home, and
met in runs of one home, against what bounds leave of the other components (`native.near`). What is
skipped has a share below e^-30 = 9.4e-14 of the row for each component, so that the log density of
a row is too small by at most `skipped_bound`: 9.4e-11 nats for a thousand components.

Homes decide about time alone: any order of the rows gives the same sums but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels.call import Piece, call, key_of
from gmm_dask.kernels.densities import log_prob
from gmm_dask.kernels.homes import Homes, Places, homes_of
from gmm_dask.kernels.layout import HALF, Layout, in_line, layout, padded
from gmm_dask.kernels.methods import FEWEST, Method, choose
from gmm_dask.kernels.native.multiply import panels
from gmm_dask.kernels.native.near import SKIPPED
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.types import EStepSums, GaussianPrepared
from gmm_dask.kernels.unpack import empty_sums, moments_of

ROUND = 1e-6
"""By which lengths are loosened, so that rounding never dismisses wrongly."""
ROUGH = 1e-12
"""And squared lengths, as a fraction of the largest that they could be."""
AT_ONCE = 16384
"""Rows that are put in order at once."""
LOOKED_AT = 64
"""Components whose neighbourhood is looked at before the method is chosen."""


@dataclass(frozen=True)
class Near:
    """A mixture of many components, ready to meet rows in runs.

    Parameters
    ----------
    layout : Layout
    homes : Homes
    """

    layout: Layout
    homes: Homes


def skipped_bound(n_components: int, n_columns: int, covariance_type: str = "full") -> float:
    """Return by how much E-steps may make the log density of a row too small, in nats.

    0 where no component is ever skipped: few components, or not of type full. Densities and
    responsibilities of rows are computed without skipping.
    """
    if covariance_type != "full" or n_components < FEWEST:
        return 0.0
    method = choose(covariance_type, n_columns, 0, n_components=n_components)
    return float(n_components * np.exp(-SKIPPED)) if method.row == "near" else 0.0


def near_bytes(covariance_type: str, n_components: int, n_columns: int, rows: int) -> int:
    """Return an upper bound of the bytes that runs of `rows` rows take, those made ready included.

    0 where rows are not met in runs.
    """
    K, D = n_components, n_columns
    if choose(covariance_type, D, 0, n_components=K).row != "near":
        return 0
    of_pairs, of_components = 5 * K * (K + LANES), 8 * K * D * (D + LANES)
    of_rows = rows * (D + 12) + AT_ONCE * (D + K)
    return 8 * (of_pairs + of_components + of_rows)


def near_of(prepared: GaussianPrepared, log_weights: FloatArray) -> Near | None:
    """Return what a pass by runs needs; None where another row of the table serves better."""
    A, D = int((prepared.log_norm + log_weights > -np.inf).sum()), prepared.means.shape[1]
    method = choose(prepared.covariance_type, D, 0, n_components=A)
    if method.row != "near":
        return None
    base = layout(prepared, log_weights, bounded=False)
    apart = distances(prepared, base)
    if not pays(apart, base.arrays["constants"], D):
        return None
    return arranged(prepared, base, method, apart)


def distances(prepared: GaussianPrepared, base: Layout) -> FloatArray:
    """Return the distances (A, A) of each mean (row) from each component, in its deviations."""
    A, D = base.means.shape
    alone = prepared._replace(
        shift=np.zeros(D),
        scale=np.ones(D),
        means=prepared.means[base.alive],
        factor=prepared.factor[base.alive],
        log_norm=np.zeros(A),
    )
    half = log_prob(alone, layout(alone, np.zeros(A), bounded=False), alone.means)
    result: FloatArray = np.sqrt(np.maximum(-2.0 * half, 0.0))
    return result


def pays(apart: FloatArray, constants: FloatArray, n_columns: int) -> bool:
    """Return whether few enough components are expected to matter for a row.

    As in `projection.surviving`: a row of component h has about the squared distance a^2 + D from
    component j, a the distance of its mean, with a standard deviation of about sqrt(4 a^2 + 2 D).
    """
    some = apart[:: max(1, len(apart) // LOOKED_AT)]
    of_row = constants[:: max(1, len(apart) // LOOKED_AT)] - 0.5 * n_columns
    allowed = 2.0 * (SKIPPED + constants[None, :] - of_row[:, None])
    squares = np.minimum(some, 1e100) ** 2
    z = (allowed - squares - n_columns) / np.sqrt(4.0 * squares + 2.0 * n_columns)
    return float(ndtr(z).mean()) < MOST_LEFT


MOST_LEFT = 0.05
"""Share of the components that may matter for a row: beyond it, whole tiles are faster."""


def arranged(prepared: GaussianPrepared, base: Layout, method: Method, apart: FloatArray) -> Near:
    """Return a mixture ready for runs, its components in the order of `Homes`."""
    metric, precisions, shortest, longest = common_metric(base.means, prepared.factor[base.alive])
    places = Places(base.means @ metric, base.arrays["constants"], shortest, longest)
    homes, order = homes_of(prepared, metric, places)
    apart, precisions = apart[np.ix_(order, order)], precisions[order]
    whites, constants, shortest, longest = (array[order] for array in places)
    alive, means, D = base.alive[order], base.means[order], base.means.shape[1]
    arrays = {
        "shift": padded(prepared.shift, LANES),
        "inverse_scale": padded(1.0 / prepared.scale, LANES),
        "centres": padded(means, LANES),
        "constants": behind(constants, -np.inf),
        "factors": panels(HALF * prepared.factor[alive]),
        "metric": padded(metric, LANES).reshape(D, -1, LANES).transpose(1, 0, 2),
        "whites": padded(whites, LANES),
        "apart": padded(np.maximum(apart * (1 - ROUND) - ROUND, 0.0), LANES),
        "stretch": padded(longest * (1 + ROUND), LANES),
        "loose": padded(0.5 * (shortest * (1 - ROUND)) ** 2, LANES),
        "places": padded(whites.T, LANES).reshape(D, -1, LANES).transpose(1, 0, 2),
        "rough": ROUGH * longest**2,
        "precisions": padded(precisions, LANES),
    }
    lined = {name: in_line(array, np.float64) for name, array in arrays.items()}
    return Near(Layout(method, prepared, alive, base.offset, means, lined), homes)


def behind(array: FloatArray, fill: float) -> FloatArray:
    """Return an array up to a whole number of vectors."""
    return np.pad(array, (0, -len(array) % LANES), constant_values=fill)


def common_metric(
    means: FloatArray, factors: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return a metric in which the pooled covariance is round, and how components stretch it.

    Parameters
    ----------
    means : (A, D)
    factors : (A, D, D)

    Returns
    -------
    metric : (D, D)
        Rows times this; the columns that separate the means best first.
    precisions : (A, D, D)
        Of the components, in this metric.
    shortest, longest : (A,)
        The length of ``y @ U_k`` is between ``shortest * |y @ metric|`` and ``longest * ...``.
    """
    spread = np.linalg.inv(factors)
    pooled = np.einsum("kij,kil->jl", spread, spread) / len(factors)
    lower = np.linalg.cholesky(pooled)
    whitening = np.linalg.inv(lower).T
    places = (means - means.mean(axis=0)) @ whitening
    turn = np.linalg.eigh(places.T @ places)[1][:, ::-1]
    stretched = np.matmul((lower @ turn).T, factors)
    precisions = np.matmul(stretched, stretched.transpose(0, 2, 1))
    values = np.linalg.eigvalsh(precisions)
    return (
        whitening @ turn,
        precisions,
        np.sqrt(np.maximum(values[:, 0], 0)),
        np.sqrt(values[:, -1]),
    )


def runs_of(near: Near, rows: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """Return the order of rows (n,) and their runs (R, 3): first, number and home."""
    home, far = near.homes.of(rows)
    key = (home + len(near.layout.means) * far).astype(np.uint16)
    order = np.argsort(key, kind="stable")
    sorted_key = key[order].astype(np.int64)
    first = np.flatnonzero(np.diff(sorted_key, prepend=-1))
    length = np.diff(np.append(first, len(rows)))
    tile = near.layout.method.tile
    parts = -(-length // tile)
    which = np.repeat(np.arange(len(first)), parts)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts)
    size = -(-length // parts)
    start = first[which] + nth * size[which]
    stop = np.minimum(start + size[which], first[which] + length[which])
    runs = np.stack([start, stop - start, home[order][start]], axis=1)
    return order, runs[runs[:, 1] > 0].astype(np.int64)


def sums_of(near: Near, rows: npt.NDArray[Any]) -> tuple[EStepSums, IntArray]:
    """Return the E-step sums of rows (n, D), n > 0, and the numbers of rows which they lack."""
    order, runs = runs_of(near, rows)
    made = near.layout
    key = key_of("e_step", made, rows, hard=False)
    sums = empty_sums(key, made)
    top, total = np.empty((2, len(runs), LANES))
    bits = np.zeros((len(runs), made.method.tile // LANES), dtype=np.uint8)
    stops = np.searchsorted(runs[:, 0], np.arange(0, len(rows), AT_ONCE))
    for first, last in pairwise([*stops, len(runs)]):
        some = runs[first:last].copy()
        if not len(some):
            continue
        start, stop = some[0, 0], some[-1, 0] + some[-1, 1]
        some[:, 0] -= start
        piece = Piece(rows[order[start:stop]], 0, len(some))
        K = -(-len(made.means) // LANES) * LANES
        counts = np.array([len(some), K, len(made.means)], dtype=np.int64)
        of_run: dict[str, npt.NDArray[Any]] = {
            "top": top[first:],
            "total": total[first:],
            "lost": bits[first:],
        }
        of_run |= {"counts": counts, "runs": some}
        call(key, made, piece, **of_run, **sums)
    run, at = np.nonzero(np.unpackbits(bits, axis=1, bitorder="little"))
    lost = order[runs[run, 0] + at]
    n = len(rows) - len(lost)
    log_likelihood = top.sum() + np.log(total).sum() + n * made.offset
    count, moments = moments_of(made, key, **sums)
    of_rows = np.asarray(log_likelihood), np.asarray(float(n))
    return EStepSums(*of_rows, count[None, :], moments, np.zeros(())), np.sort(lost)
