"""The information that rows hold about the parameters of a mixture: exact, in one pass.

Coordinates: the logarithm of each weight (up to a common constant), then of each component a, D
numbers, and B, as `derivatives` has them; of tied covariances one B for all. They are linear in
means and covariances, so derivatives at any mixture are those of means and covariances.

With u the responsibilities times the scores of a row that knows its component, h the score of the
row itself is u minus the weights, and the observed information is what the rows would tell if they
knew their components, less what they lose by not knowing (Louis 1982): minus the sum of r_k d2 log
f_k, less the sum over rows of ``sum_k r_k s_k s_k' - u u'``.

References
----------
Louis 1982, J. R. Stat. Soc. B 44:226; Boldea and Magnus 2009, J. Am. Stat. Assoc. 104:1539;
McLachlan and Peel 2000, Finite Mixture Models, section 2.15 (products of scores).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray, IntArray, Observed
from gmm_dask.families.linalg import cholesky
from gmm_dask.folds import assigned
from gmm_dask.folds.derivatives import Pull, curvature, n_shape, pull, scores
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare, check_finite_rows, observed
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.pieces import patterns, taken
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 1024
TILE_MATRICES = 256  # where each row has matrices of its own


class InformationSums(NamedTuple):
    """Sums over rows, each counted by its weight; q = 1 + D + shape, P all coordinates."""

    n_rows: FloatArray
    """()."""
    score: FloatArray
    """(P,): u."""
    outer: FloatArray
    """(P, P): u u'."""
    within: FloatArray
    """(K, q, q): r_k s_k s_k'."""
    complete: FloatArray
    """(K, q - 1, q - 1): minus r_k d2 log f_k."""


class Informed(NamedTuple):
    """What the rows say, in the P - 1 free coordinates: without the log weight of the largest."""

    n_rows: float
    """Sum of row weights; of rows, where they have none."""
    score: FloatArray
    """(P - 1,) the gradient of the log-likelihood."""
    outer: FloatArray
    """(P - 1, P - 1) sum of products of the scores of the rows."""
    observed: FloatArray
    """(P - 1, P - 1) minus the Hessian of the log-likelihood."""
    complete: FloatArray
    """(P - 1, P - 1) the same if rows knew their components."""


class Ready(NamedTuple):
    """Constants of a pass."""

    rows: Prepared | Observer
    lower: FloatArray
    """(K, D, D) factors of the covariances, in the frame."""


@dataclass(frozen=True)
class Layout:
    """Where the coordinates of a mixture stand.

    Parameters
    ----------
    covariance_type : str
    n_components, n_columns : int
    """

    covariance_type: str
    n_components: int
    n_columns: int

    @staticmethod
    def of(mixture: Mixture) -> Layout:
        """Return the layout of a mixture."""
        kind = mixture.family.covariance_type
        return Layout(kind, mixture.n_components, mixture.n_columns)

    @property
    def n_shape(self) -> int:
        """Coordinates of one covariance."""
        return n_shape(self.covariance_type, self.n_columns)

    @property
    def n_own(self) -> int:
        """Coordinates that matter to one component, its log weight included: q."""
        return 1 + self.n_columns + self.n_shape

    @property
    def size(self) -> int:
        """All coordinates: P."""
        shapes = 1 if self.covariance_type == "tied" else self.n_components
        return self.n_components * (1 + self.n_columns) + shapes * self.n_shape

    def places(self, k: int) -> IntArray:
        """Return where the coordinates of component k stand, (q,)."""
        K, D, t = self.n_components, self.n_columns, self.n_shape
        shape = K * (1 + D) + (0 if self.covariance_type == "tied" else k * t)
        parts = ([k], K + k * D + np.arange(D), shape + np.arange(t))
        return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True)
class Information(Fold[Ready, InformationSums, Informed]):
    """The observed information, exact, and the sum of products of scores.

    Parameters
    ----------
    mixture : Mixture
        One group of weights.
    rows : RowShare, optional
    """

    mixture: Mixture
    rows: RowShare | None = None

    def prepare(self) -> Ready:
        """Factorise the covariances."""
        lower = cholesky(self.mixture.family.dense(self.mixture.params))
        return Ready(assigned.prepare(self.mixture, self.rows), lower)

    def measure(self, prepared: Ready, block: Block) -> InformationSums:
        """Return the sums of one block, tile by tile."""
        sums = self._none()
        for lo in range(0, len(block), self._tile_rows):
            tile = Block(block.values[lo : lo + self._tile_rows], block.start + lo)
            rows = observed(self.rows, tile)
            resp = _responsibilities(prepared, rows, tile.start)
            for columns, places in patterns(rows.values):
                if len(columns):
                    part = taken(rows, places, columns)
                    sums = add(sums, self._pattern(prepared.lower, columns, part, resp[places]))
        return sums

    def _pattern(
        self, lower: FloatArray, columns: IntArray, part: Observed, resp: FloatArray
    ) -> InformationSums:
        """Return the sums of rows of which the same columns were observed."""
        layout, n = Layout.of(self.mixture), len(resp)
        kind, weight = layout.covariance_type, part.sample_weight
        weight = np.ones(n) if weight is None else weight
        u = np.zeros((n, layout.size))
        within, complete = [], []
        for k in range(layout.n_components):
            of = self._pull(lower[k], columns, part, k)
            s = np.concatenate([np.ones((n, 1)), scores(kind, of)], axis=1)
            share = weight * resp[:, k]
            u[:, layout.places(k)] += resp[:, k, None] * s
            within.append(squares(s, share))
            complete.append(curvature(kind, of, share))
        total, outer = np.asarray(weight.sum()), squares(u, weight)
        return InformationSums(total, weight @ u, outer, np.stack(within), np.stack(complete))

    def _pull(self, lower: FloatArray, columns: IntArray, part: Observed, k: int) -> Pull:
        mixture, frame = self.mixture, self.mixture.frame
        scale = frame.scale[columns]
        seen = lower[columns]
        total = seen @ seen.T
        if part.noise is not None:
            noise = part.noise
            matrices = noise if noise.ndim == 3 else noise[:, :, None] * np.eye(len(columns))
            total = total + matrices / np.outer(scale, scale)
        away = (part.values - frame.shift[columns]) / scale - mixture.params.means[k, columns]
        return pull(seen, total, away)

    def finish(self, stats: InformationSums) -> Informed:
        """Return score and information in free coordinates."""
        layout, n = Layout.of(self.mixture), float(stats.n_rows)
        P, K = layout.size, layout.n_components
        weights = np.zeros(P)
        weights[:K] = self.mixture.weights[0]
        complete, within = np.zeros((P, P)), np.zeros((P, P))
        complete[:K, :K] = n * (np.diag(weights[:K]) - np.outer(weights[:K], weights[:K]))
        for k in range(K):
            own = layout.places(k)
            within[np.ix_(own, own)] += stats.within[k]
            complete[np.ix_(own[1:], own[1:])] += stats.complete[k]
        cross = np.outer(stats.score, weights)
        outer = stats.outer - cross - cross.T + n * np.outer(weights, weights)
        lost = within - stats.outer
        free = free_coordinates(self.mixture)
        inside = np.ix_(free, free)
        score = (stats.score - n * weights)[free]
        return Informed(n, score, outer[inside], (complete - lost)[inside], complete[inside])

    def _none(self) -> InformationSums:
        layout = Layout.of(self.mixture)
        K, P, q = layout.n_components, layout.size, layout.n_own
        shapes = ((), (P,), (P, P), (K, q, q), (K, q - 1, q - 1))
        return InformationSums(*(np.zeros(shape) for shape in shapes))

    @property
    def _noisy(self) -> bool:
        layout = self.rows.layout if self.rows is not None else None
        return layout is not None and bool(layout.noise)

    @property
    def _tile_rows(self) -> int:
        return TILE_MATRICES if self._noisy else TILE

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile: scores, and matrices of rows or of covariances."""
        layout, tile = Layout.of(self.mixture), min(rows, self._tile_rows)
        D = layout.n_columns
        kernel = table.working_bytes(layout.covariance_type, layout.n_components, D)
        of_rows = tile * (2 * layout.size + 4 * layout.n_own + layout.n_components + 4 * D)
        matrices = 6 * tile * D * D if self._noisy else 0
        fourth = 3 * D**4 if layout.covariance_type in ("full", "tied") else 3 * D * D
        holes = observed_bytes(self.mixture, self.rows, tile)
        return kernel + 8 * (of_rows + matrices + fourth) + 2 * self.stats_bytes + holes

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        layout = Layout.of(self.mixture)
        P, q = layout.size, layout.n_own
        return 8 * (1 + P + P * P + layout.n_components * (q * q + (q - 1) ** 2))


def squares(rows: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted sum of r r' over rows r, (p, p).

    Of one array with itself, which BLAS does in half the time.
    """
    root = rows * np.sqrt(weight)[:, None]
    found: FloatArray = root.T @ root
    return found


def free_coordinates(mixture: Mixture) -> IntArray:
    """Return the coordinates without the log weight of the largest component, (P - 1,).

    Log weights are known up to a constant: one of them can be held.
    """
    return np.delete(np.arange(Layout.of(mixture).size), int(mixture.weights[0].argmax()))


def _responsibilities(prepared: Ready, rows: Observed, start: int) -> FloatArray:
    """Return responsibilities (n, K)."""
    if isinstance(prepared.rows, Observer):
        return prepared.rows.posterior(rows)[1]
    check_finite_rows(rows.values, start)
    return table.posterior(prepared.rows.ready, rows.values)[1]
