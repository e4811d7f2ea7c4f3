"""From k-means words to fits in shared passes, and what their centres say of rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.cluster import kmeans_plusplus

from gmm_dask.blocks import Block, FloatArray, Frame, RowLayout, Source
from gmm_dask.drive import one_pass
from gmm_dask.engine.base import Engine
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.errors import DataError
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.first_pass import find_frame
from gmm_dask.fits.lloyd import Lloyd
from gmm_dask.fits.starts import KMeansParallel, choose_rows, distinct, start_seed, with_means
from gmm_dask.folds.assign import pairwise
from gmm_dask.folds.rows import RowShare, check_finite_rows, observed
from gmm_dask.folds.sample import Sample
from gmm_dask.initial import sample_size
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture

TILE = 65536


class Wanted(NamedTuple):
    """What a k-means is asked for."""

    n_clusters: int
    init: str | FloatArray
    """"k-means||", "k-means++", "random", or centres (K, D) in source units."""
    n_init: int
    tol: float
    """Relative to the mean variance of the columns."""
    max_iter: int
    seed: int


def centred(frame: Frame, centres: FloatArray) -> Mixture:
    """Return centres (K, D) of a frame with one scale as a mixture that kernels take."""
    K, D = centres.shape
    floor = RelativeFloor(np.ones(D))
    params = GaussianParams(np.ascontiguousarray(centres), np.ones(K))
    return Mixture(Gaussian("spherical", floor), params, np.full((1, K), 1.0 / K), frame)


def cluster(source: Source, layout: RowLayout, wanted: Wanted, engine: Engine) -> Lloyd:
    """Return the best of some runs of k-means, ended; its inertia is in the frame, squared.

    Parameters
    ----------
    source : Source
    layout : RowLayout
        Complete rows without noise; weights are taken.
    wanted : Wanted
    engine : Engine

    Raises
    ------
    DataError
        NaN or infinite values; fewer rows of positive weight than clusters.
    """
    rows = RowShare.all_rows(layout)
    frame, stats = find_frame(engine, source, rows, constant="allow")
    frame, K = frame.shared(), wanted.n_clusters
    if int(stats.n_rows) < K:
        raise DataError(
            f"n_samples={int(stats.n_rows)} should be >= n_clusters={K}; use fewer clusters"
        )
    with one_blas_thread():
        fits = begun(source, frame, rows, wanted, engine)
        while any(fit.outcome is None for fit in fits):
            fits = one_pass(fits, engine, source)
    return min(fits, key=lambda fit: fit.inertia)


def begun(
    source: Source, frame: Frame, rows: RowShare | None, wanted: Wanted, engine: Engine
) -> tuple[Lloyd, ...]:
    """Return the runs at their starts."""
    K, tol = wanted.n_clusters, wanted.tol * float(frame.variance.mean())
    if not isinstance(wanted.init, str):
        given = centred(frame, frame.forward(wanted.init))
        return (Lloyd(given, tol, wanted.max_iter, rows),) * wanted.n_init
    drawn = Sample(sample_size(K), len(source.columns), wanted.seed, rows)
    found = engine.fold(drawn, source).values
    parts = observed(rows, Block(found, 0))
    sample = frame.forward(parts.values)
    weight = np.ones(len(sample)) if parts.sample_weight is None else parts.sample_weight
    base = centred(frame, np.zeros((K, len(frame.shift))))
    return tuple(
        _started(Lloyd(base, tol, wanted.max_iter, rows), wanted, (sample, weight), index)
        for index in range(wanted.n_init)
    )


def _started(
    fit: Lloyd, wanted: Wanted, sample: tuple[FloatArray, FloatArray], index: int
) -> Lloyd:
    """Return one run at its start.

    Starts from a sample depend on its distinct rows and their weights alone: where it holds all
    rows, a row of weight 2 is the row twice.
    """
    K, metric = wanted.n_clusters, np.eye(fit.template.n_columns)
    seed = start_seed(wanted.seed, str(wanted.init), K, index)
    if wanted.init == "k-means||":
        first = choose_rows(sample[0], 1, seed)
        start = KMeansParallel(fit.template, metric, first, wanted.seed, index, fit.rows)
        return Lloyd(fit.template, fit.tol, fit.max_iter, fit.rows, start)
    points, weight = distinct(*sample)
    few = np.resize(np.arange(len(points)), max(K - len(points), 0))
    points, weight = np.concatenate([points, points[few]]), np.append(weight, weight[few])
    if wanted.init == "random":
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(points), K, replace=False, p=weight / weight.sum())
    else:
        chosen = kmeans_plusplus(points, K, sample_weight=weight, random_state=seed)[1]
    template = with_means(fit.template, points[chosen])
    return Lloyd(template, fit.tol, fit.max_iter, fit.rows)


@dataclass(frozen=True)
class NearestRows:
    """A function from rows to their nearest centre, or to the distances from all.

    Parameters
    ----------
    frame : Frame
        With one scale for all columns.
    centres : (K, D)
        In the frame.
    output : {"label", "distance"}
    """

    frame: Frame
    centres: FloatArray
    output: str

    @cached_property
    def _ready(self) -> table.Ready:
        mixture = centred(self.frame, self.centres)
        return table.ready_nearest(mixture.prepare().family, np.eye(mixture.n_columns))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the constants of the kernel behind: they are found again."""
        return {name: value for name, value in self.__dict__.items() if name != "_ready"}

    @property
    def n_outputs(self) -> int | None:
        """Numbers for each row; None where there is one, and the answer one-dimensional."""
        return len(self.centres) if self.output == "distance" else None

    def __call__(self, values: npt.NDArray[Any], start: int = 0) -> npt.NDArray[Any]:
        """Return labels (n,) int64, or distances (n, K) in source units.

        Raises
        ------
        DataError
            A row has NaN or an infinite value.
        """
        check_finite_rows(values, start)
        parts = [self._tile(values[lo : lo + TILE]) for lo in range(0, max(len(values), 1), TILE)]
        return np.concatenate(parts)

    def _tile(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.output == "label":
            return table.assign(self._ready, np.ascontiguousarray(values)).label
        squared = pairwise(self.frame.forward(values), self.centres, np.eye(len(self.frame.shift)))
        distance: FloatArray = np.sqrt(squared) * self.frame.scale[0]
        return distance
