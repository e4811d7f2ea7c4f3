"""The grid of fits: which K, covariance types and restarts there are, and how each starts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from gmm_dask.angled import Shape, with_angles, with_background
from gmm_dask.beginnings import in_frame, nothing_to_choose
from gmm_dask.blocks import FloatArray, Frame
from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import Floor, RelativeFloor, Ridge
from gmm_dask.families.gaussian import COVARIANCE_TYPES, Gaussian, GaussianParams
from gmm_dask.families.held import Held, check_held
from gmm_dask.families.prior import default_prior
from gmm_dask.fits.restart import KINDS, Restart
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.initial import INIT_PARAMS, MERGING_MOST, Ground, Trees, auto, sample_size, start_of
from gmm_dask.kernels.types import second_shape
from gmm_dask.laws.base import WeightLaw
from gmm_dask.laws.simple import Free
from gmm_dask.mixture import Mixture, with_groups
from gmm_dask.observed import SOFT_ONLY
from gmm_dask.stats import Batch, batch


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
    accelerate : {"", "squarem", "daarem"} or bool
        Jump ahead where plain EM is slow; see `fits.squarem` and `fits.daarem`. True is squarem.
    race : bool
        Restarts compete: on nested samples first (`ladder`), then by halving on all rows
        (`halving`); False: each runs to its end, as scikit-learn's do.
    covariance_prior : bool
        Maximise the posterior under mclust's default prior; see `families.prior`.
    shape : Shape
        Columns that are angles, and a background; see `angled`. Such fits are not accelerated.
    law : WeightLaw
        Of the weights, for each group of rows.
    held : Held
        Parameters that are not free; their values are given to `restarts`.
    temperature : float
        Of the E-steps: 1 soft, 0 hard (classification EM, which does not go with `accelerate`).
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
    accelerate: str | bool = ""
    race: bool = False
    covariance_prior: bool = False
    shape: Shape = field(default_factory=Shape)
    law: WeightLaw = field(default_factory=Free)
    held: Held = field(default_factory=Held)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for K in self.n_components:
            self.law.n_free(K)  # refuses a K that it does not take
        _check_law(self.law, self.shape)
        if isinstance(self.accelerate, bool):
            object.__setattr__(self, "accelerate", "squarem" if self.accelerate else "")
        if self.accelerate not in KINDS:
            raise ConfigError(
                f"accelerate is {self.accelerate!r}; one of squarem, daarem, True and False is "
                "needed"
            )
        if self.init_params == "merging" and max(self.n_components, default=1) > MERGING_MOST:
            raise ConfigError(
                f"init_params is merging and n_components {max(self.n_components)}; merging takes "
                f"up to {MERGING_MOST}: use k-means|| or auto"
            )
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
        for K, kind in itertools.product(self.n_components, self.covariance_type):
            check_held(self.held, K, kind)
        if self.held.weights and not isinstance(self.law, Free):
            raise ConfigError(
                "frozen weights go with weights that are free otherwise; weights follow the law "
                f"{type(self.law).__name__}: leave one of the two out"
            )
        self._refuse_hard()
        if not self.shape.plain and (self.held != Held() or self.temperature != 1):
            raise ConfigError(
                "angles (circular) and a background go with free parameters and soft assignment; "
                "leave frozen and assignment out"
            )

    def _refuse_hard(self) -> None:
        if self.temperature == 0 and self.accelerate:
            raise ConfigError(
                f"accelerate is {self.accelerate!r} and assignment is hard: labels jump, and "
                "leaps between them mean nothing; leave accelerate out"
            )
        layout = self.rows.layout if self.rows is not None else None
        if self.temperature != 1 and layout is not None and layout.noise:
            raise ConfigError(SOFT_ONLY)

    @property
    def sample_size(self) -> int:
        """Rows of the random sample that the starts use."""
        return sample_size(max(self.n_components))


def restarts(
    grid: Grid, ground: Ground, given: dict[str, FloatArray] | None = None
) -> tuple[Restart, ...]:
    """Return every fit of the grid, ready to be driven.

    Parameters
    ----------
    grid : Grid
    ground : Ground
    given : dict, optional
        ``weights`` (K,) or (G, K), ``means`` (K, D) and ``covariances``, source units, to begin
        with; NaN, or a length less than K, leaves the other components to the start. Held
        parameters have the values given here.
    """
    trees: Trees = {}
    return tuple(
        _restart(grid, ground, K, covariance_type, index, given or {}, trees)
        for covariance_type in grid.covariance_type
        for K in grid.n_components
        for index in range(1 if nothing_to_choose(given or {}, K) else grid.n_init)
    )


def template(grid: Grid, frame: Frame, n_components: int, covariance_type: str) -> Mixture:
    """Return equal weights and the total covariance around the mean of all rows."""
    if not grid.shape.plain:
        return _compound(grid, frame, n_components, covariance_type)
    frame = frame.shared() if covariance_type == "spherical" else frame
    prior = default_prior(frame, n_components) if grid.covariance_prior else None
    family = Gaussian(covariance_type, floor_of(grid, frame), prior)
    total = frame.scatter
    K = n_components
    covariances = {
        "full": np.repeat(family.floor.full(total[None]), K, axis=0),
        "tied": family.floor.full(total[None])[0],
        "diag": family.floor.diag(np.repeat(frame.variance[None], K, axis=0)),
        "spherical": family.floor.spherical(np.full(K, frame.variance.mean())),
    }[covariance_type]
    means = np.repeat(frame.centre[None], K, axis=0)
    weights = grid.law.project(np.full((1, K), 1.0 / K))
    params = GaussianParams(means, covariances)
    return Mixture(family, params, weights, frame, grid.law, temperature=grid.temperature)


def _check_law(law: WeightLaw, shape: Shape) -> None:
    """Raise ConfigError where a law of the weights has no meaning beside angles or a background."""
    if shape.background is not None and not isinstance(law, Free):
        raise ConfigError(
            f"weights follow the law {type(law).__name__}, and a background has a weight of its "
            "own: leave weights free, or background out"
        )
    if shape.circular and law.ordered:
        raise ConfigError(
            f"weights follow the law {type(law).__name__}, whose components are in order along a "
            "line, which angles (circular) are not: leave weights free, or circular out"
        )


def _compound(grid: Grid, frame: Frame, K: int, covariance_type: str) -> Mixture:
    """Return the template of components with angles, with a background, or with both."""
    plain = replace(grid, shape=Shape())
    lines = frame.of_columns(grid.shape.lines(len(frame.shift)))
    of_lines = _without_columns(plain, lines, K, covariance_type)
    base = with_angles(grid.shape, of_lines, frame, grid.reg_covar or 0.0)
    return with_background(grid.shape, base)


def _without_columns(grid: Grid, frame: Frame, K: int, covariance_type: str) -> Mixture:
    """Return the template of Gaussian columns, of which there may be none."""
    if len(frame.shift):
        return template(grid, frame, K, covariance_type)
    family = Gaussian(covariance_type, RelativeFloor(np.ones(0)))
    params = GaussianParams(np.zeros((K, 0)), np.zeros(second_shape(covariance_type, K, 0)))
    return Mixture(family, params, np.full((1, K), 1.0 / K), frame)


def pass_fold(grid: Grid, n_columns: int) -> Batch:
    """Return what a pass of the whole grid asks, for plans made before any row is read."""
    frame = Frame.identity(n_columns)
    kinds = [(K, kind) for kind in grid.covariance_type for K in grid.n_components]
    layout = grid.rows.layout if grid.rows else None
    G = layout.n_groups if layout else 1
    folds = [EStep(with_groups(template(grid, frame, K, kind), G), grid.rows) for K, kind in kinds]
    return batch([fold for fold in folds for _ in range(grid.n_init)])


def floor_of(grid: Grid, frame: Frame) -> Floor:
    """Return the floor that ``reg_covar`` asks for, in a frame."""
    variance = np.where(frame.variance > 0, frame.variance, 1.0)
    if grid.reg_covar is None:
        return RelativeFloor(variance)
    return Ridge(grid.reg_covar / frame.scale**2, variance)


def _restart(
    grid: Grid,
    ground: Ground,
    K: int,
    covariance_type: str,
    index: int,
    given: dict[str, FloatArray],
    trees: Trees,
) -> Restart:
    base = template(grid, ground.frame, K, covariance_type)
    init = auto(index, K, len(ground.sample)) if grid.init_params == "auto" else grid.init_params
    wanted = in_frame(given, base, grid.held)
    restart = Restart(
        index,
        init,
        grid.tol,
        grid.max_iter,
        grid.rows,
        given=wanted,
        accelerate=str(grid.accelerate) if grid.shape.plain else "",
    )
    if wanted.complete:
        return restart.begin(base)
    start = start_of(init, grid.seed, grid.rows, ground, base, index, trees)
    if isinstance(start, Mixture):
        return restart.begin(start)
    return replace(restart, start=start)
