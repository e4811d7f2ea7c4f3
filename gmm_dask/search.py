"""The grid of fits: which K, covariance types and restarts there are, and how each starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame
from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import Floor, RelativeFloor, Ridge
from gmm_dask.families.gaussian import COVARIANCE_TYPES, Gaussian, GaussianParams
from gmm_dask.fits.clustering import kmeans_centres, plusplus_centres
from gmm_dask.fits.restart import Given, Restart
from gmm_dask.fits.starts import (
    FromCentres,
    FromRandomResp,
    KMeansParallel,
    Start,
    choose_rows,
    start_seed,
)
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Batch, batch

INIT_PARAMS = ("auto", "kmeans", "k-means||", "k-means++", "random", "random_from_data")
# What `auto` does in turn: starts that fail on different data.
AUTO = ("kmeans", "kmeans whitened", "k-means||", "random_from_data", "k-means|| whitened")
SAMPLE = 16384


@dataclass(frozen=True)
class Grid:
    """What to fit.

    Parameters
    ----------
    n_components : tuple of int
    covariance_type : tuple of str
    n_init : int
        Restarts for each pair of the two.
    init_params : str
        One of ``INIT_PARAMS``.
    tol : float
        Log-likelihood per row.
    max_iter : int
    reg_covar : float, optional
        None: a floor of 1e-6 of each column's variance. A number is added to every variance
        (source units squared), as in scikit-learn.
    seed : int
    rows : RowShare, optional
        Training rows; all by default.
    accelerate : bool
        Jump ahead where plain EM is slow; see `fits.squarem`.
    race : bool
        Restarts compete: on nested samples first (`ladder`), then by halving on all rows
        (`halving`); False: each runs to its end, as scikit-learn's do.
    """

    n_components: tuple[int, ...]
    covariance_type: tuple[str, ...] = ("full",)
    n_init: int = 1
    init_params: str = "kmeans"
    tol: float = 1e-3
    max_iter: int = 100
    reg_covar: float | None = None
    seed: int = 0
    rows: RowShare | None = field(default=None)
    accelerate: bool = False
    race: bool = False

    def __post_init__(self) -> None:
        for covariance_type in self.covariance_type:
            if covariance_type not in COVARIANCE_TYPES:
                raise ConfigError(
                    f"covariance_type is {covariance_type!r}; one of "
                    f"{', '.join(COVARIANCE_TYPES)} is needed"
                )
        if self.init_params not in INIT_PARAMS:
            raise ConfigError(
                f"init_params is {self.init_params!r}; one of {', '.join(INIT_PARAMS)} is needed"
            )

    @property
    def sample_size(self) -> int:
        """Rows of the random sample that the starts use."""
        return sample_size(max(self.n_components))


def sample_size(n_components: int) -> int:
    """Return the rows that the starts of K components look at, whatever else is in the grid."""
    return max(SAMPLE, 50 * n_components)


class Ground(NamedTuple):
    """What the starts stand on."""

    frame: Frame
    sample: FloatArray
    """(m, D) random rows in source units."""


def restarts(
    grid: Grid, ground: Ground, given: dict[str, FloatArray] | None = None
) -> tuple[Restart, ...]:
    """Return every fit of the grid, ready to be driven.

    Parameters
    ----------
    grid : Grid
    ground : Ground
    given : dict, optional
        ``weights`` (K,), ``means`` (K, D) and ``covariances`` in source units, to begin with.
    """
    return tuple(
        _restart(grid, ground, K, covariance_type, index, given or {})
        for covariance_type in grid.covariance_type
        for K in grid.n_components
        for index in range(grid.n_init)
    )


def template(grid: Grid, frame: Frame, n_components: int, covariance_type: str) -> Mixture:
    """Return equal weights and the total covariance around the mean of all rows."""
    frame = frame.shared() if covariance_type == "spherical" else frame
    family = Gaussian(covariance_type, floor_of(grid, frame))
    total = frame.scatter
    K = n_components
    covariances = {
        "full": np.repeat(family.floor.full(total[None]), K, axis=0),
        "tied": family.floor.full(total[None])[0],
        "diag": family.floor.diag(np.repeat(frame.variance[None], K, axis=0)),
        "spherical": family.floor.spherical(np.full(K, frame.variance.mean())),
    }[covariance_type]
    means = np.repeat(frame.centre[None], K, axis=0)
    return Mixture(family, GaussianParams(means, covariances), np.full((1, K), 1.0 / K), frame)


def pass_fold(grid: Grid, n_columns: int) -> Batch:
    """Return what a pass of the whole grid asks, for plans made before any row is read."""
    frame = Frame.identity(n_columns)
    kinds = [(K, kind) for kind in grid.covariance_type for K in grid.n_components]
    folds = [EStep(template(grid, frame, K, kind), grid.rows) for K, kind in kinds]
    return batch([fold for fold in folds for _ in range(grid.n_init)])


def floor_of(grid: Grid, frame: Frame) -> Floor:
    """Return the floor that ``reg_covar`` asks for, in a frame."""
    variance = np.where(frame.variance > 0, frame.variance, 1.0)
    if grid.reg_covar is None:
        return RelativeFloor(variance)
    return Ridge(grid.reg_covar / frame.scale**2, variance)


def metric_of(frame: Frame, kind: str = "standardised") -> FloatArray:
    """Return the matrix (D, D) by which starts measure distances in the frame.

    Parameters
    ----------
    frame : Frame
    kind : {"standardised", "whitened"}
        Each column over its own standard deviation; whitened also decorrelated by the total
        covariance, with directions below 1e-8 of the largest left at that size.
    """
    deviation = np.sqrt(np.where(frame.variance > 0, frame.variance, 1.0))
    if kind == "standardised":
        return np.diag(1.0 / deviation)
    values, vectors = np.linalg.eigh(frame.scatter / np.outer(deviation, deviation))
    root = np.sqrt(np.maximum(values, 1e-8 * values.max()))
    metric: FloatArray = (vectors / root) / deviation[:, None]
    return metric


def _restart(
    grid: Grid,
    ground: Ground,
    K: int,
    covariance_type: str,
    index: int,
    given: dict[str, FloatArray],
) -> Restart:
    base = template(grid, ground.frame, K, covariance_type)
    init = AUTO[index % len(AUTO)] if grid.init_params == "auto" else grid.init_params
    wanted = in_frame(given, base)
    restart = Restart(
        index,
        init,
        grid.tol,
        grid.max_iter,
        grid.rows,
        given=wanted,
        accelerate=grid.accelerate,
    )
    if all(part is not None for part in wanted):
        return restart.begin(base)
    start = _start(init, grid, ground, base, index)
    if isinstance(start, Mixture):
        return restart.begin(start)
    return replace(restart, start=start)


def _start(init: str, grid: Grid, ground: Ground, base: Mixture, index: int) -> Start | Mixture:
    K = base.n_components
    sample = base.frame.forward(ground.sample[: sample_size(K)])  # samples are nested
    init, _, kind = init.partition(" ")
    metric = metric_of(base.frame, kind or "standardised")
    seed = start_seed(grid.seed, init, K, index)
    if init == "random":
        return FromRandomResp(base, grid.seed, index, grid.rows)
    if init == "random_from_data":
        return _at(base, choose_rows(sample, K, seed))
    if init == "k-means||":
        first = choose_rows(sample, 1, seed)
        return KMeansParallel(base, metric, first, grid.seed, index, grid.rows)
    if init == "k-means++":
        centres = plusplus_centres(sample, K, metric, seed)
    else:
        centres = kmeans_centres(sample, None, K, metric, seed)
    return FromCentres(_at(base, centres), metric, grid.rows)


def _at(base: Mixture, means: FloatArray) -> Mixture:
    return Given(means=means).into(base)


def in_frame(given: dict[str, FloatArray], base: Mixture) -> Given:
    """Return given parameters (source units) in the frame of a mixture."""
    weights, means, covariances = (given.get(k) for k in ("weights", "means", "covariances"))
    scale, kind = base.frame.scale, base.family.covariance_type
    if covariances is not None:
        divisor = {
            "full": np.outer(scale, scale),
            "tied": np.outer(scale, scale),
            "diag": scale**2,
            "spherical": scale[0] ** 2,
        }[kind]
        covariances = covariances / divisor
    return Given(
        None if weights is None else weights[None, :],
        None if means is None else base.frame.forward(means),
        covariances,
    )
