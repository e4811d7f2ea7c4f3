"""How rows look to a model, in a few numbers that are kept beside it and compared later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray, Source
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import Opened, fitted, opened
from gmm_dask.diagnostics.goodness import check_shape
from gmm_dask.diagnostics.levels import density_levels
from gmm_dask.diagnostics.simulated import SimulatedSource
from gmm_dask.draws import CELL
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import ConfigError, FormatError
from gmm_dask.folds.profile import Profiled, ProfileSums
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture

OUTSIDE = 1e-3
"""Share of the model's own rows outside the region in which rows are looked for."""
SIMULATED = 10**5
DRAWS = 10 * CELL
"""By which the level is known to two per cent of its share: margins are much wider."""


@dataclass(frozen=True)
class Profile:
    """Rows under a model.

    Parameters
    ----------
    n_rows : float
        By weight; infinite where the numbers are exact.
    log_density, log_density_variance : float
        Mean and variance over rows, natural log, source units.
    weights, weights_variance : (K,)
        Mean responsibilities, and the variance of a row's.
    n_complete : float
        Complete rows without errors, of which `outside` speaks.
    outside : float
        Share of them below the density level under which `OUTSIDE` of the model's rows lie.
    simulated : bool
        Of rows drawn from the model, not of the rows of a fit.
    """

    n_rows: float
    log_density: float
    log_density_variance: float
    weights: FloatArray
    weights_variance: FloatArray
    n_complete: float
    outside: float
    simulated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found: dict[str, Any] = as_json(self)
        return found

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Profile:
        """Return what `to_dict` wrote.

        Raises
        ------
        FormatError
            Something is missing, or not a number.
        """
        try:
            weights, spread = (
                np.asarray(value[name], dtype=np.float64)
                for name in ("weights", "weights_variance")
            )
            names = ("n_rows", "log_density", "log_density_variance", "n_complete", "outside")
            numbers = {name: float(value[name]) for name in names}
            found = cls(
                **numbers,
                weights=weights,
                weights_variance=spread,
                simulated=bool(value["simulated"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"the profile of a model is damaged: {error!r}") from None
        if weights.ndim != 1 or weights.shape != spread.shape or not np.isfinite(weights).all():
            raise FormatError("the profile of a model is damaged: its weights are not K numbers")
        return found


def profile(model: Any, X: Any, *, sample_weight: Any = None, noise: Any = None) -> Profile:
    """Return how rows look to a fitted model, in one pass: to be kept for `drift`.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        The rows of the fit; see `GaussianMixture.fit`.

    Raises
    ------
    ConfigError
        The components are not Gaussian, or weights go by group.
    DataError
        The rows cannot be used as they are.
    """
    found = fitted(model)
    with opened(found, X, sample_weight, noise) as data:
        return profiles_of(found.mixture_, data, 1)[0]


def profiles_of(mixture: Mixture, data: Opened, n_batches: int) -> tuple[Profile, ...]:
    """Return the profile of all rows, followed by those of batches where there are several."""
    fold = profile_fold(mixture, data.source.n_rows, data.rows, n_batches)
    return profiles_from(fold, data.ask(fold, mixture))


def profile_fold(
    mixture: Mixture, n_rows: int, rows: RowShare | None = None, n_batches: int = 1
) -> Profiled:
    """Return the question by which a profile is made.

    Parameters
    ----------
    mixture : Mixture
    n_rows : int
        Of the source.
    rows : RowShare, optional
    n_batches : int
    """
    check_shape(mixture, "drift")
    level = float(density_levels(mixture, (OUTSIDE,), draws=DRAWS).log_density[0])
    batch_rows = max(-(-n_rows // n_batches), 1)
    return Profiled(mixture, level, level, batch_rows, n_batches, rows)


def profiles_from(fold: Profiled, sums: ProfileSums) -> tuple[Profile, ...]:
    """Return the profile of all rows, followed by those of batches where there are several."""
    whole = _profile(fold, ProfileSums(*(part.sum(axis=0) for part in sums)))
    if fold.n_batches == 1:
        return (whole,)
    return whole, *(
        _profile(fold, ProfileSums(*(part[b] for part in sums))) for b in range(fold.n_batches)
    )


def _profile(fold: Profiled, sums: ProfileSums) -> Profile:
    n, complete = float(sums.n_rows), float(sums.n_complete)
    safe = max(n, 1e-300)
    mean, weights = float(sums.first) / safe, sums.resp / safe
    return Profile(
        n,
        fold.about + mean,
        max(float(sums.second) / safe - mean**2, 0.0),
        weights,
        (sums.resp_square / safe - weights**2).clip(0),
        complete,
        float(sums.below) / complete if complete else np.nan,
    )


def own_profile(model: Any, seed: int = 0) -> Profile:
    """Return how a model's own rows look to it, by simulation.

    Raises
    ------
    ConfigError
        The model was fitted to rows with errors or missing values: which, it does not know.
    """
    mixture = model.mixture_
    if getattr(model, "noise_type_", "none") != "none" or model.missing == "marginalize":
        raise ConfigError(
            "the model was fitted to rows with errors or missing values, and what these are like "
            "it does not know: give reference=profile(model, X), of the rows of the fit"
        )
    rows: Source = SimulatedSource(mixture, SIMULATED, seed)
    fold = profile_fold(mixture, SIMULATED)
    found = profiles_from(fold, LocalEngine().fold(fold, rows))[0]
    return Profile(**{**vars(found), "weights": mixture.weights.mean(axis=0), "simulated": True})
